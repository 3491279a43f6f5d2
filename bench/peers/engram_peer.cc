// Serves searches to the peer harness: engram_peer BASE.f32 DIMENSION. First a line of stdout
// names the kernels and the version. On stdin come (count, k, batch, plain, threads) as five u64
// and count queries of f32; on stdout go, for all of them, k ids a query (u64), k scores a query
// (f32), the seconds of each call (f64; batches share one), and for each query the SearchPath, the
// rows scored, and the rows rescored (u64). A batch of 1 is Search, others are SearchBatch. Ends
// with its input.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/support.h"
#include "engram/engram.h"

namespace engram::bench {
namespace {

bool Fill(Store& store, const char* path, std::uint32_t dimension) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return false;
  std::vector<float> row(dimension);
  MemoryId next = 0;
  const auto report = store.Import({}, [&](ImportRow* out) -> absl::StatusOr<bool> {
    if (std::fread(row.data(), sizeof(float), dimension, file) != dimension) return false;
    out->id = next++;
    out->vector = row;
    return true;
  });
  std::fclose(file);
  return report.ok() && store.Seal().ok();
}

struct Answers {
  std::vector<std::uint64_t> ids;
  std::vector<float> scores;
  std::vector<double> seconds;
  std::vector<std::uint64_t> infos;
};

bool Note(const SearchResults& found, std::uint32_t k, Answers& answers) {
  if (found.hits.size() != k || !found.info.exact) return false;
  for (const Hit& hit : found.hits) {
    answers.ids.push_back(hit.id);
    answers.scores.push_back(hit.score);
  }
  answers.infos.push_back(static_cast<std::uint64_t>(found.info.path));
  answers.infos.push_back(found.info.rows_scored);
  answers.infos.push_back(found.info.rows_rescored);
  return true;
}

bool Ask(const Store& store, const SearchOptions& options, MatrixView queries, Answers& answers) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<SearchResults> found;
  if (queries.rows == 1) {
    auto one = store.Search(options, absl::MakeConstSpan(queries.data, queries.dimension));
    if (!one.ok()) return std::fprintf(stderr, "%s\n", one.status().ToString().c_str()), false;
    found.push_back(*std::move(one));
  } else {
    auto all = store.SearchBatch(options, queries);
    if (!all.ok()) return std::fprintf(stderr, "%s\n", all.status().ToString().c_str()), false;
    found = *std::move(all);
  }
  answers.seconds.push_back(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  for (const SearchResults& one : found) {
    if (!Note(one, options.k, answers)) return false;
  }
  return true;
}

template <typename T>
void Send(const std::vector<T>& values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

// False at the end of the input; what goes wrong ends the program.
bool Serve(const Store& store, std::uint32_t dimension) {
  std::uint64_t header[5];
  if (std::fread(header, sizeof(std::uint64_t), 5, stdin) != 5) return false;
  const auto [count, k, batch, plain, threads] = header;
  std::vector<float> queries(count * dimension);
  if (std::fread(queries.data(), sizeof(float), queries.size(), stdin) != queries.size()) {
    std::exit(4);
  }
  SearchOptions options;
  options.k = static_cast<std::uint32_t>(k);
  options.threads = static_cast<std::uint32_t>(threads);
  options.plain = plain != 0;
  Answers answers;
  for (std::size_t q = 0; q < count; q += batch) {
    const MatrixView some = {.data = queries.data() + q * dimension,
                             .rows = std::min<std::size_t>(batch, count - q),
                             .dimension = dimension};
    if (!Ask(store, options, some, answers)) std::exit(5);
  }
  Send(answers.ids);
  Send(answers.scores);
  Send(answers.seconds);
  Send(answers.infos);
  return std::fflush(stdout) == 0;
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  using namespace engram;
  using namespace engram::bench;
  if (argc != 3) return 2;
  const auto dimension = static_cast<std::uint32_t>(std::atoi(argv[2]));
  TempDir folder;
  StoreOptions options;
  options.dimension = dimension;
  options.create_if_missing = true;
  {
    auto store = Store::Open(options, folder / "s");
    if (!store.ok() || !Fill(**store, argv[1], dimension)) return 3;
  }
  auto store = Store::Open(options, folder / "s");
  if (!store.ok()) return 3;
  std::printf("%s %s\n", (*store)->Stats().kernel.c_str(), Version().c_str());
  std::fflush(stdout);
  while (Serve(**store, dimension)) {
  }
  return 0;
}

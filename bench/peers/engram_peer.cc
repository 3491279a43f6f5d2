// Serves searches to the peer harness: engram_peer BASE.f32 DIMENSION. On stdin come
// (count, k) as two u64 and count queries of f32; on stdout go k ids a query and the
// seconds that the searches took. Ends with its input.
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
  const auto report = store.Import({}, [&](ImportRow* out) -> absl::StatusOr<bool> {
    if (std::fread(row.data(), sizeof(float), dimension, file) != dimension) return false;
    out->vector = row;
    return true;
  });
  std::fclose(file);
  return report.ok() && store.Seal().ok();
}

bool Answer(const Store& store, std::uint32_t dimension) {
  std::uint64_t header[2];
  if (std::fread(header, sizeof(std::uint64_t), 2, stdin) != 2) return false;
  std::vector<float> queries(header[0] * dimension);
  if (std::fread(queries.data(), sizeof(float), queries.size(), stdin) != queries.size()) {
    return false;
  }
  SearchOptions options;
  options.k = static_cast<std::uint32_t>(header[1]);
  options.threads = 1;
  std::vector<std::uint64_t> ids;
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t q = 0; q < header[0]; ++q) {
    const auto found =
        store.Search(options, absl::MakeConstSpan(queries).subspan(q * dimension, dimension));
    if (!found.ok()) return false;
    for (const Hit& hit : found->hits) ids.push_back(hit.id);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::fwrite(ids.data(), sizeof(std::uint64_t), ids.size(), stdout);
  std::fwrite(&seconds, sizeof seconds, 1, stdout);
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
  std::printf("%s\n", (*store)->Stats().kernel.c_str());
  std::fflush(stdout);
  while (Answer(**store, dimension)) {
  }
  return 0;
}

// The demo: imports real memories, seals and reopens the store, asks it real
// sentences, and says how well it answered and where the store lies.
//   wordnet_demo DATA_DIRECTORY STORE_DIRECTORY
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace {

constexpr std::uint32_t kDimension = 384;

float FromHalf(std::uint16_t half) {  // finite values only, which is what the files hold
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const float value = exponent == 0
                          ? std::ldexp(static_cast<float>(mantissa), -24)
                          : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (half >> 15) != 0 ? -value : value;
}

std::vector<float> ReadHalves(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<float> values;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + i, 2);
    values.push_back(FromHalf(half));
  }
  return values;
}

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

absl::Status Fill(const std::string& data, const std::string& path) {
  const std::vector<float> base = ReadHalves(data + "/base.f16");
  const std::vector<std::string> texts = ReadLines(data + "/memories.txt");
  if (texts.empty() || base.size() != texts.size() * kDimension) {
    return absl::NotFoundError(data + " does not hold the demo's data");
  }
  engram::StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, path);
  if (!store.ok()) return store.status();
  engram::ImportOptions import;
  import.expected = texts.size();
  import.progress = [](const engram::Progress& progress) {
    std::fprintf(stderr, "\rimport %llu of %llu", static_cast<unsigned long long>(progress.done),
                 static_cast<unsigned long long>(progress.total));
  if (progress.done == progress.total) std::fputc('\n', stderr);
  return true;
};
std::size_t next = 0;
const auto report = (*store) -> Import(import, [&](engram::ImportRow* row) -> absl::StatusOr<bool> {
                      if (next == texts.size()) return false;
                      row->id = next;
                      row->vector =
                          absl::MakeConstSpan(base.data() + next * kDimension, kDimension);
                      row->payload = texts[next++];
                      return true;
                    });
if (!report.ok()) return report.status();
if (absl::Status status = (*store)->Seal(); !status.ok()) return status;
return (*store)->Close();
}  // namespace

absl::Status Ask(const std::string& data, const std::string& path) {
  auto opened = engram::Store::Open({}, path);
  if (!opened.ok()) return opened.status();
  engram::Store& store = **opened;
  const std::vector<float> vectors = ReadHalves(data + "/queries.f16");
  const std::vector<std::string> lines = ReadLines(data + "/queries.tsv");
  std::size_t found_gold = 0;
  double seconds = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t tab = lines[i].find('\t');
    const std::uint64_t gold = std::stoull(lines[i].substr(0, tab));
    const auto begin = std::chrono::steady_clock::now();
    const auto results =
        store.Search({}, absl::MakeConstSpan(vectors.data() + i * kDimension, kDimension));
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!results.ok()) return results.status();
    if (i < 3) std::printf("\n\"%s\"\n", lines[i].substr(tab + 1).c_str());
    for (std::size_t rank = 0; rank < results->hits.size(); ++rank) {
      const engram::Hit& hit = results->hits[rank];
      found_gold += hit.id == gold ? 1 : 0;
      if (i >= 3 || rank >= 3) continue;
      const auto record = store.Get({}, hit.id);
      if (!record.ok()) return record.status();
      std::printf("  %.3f %c %s\n", static_cast<double>(hit.score), hit.id == gold ? '*' : ' ',
                  record->payload.c_str());
    }
  }
  const engram::StoreStats stats = store.Stats();
  const double queries = static_cast<double>(lines.size());
  std::printf("\n(* the synset that the sentence illustrates)\n");
  std::printf("recall@10          %.3f over %zu sentences\n",
              static_cast<double>(found_gold) / queries, lines.size());
  std::printf("queries a second   %.0f, kernel %s\n", queries / seconds, stats.kernel.c_str());
  std::printf("embeddings         %llu bytes mapped, %llu rows copied to memory\n",
              static_cast<unsigned long long>(stats.bytes_mapped),
              static_cast<unsigned long long>(stats.tail_rows));
  std::printf("store              %s; go on with\n  engram search %s --id 0\n  engram stats %s\n",
              path.c_str(), path.c_str(), path.c_str());
  return store.Close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: wordnet_demo DATA_DIRECTORY STORE_DIRECTORY\n");
    return 2;
  }
  absl::Status status = engram::Store::Destroy(argv[2]);  // an earlier run's; nothing else goes
  if (status.ok()) status = Fill(argv[1], argv[2]);
  if (status.ok()) status = Ask(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "wordnet_demo: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

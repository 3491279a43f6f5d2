// The demo: imports real memories, seals and reopens the store, asks it real
// sentences, and says how well it answered and where the store lies. The store is made
// anew at each run; a directory that holds anything else is left alone.
//   wordnet_demo DATA_DIRECTORY STORE_DIRECTORY
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace {

constexpr std::uint32_t kDimension = 384;
constexpr std::size_t kShownHits = 3, kShownSentences = 3;

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

// Returns: whether a store makes files of this name.
bool IsOfAStore(const std::string& name) {
  for (const char* begin : {"CURRENT", "IDENTITY", "LOCK", "LOG", "MANIFEST-", "OPTIONS-"}) {
    if (name.rfind(begin, 0) == 0) return true;
  }
  const std::size_t dot = name.find_first_not_of("0123456789");
  return dot != 0 && dot != std::string::npos &&
         (name.substr(dot) == ".sst" || name.substr(dot) == ".log");
}

// Removes the store of an earlier run. Where anything else lies, nothing is touched.
absl::Status RemoveEarlier(const std::string& path, const std::vector<std::string>& texts) {
  engram::StoreOptions options;
  options.read_only = true;
  {
    auto store = engram::Store::Open(options, path);
    if (absl::IsNotFound(store.status())) return absl::OkStatus();
    if (!store.ok()) return store.status();
    const auto it = (*store)->NewIterator({});
    for (; it->Valid(); it->Next()) {
      if (it->id() < texts.size() && it->payload() == texts[it->id()] && it->keys().empty()) {
        continue;
      }
      return absl::FailedPreconditionError(path + " holds memory " + std::to_string(it->id()) +
                                           ", which is not the demo's; name another directory");
    }
    if (!it->status().ok()) return it->status();
  }
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (IsOfAStore(name)) continue;
    return absl::FailedPreconditionError(path + " holds " + name +
                                         ", which is not the demo's; name another directory");
  }
  return engram::Store::Destroy(path);
}

absl::Status Fill(const std::string& data, const std::string& path) {
  const std::vector<float> base = ReadHalves(data + "/base.f16");
  const std::vector<std::string> texts = ReadLines(data + "/memories.txt");
  if (texts.empty() || base.size() != texts.size() * kDimension) {
    return absl::NotFoundError(data + " does not hold the demo's data");
  }
  if (absl::Status status = RemoveEarlier(path, texts); !status.ok()) return status;
  engram::StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, path);
  if (!store.ok()) return store.status();
  std::size_t next = 0;
  const auto source = [&](engram::ImportRow* row) -> absl::StatusOr<bool> {
    if (next == texts.size()) return false;
    row->id = next;
    row->vector = absl::MakeConstSpan(base.data() + next * kDimension, kDimension);
    row->payload = texts[next++];
    return true;
  };
  const auto report = (*store)->Import({}, source);
  if (!report.ok()) return report.status();
  std::printf("%llu memories imported\n", static_cast<unsigned long long>(report->memories));
  if (absl::Status status = (*store)->Seal(); !status.ok()) return status;
  return (*store)->Close();
}

struct Answers {
  std::size_t sentences = 0;  // asked
  std::size_t exact = 0;      // answers that are the true nearest memories
  std::size_t found = 0;      // sentences whose own synset is among the hits
  std::size_t shown = 0;      // on the screen
  double seconds = 0;
};

absl::Status Show(const engram::Store& store, const std::string& sentence,
                  const engram::SearchResults& results, std::uint64_t own) {
  std::printf("\n\"%s\"\n", sentence.c_str());
  for (std::size_t rank = 0; rank < std::min(kShownHits, results.hits.size()); ++rank) {
    const engram::Hit& hit = results.hits[rank];
    const auto record = store.Get({}, hit.id);
    if (!record.ok()) return record.status();
    std::printf("  %c %.3f  %s\n", hit.id == own ? '*' : ' ', static_cast<double>(hit.score),
                record->payload.c_str());
  }
  return absl::OkStatus();
}

absl::StatusOr<Answers> AskAll(const std::string& data, const engram::Store& store) {
  const std::vector<float> vectors = ReadHalves(data + "/queries.f16");
  const std::vector<std::string> lines = ReadLines(data + "/queries.tsv");
  if (lines.empty() || vectors.size() != lines.size() * kDimension) {
    return absl::NotFoundError(data + " does not hold the demo's data");
  }
  Answers answers;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t tab = lines[i].find('\t');
    const std::uint64_t own = std::stoull(lines[i].substr(0, tab));
    const auto begin = std::chrono::steady_clock::now();
    const auto results =
        store.Search({}, absl::MakeConstSpan(vectors.data() + i * kDimension, kDimension));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (!results.ok()) return results.status();
    answers.seconds += took.count();
    ++answers.sentences;
    answers.exact += results->info.exact ? 1 : 0;
    for (std::size_t rank = 0; rank < results->hits.size(); ++rank) {
      if (results->hits[rank].id != own) continue;
      ++answers.found;
      if (rank >= kShownHits || answers.shown == kShownSentences) continue;
      ++answers.shown;
      const absl::Status shown = Show(store, lines[i].substr(tab + 1), *results, own);
      if (!shown.ok()) return shown;
    }
  }
  return answers;
}

absl::Status Ask(const std::string& data, const std::string& path) {
  auto opened = engram::Store::Open({}, path);
  if (!opened.ok()) return opened.status();
  engram::Store& store = **opened;
  std::printf("Sentences whose own synset (*) is among the first %zu hits:\n", kShownHits);
  const auto answers = AskAll(data, store);
  if (!answers.ok()) return answers.status();
  const engram::StoreStats stats = store.Stats();
  const double sentences = static_cast<double>(answers->sentences);
  std::printf("\nanswers            %zu of %zu exact: the true ten nearest of all memories\n",
              answers->exact, answers->sentences);
  std::printf("recall@10          %.3f over %zu sentences. It measures the embedding model, not\n",
              static_cast<double>(answers->found) / sentences, answers->sentences);
  std::printf("                   the store: how often the model has a sentence's own synset\n");
  std::printf("                   among its ten nearest\n");
  std::printf("queries a second   %.0f, kernel %s\n", sentences / answers->seconds,
              stats.kernel.c_str());
  std::printf("embeddings         %llu bytes mapped, %llu rows copied to memory\n",
              static_cast<unsigned long long>(stats.bytes_mapped),
              static_cast<unsigned long long>(stats.tail_rows));
  std::printf("store              %s\n", std::filesystem::absolute(path).c_str());
  return store.Close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: wordnet_demo DATA_DIRECTORY STORE_DIRECTORY\n");
    return 2;
  }
  absl::Status status = Fill(argv[1], argv[2]);
  if (status.ok()) status = Ask(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "wordnet_demo: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

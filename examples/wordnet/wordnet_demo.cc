// The demo: imports real memories, links them, seals and reopens the store, asks it real
// sentences by search and by recall, and says how well each answered and where the store lies. The
// store is made anew at each run; a directory that holds anything else is left alone.
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
constexpr std::size_t kShownHits = 3, kShownSentences = 4, kShownBytes = 38;

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

struct Relation {
  std::uint64_t from, to;
  std::string type;
};

// Returns: whether a store makes files of this name.
bool IsOfAStore(const std::string& name) {
  for (const char* begin :
       {"CURRENT", "ENGRAM.LOCK", "IDENTITY", "LOCK", "LOG", "MANIFEST-", "OPTIONS-"}) {
    if (name.rfind(begin, 0) == 0) return true;
  }
  const std::size_t dot = name.find_first_not_of("0123456789");
  return dot != 0 && dot != std::string::npos &&
         (name.substr(dot) == ".sst" || name.substr(dot) == ".log");
}

// What the files hold. A cue word is a memory without an embedding whose key is the word; its
// edges lead to the memories it names.
struct Data {
  std::vector<float> base, queries;
  std::vector<std::string> texts;               // of memory i
  std::vector<std::string> words;               // of memory texts.size() + i
  std::vector<engram::Edge> names;              // from words
  std::vector<Relation> relations;              // between memories
  std::vector<std::string> sentences;           // of query i
  std::vector<std::uint64_t> own;               // the memory that it illustrates
  std::vector<std::vector<std::string>> stems;  // the cue words it holds in another form, too
};

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == '\t') {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

Data ReadData(const std::string& folder) {
  Data data;
  data.base = ReadHalves(folder + "/base.f16");
  data.queries = ReadHalves(folder + "/queries.f16");
  data.texts = ReadLines(folder + "/memories.txt");
  const std::vector<std::string> names = ReadLines(folder + "/cue_words.tsv");
  for (std::size_t i = 1; i < names.size(); ++i) {  // after the header
    const std::vector<std::string> cells = Cells(names[i]);
    if (data.words.empty() || data.words.back() != cells.at(0)) data.words.push_back(cells[0]);
    engram::Edge& edge = data.names.emplace_back();
    edge.from = data.texts.size() + data.words.size() - 1;
    edge.to = std::stoull(cells.at(1));
  }
  const std::vector<std::string> relations = ReadLines(folder + "/relations.tsv");
  for (std::size_t i = 1; i < relations.size(); ++i) {
    const std::vector<std::string> cells = Cells(relations[i]);
    data.relations.push_back({std::stoull(cells.at(0)), std::stoull(cells.at(1)), cells.at(2)});
  }
  for (const std::string& line : ReadLines(folder + "/queries.tsv")) {
    data.own.push_back(std::stoull(Cells(line).at(0)));
    data.sentences.push_back(Cells(line).at(1));
  }
  for (const std::string& line : ReadLines(folder + "/query_cues.txt")) {
    std::vector<std::string>& stems = data.stems.emplace_back();
    for (const std::string& word : Cells(line)) {
      if (!word.empty()) stems.push_back(word[0] == '=' ? word.substr(1) : word);
    }
  }
  return data;
}

bool IsWhole(const Data& data) {
  return !data.texts.empty() && data.base.size() == data.texts.size() * kDimension &&
         !data.words.empty() && !data.sentences.empty() &&
         data.queries.size() == data.sentences.size() * kDimension &&
         data.stems.size() == data.sentences.size();
}

// Returns: whether the demo itself made this memory.
bool IsOfTheDemo(const Data& data, const engram::Iterator& memory) {
  const std::uint64_t id = memory.id(), first_word = data.texts.size();
  if (id < first_word) return memory.payload() == data.texts[id] && memory.keys().empty();
  return id - first_word < data.words.size() && memory.payload().empty() &&
         memory.keys().size() == 1 && memory.keys()[0] == data.words[id - first_word];
}

// Removes the store of an earlier run. Where anything else lies, nothing is touched.
absl::Status RemoveEarlier(const std::string& path, const Data& data) {
  engram::StoreOptions options;
  options.read_only = true;
  {
    auto store = engram::Store::Open(options, path);
    if (absl::IsNotFound(store.status())) return absl::OkStatus();
    if (!store.ok()) return store.status();
    const auto it = (*store)->NewIterator({});
    for (; it->Valid(); it->Next()) {
      if (IsOfTheDemo(data, *it)) continue;
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

absl::Status ImportMemories(const Data& data, engram::Store& store) {
  std::size_t next = 0;
  const auto source = [&](engram::ImportRow* row) -> absl::StatusOr<bool> {
    if (next == data.texts.size() + data.words.size()) return false;
    *row = {};
    row->id = next;
    if (next < data.texts.size()) {
      row->vector = absl::MakeConstSpan(data.base.data() + next * kDimension, kDimension);
      row->payload = data.texts[next];
    } else {
      row->keys = absl::MakeConstSpan(&data.words[next - data.texts.size()], 1);
    }
    ++next;
    return true;
  };
  return store.Import({}, source).status();
}

absl::Status LinkMemories(const Data& data, engram::Store& store) {
  std::vector<engram::Edge> edges = data.names;
  for (const Relation& relation : data.relations) {
    const auto type = store.EdgeType({}, relation.type);
    if (!type.ok()) return type.status();
    engram::Edge& edge = edges.emplace_back();
    edge.from = relation.from;
    edge.to = relation.to;
    edge.type = *type;
  }
  std::size_t next = 0;
  const auto source = [&](engram::Edge* edge) -> absl::StatusOr<bool> {
    if (next == edges.size()) return false;
    *edge = edges[next++];
    return true;
  };
  return store.Link({}, source).status();
}

absl::Status Fill(const Data& data, const std::string& path) {
  if (absl::Status status = RemoveEarlier(path, data); !status.ok()) return status;
  engram::StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, path);
  if (!store.ok()) return store.status();
  if (absl::Status status = ImportMemories(data, **store); !status.ok()) return status;
  if (absl::Status status = LinkMemories(data, **store); !status.ok()) return status;
  std::printf("%zu memories imported, %zu cue words linked to them by %zu edges, %zu relations\n",
              data.texts.size(), data.words.size(), data.names.size(), data.relations.size());
  if (absl::Status status = (*store)->Seal(); !status.ok()) return status;
  return (*store)->Close();
}

// One way to ask, and how well it did.
struct Way {
  std::string name;
  bool recalls = true;  // else it searches
  bool stems = false;   // named by query_cues.txt, else by what FindNamed finds
  bool relations = false;
  std::size_t exact = 0;             // answers that searched among all memories
  std::size_t first = 0, found = 0;  // sentences whose own synset is the first hit, or a hit
  double seconds = 0;
};

// One hop from the words that are named, each giving 1 / sqrt(edges) to all it names, beside
// the similarity itself.
engram::RecallOptions Options(const Way& way, const std::vector<std::uint64_t>& named) {
  static constexpr std::uint32_t kNames[] = {0};  // the type of the edges from words
  engram::RecallOptions options;
  options.named = named;
  options.named_fan_exponent = 0.5f;
  options.spread.normalisation = engram::Normalisation::kNone;
  options.spread.max_hops = 1;
  options.spread.threshold = 0.0f;
  if (!way.relations) options.spread.edge_types = kNames;
  options.activation_weight = 1.0f;
  return options;
}

absl::StatusOr<std::vector<std::uint64_t>> Named(const engram::Store& store, const Way& way,
                                                 const Data& data, std::size_t query) {
  std::vector<std::uint64_t> named;
  if (way.stems) {
    for (const std::string& word : data.stems[query]) {
      const auto id = store.IdForKey({}, word);
      if (!id.ok()) return id.status();
      named.push_back(*id);
    }
    return named;
  }
  const auto found = store.FindNamed({}, data.sentences[query]);
  if (!found.ok()) return found.status();
  for (const engram::NamedInText& one : *found) named.push_back(one.id);
  return named;
}

// Returns: the hits. A hit of a search has a score alone.
absl::StatusOr<std::vector<engram::Recalled>> Ask(const engram::Store& store, const Data& data,
                                                  std::size_t query, Way& way) {
  const auto cue = absl::MakeConstSpan(data.queries.data() + query * kDimension, kDimension);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<engram::Recalled> hits;
  if (way.recalls) {
    const auto named = Named(store, way, data, query);
    if (!named.ok()) return named.status();
    auto results = store.Recall(Options(way, *named), cue);
    if (!results.ok()) return results.status();
    way.exact += results->search.exact ? 1 : 0;
    hits = std::move(results->hits);
  } else {
    const auto results = store.Search({}, cue);
    if (!results.ok()) return results.status();
    way.exact += results->info.exact ? 1 : 0;
    for (const engram::Hit& hit : results->hits) {
      hits.emplace_back().id = hit.id;
      hits.back().score = hit.score;
    }
  }
  way.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (std::size_t rank = 0; rank < hits.size(); ++rank) {
    if (hits[rank].id != data.own[query]) continue;
    ++way.found;
    way.first += rank == 0 ? 1 : 0;
  }
  return hits;
}

// Returns: a hit as a cell of the screen.
std::string Cell(const Data& data, const std::vector<engram::Recalled>& hits, std::size_t rank,
                 std::uint64_t own) {
  if (rank >= hits.size()) return "";
  const engram::Recalled& hit = hits[rank];
  char score[16];
  std::snprintf(score, sizeof score, "%c %.2f  ", hit.id == own ? '*' : ' ',
                static_cast<double>(hit.score));
  std::string text = data.texts[hit.id];
  // All of these texts are ASCII.
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes - 3) + "...";
  return score + text;
}

void Show(const Data& data, std::size_t query, const std::vector<engram::Recalled>& found,
          const std::vector<engram::Recalled>& recalled) {
  std::printf("\n\"%s\"\n", data.sentences[query].c_str());
  for (std::size_t rank = 0; rank < kShownHits; ++rank) {
    std::printf("  %-*s  |  %s\n", static_cast<int>(kShownBytes + 8),
                Cell(data, found, rank, data.own[query]).c_str(),
                Cell(data, recalled, rank, data.own[query]).c_str());
  }
}

bool IsNear(const std::vector<engram::Recalled>& hits, std::uint64_t own) {
  for (std::size_t rank = 0; rank < std::min(kShownHits, hits.size()); ++rank) {
    if (hits[rank].id == own) return true;
  }
  return false;
}

// Asks every sentence in every way, and shows the first few with what the first two ways found.
absl::Status AskAll(const engram::Store& store, const Data& data, std::vector<Way>& ways) {
  std::printf(
      "\nThe first sentences whose own synset (*) search (left) or recall (right) has among\n"
      "its first %zu hits, with scores:\n",
      kShownHits);
  std::size_t shown = 0;
  for (std::size_t query = 0; query < data.sentences.size(); ++query) {
    std::vector<std::vector<engram::Recalled>> hits;
    for (Way& way : ways) {
      auto answer = Ask(store, data, query, way);
      if (!answer.ok()) return answer.status();
      hits.push_back(*std::move(answer));
    }
    const std::uint64_t own = data.own[query];
    if (shown == kShownSentences || (!IsNear(hits[0], own) && !IsNear(hits[1], own))) continue;
    ++shown;
    Show(data, query, hits[0], hits[1]);
  }
  return absl::OkStatus();
}

void Summarise(const Data& data, const std::vector<Way>& ways, const engram::Store& store,
               const std::string& path) {
  const double sentences = static_cast<double>(data.sentences.size());
  std::printf(
      "\n%zu sentences; how often a sentence's own synset is the first hit, or of the ten:\n",
      data.sentences.size());
  std::printf("%-42s%10s%12s%12s\n", "", "recall@1", "recall@10", "a second");
  for (const Way& way : ways) {
    std::printf("%-42s%10.3f%12.3f%12.0f\n", way.name.c_str(),
                static_cast<double>(way.first) / sentences,
                static_cast<double>(way.found) / sentences, sentences / way.seconds);
  }
  std::printf(
      "Search does as well as the embedding model can, for every answer is exact. Recall adds\n"
      "one hop from the cue words in a sentence. Example sentences nearly always hold a word of\n"
      "their synset, which favours it: expect less elsewhere. The relations do not help here.\n\n");
  const engram::StoreStats stats = store.Stats();
  std::printf("answers      %zu of %zu exact: the true ten nearest of all memories\n",
              ways[0].exact, data.sentences.size());
  std::printf("kernel       %s\n", stats.kernel.c_str());
  std::printf("embeddings   %llu bytes mapped, %llu rows copied to memory\n",
              static_cast<unsigned long long>(stats.bytes_mapped),
              static_cast<unsigned long long>(stats.tail_rows));
  std::printf("store        %s\n", std::filesystem::absolute(path).c_str());
}

absl::Status Run(const std::string& folder, const std::string& path) {
  const Data data = ReadData(folder);
  if (!IsWhole(data)) return absl::NotFoundError(folder + " does not hold the demo's data");
  if (absl::Status status = Fill(data, path); !status.ok()) return status;
  auto store = engram::Store::Open({}, path);
  if (!store.ok()) return store.status();
  std::vector<Way> ways(4);
  ways[0].name = "search";
  ways[0].recalls = false;
  ways[1].name = "recall, words found in the sentence";
  ways[2].name = "recall, words given by their stems";
  ways[2].stems = true;
  ways[3] = ways[2];
  ways[3].name = "the same, and over relations, too";
  ways[3].relations = true;
  if (absl::Status status = AskAll(**store, data, ways); !status.ok()) return status;
  Summarise(data, ways, **store, path);
  return (*store)->Close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: wordnet_demo DATA_DIRECTORY STORE_DIRECTORY\n");
    return 2;
  }
  const absl::Status status = Run(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "wordnet_demo: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

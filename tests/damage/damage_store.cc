#include "tests/damage/damage_store.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <type_traits>

#include "storage/base/hash.h"

namespace engram::damage {
namespace {

constexpr std::int64_t kNow = 1700000000;

// Deterministic, varying less with each dimension, so that a rotation pays.
std::vector<float> VectorOf(std::uint64_t seed) {
  std::mt19937_64 random(seed + 1);
  std::normal_distribution<double> normal;
  std::vector<float> vector;
  double factor = 1;
  for (std::uint32_t j = 0; j < kDimension; ++j, factor *= 0.9) {
    vector.push_back(static_cast<float>(factor * normal(random)));
  }
  return vector;
}

std::string PayloadOf(std::uint64_t seed) { return "payload of " + std::to_string(seed * 7919); }

WriteOptions Write(Durability durability) {
  WriteOptions options;
  options.durability = durability;
  options.now_unix_seconds = kNow;
  return options;
}

void ImportSealed(Store& store) {
  MemoryId next = 0;
  std::vector<float> vector;
  std::string payload;
  const auto report = store.Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (next == kSealed) return false;
    vector = VectorOf(next);
    payload = PayloadOf(next);
    row->id = next++;
    row->vector = vector;
    row->payload = payload;
    return true;
  });
  Require(report.status(), "import");
}

// Edges, keys, strengths and dead rows that are in table files.
void WriteTables(Store& store) {
  WriteBatch batch;
  for (MemoryId id = 0; id < 300; ++id) {
    batch.PutEdge({.from = id, .to = (id * 7 + 1) % 300, .weight = 0.5f, .type = 0});
    batch.PutEdge({.from = id, .to = (id * 11 + 5) % 300, .weight = 1.0f, .type = 1});
    if (id % 10 == 0) batch.SetKey("Key " + std::to_string(id), id);
    if (id % 6 == 0) batch.Reinforce(id, 2.0f);
  }
  batch.Put(kMarker, {}, "0");
  Require(store.Write(Write(Durability::kProcess), batch), "edges");
  Require(store.EdgeType(Write(Durability::kProcess), "part of").status(), "type");
  Require(store.Seal(), "seal");
  for (MemoryId id = 5000; id < 5010; ++id) {
    Require(store.Delete(Write(Durability::kProcess), id), "delete");
  }
  WriteBatch tail;
  for (MemoryId id = 20000; id < 20050; ++id) tail.Put(id, VectorOf(id), PayloadOf(id));
  tail.PutEdge({.from = 20000, .to = 3, .weight = 0.25f, .type = 0});
  tail.DeleteEdge(0, 1, 0);
  Require(store.Write(Write(Durability::kProcess), tail), "tail");
}

// Every third is power-safe.
void WriteLogged(Store& store, std::uint64_t number) {
  WriteBatch batch;
  const MemoryId first = 30000 + number * 10;
  for (MemoryId id = first; id < first + 5; ++id) batch.Put(id, VectorOf(id), PayloadOf(id));
  batch.Put(number, VectorOf(40000 + number), PayloadOf(40000 + number));  // an upsert
  batch.PutEdge({.from = first, .to = number, .weight = 1.5f, .type = 0});
  batch.SetKey("Logged " + std::to_string(number), first);
  batch.SetKey("Key 10", first + 1);  // which moves
  batch.Reinforce(100, 1.0f);
  batch.Delete(6000 + number);
  batch.Put(kMarker, {}, std::to_string(number));
  Require(store.Write(Write(number % 3 == 0 ? Durability::kPower : Durability::kProcess), batch),
          "batch");
}

std::uint64_t LogBytes(const std::string& path) {
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
  }
  return newest.empty() ? 0 : std::filesystem::file_size(newest);
}

class Bytes {
 public:
  template <typename T>
  requires(std::is_arithmetic_v<T>) void Add(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Add(std::string_view text) {
    Add(text.size());
    bytes_.append(text);
  }
  void Add(absl::Span<const float> floats) {
    Add(floats.size());
    for (const float value : floats) Add(value);
  }
  std::uint64_t Hash() const { return storage::Hash64(bytes_); }

 private:
  std::string bytes_;
};

class Asker {
 public:
  Asker(const Store& store, bool all) : store_(store), step_(all ? 1 : 29) {}

  std::vector<Answer> Ask() {
    Gets();
    Searches();
    Graph();
    Names();
    Walk();
    return std::move(answers_);
  }

 private:
  // That something does not exist is an answer.
  void Add(std::string what, const absl::Status& status, const Bytes& bytes) {
    Answer answer{std::move(what), status, bytes.Hash()};
    if (absl::IsNotFound(status)) answer = {answer.what, absl::OkStatus(), 404};
    answers_.push_back(std::move(answer));
  }

  void AskGet(MemoryId id) {
    const auto record = store_.Get({}, id);
    Bytes bytes;
    if (record.ok()) {
      bytes.Add(absl::MakeConstSpan(record->vector));
      bytes.Add(record->payload);
      for (const std::string& key : record->keys) bytes.Add(std::string_view(key));
    }
    Add("Get " + std::to_string(id), record.status(), bytes);
  }

  void Gets() {
    AskGet(kMarker);
    for (MemoryId id = 0; id < kSealed + 2; id += id < 60 ? 1 : step_) AskGet(id);
    for (MemoryId id = 20000; id < 20051; ++id) AskGet(id);
    for (MemoryId id = 30000; id < 30000 + (kBatches + 1) * 10; ++id) AskGet(id);
    AskGet(kOneMore);
  }

  void Searches() {
    for (const bool plain : {false, true}) {
      for (const std::uint64_t seed : {17u, 20007u, 30011u, 77777u}) {
        SearchOptions options;
        options.plain = plain;
        const auto found = store_.Search(options, VectorOf(seed));
        Bytes bytes;
        if (found.ok()) {
          bytes.Add(found->info.exact);
          bytes.Add(found->info.rows_in_store);
          for (const Hit& hit : found->hits) {
            bytes.Add(hit.id);
            bytes.Add(hit.score);
          }
        }
        Add((plain ? "plain Search " : "Search ") + std::to_string(seed), found.status(), bytes);
      }
    }
  }

  void AskRecall(const char* what, absl::Span<const float> cue) {
    RecallOptions options;
    const MemoryId names[] = {100, 20000};
    options.named = names;
    options.strength.now_unix_seconds = kNow + 1000;
    options.strength_weight = 0.5f;
    options.include_bare = true;
    options.k = 30;
    const auto found = store_.Recall(options, cue);
    Bytes bytes;
    if (found.ok()) {
      for (const Recalled& hit : found->hits) {
        bytes.Add(hit.id);
        bytes.Add(hit.score);
        bytes.Add(hit.activation);
        bytes.Add(hit.strength);
        bytes.Add(hit.via);
      }
    }
    Add(what, found.status(), bytes);
  }

  void Graph() {
    AskRecall("Recall of a cue", VectorOf(123));
    AskRecall("Recall of names", {});
    std::vector<MemoryId> ids = {8000, 20000, 20001};
    for (MemoryId id = 0; id < 300; id += 3) ids.push_back(id);
    for (std::uint64_t i = 0; i <= kBatches; ++i) ids.push_back(30000 + i * 10);
    for (const MemoryId id : ids) {
      for (const Direction direction : {Direction::kOut, Direction::kIn}) {
        const auto edges = store_.Neighbors({}, id, direction);
        Bytes bytes;
        if (edges.ok()) {
          for (const Edge& edge : *edges) {
            bytes.Add(edge.from);
            bytes.Add(edge.to);
            bytes.Add(edge.weight);
            bytes.Add(edge.type);
          }
        }
        Add("Neighbors " + std::to_string(id), edges.status(), bytes);
      }
    }
  }

  void Names() {
    const auto named = store_.FindNamed({}, "key 20's logged 3, and Key 10, LOGGED 9");
    Bytes found;
    if (named.ok()) {
      for (const NamedInText& name : *named) {
        found.Add(name.id);
        found.Add(std::string_view(name.key));
      }
    }
    Add("FindNamed", named.status(), found);
    for (int i = 0; i < 300; i += 10) {
      const auto id = store_.IdForKey({}, "Key " + std::to_string(i));
      Bytes bytes;
      if (id.ok()) bytes.Add(*id);
      Add("IdForKey", id.status(), bytes);
    }
    const auto types = store_.EdgeTypes({});
    Bytes bytes;
    if (types.ok()) {
      for (const auto& [number, name] : *types) bytes.Add(std::string_view(name));
    }
    Add("EdgeTypes", types.status(), bytes);
  }

  void Walk() {
    Bytes bytes;
    const auto it = store_.NewIterator({});
    for (; it->Valid(); it->Next()) {
      bytes.Add(it->id());
      bytes.Add(it->vector());
      bytes.Add(it->payload());
      for (const std::string& key : it->keys()) bytes.Add(std::string_view(key));
    }
    Add("Iterator", it->status(), bytes);
  }

  const Store& store_;
  const MemoryId step_;
  std::vector<Answer> answers_;
};

}  // namespace

void Require(const absl::Status& status, const std::string& what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what.c_str(), status.ToString().c_str());
  std::fflush(stderr);
  ::_exit(3);
}

StoreOptions Options(bool read_only) {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = !read_only;
  options.read_only = read_only;
  options.rows_per_block = 2048;
  options.search_threads = 1;
  return options;
}

absl::Status PutOneMore(Store& store) {
  return store.Put(Write(Durability::kProcess), kOneMore, std::vector<float>(kDimension, 3.0f),
                   "new");
}

std::vector<Answer> AskAll(const Store& store, bool all) { return Asker(store, all).Ask(); }

std::string AskBlindly(const Store& store) {
  SearchOptions search;
  search.verify_checksums = false;
  const auto found = store.Search(search, VectorOf(17));
  if (found.ok() && found->info.exact) return "a search without checksums called itself exact";
  RecallOptions recall;
  recall.seeds.verify_checksums = false;
  if (const auto status = store.Recall(recall, VectorOf(5)).status();
      !status.ok() && !absl::IsDataLoss(status)) {
    return "Recall without checksums: " + status.ToString();
  }
  for (MemoryId id = 0; id < 300; id += 50) {
    ReadOptions read;
    read.verify_checksums = false;
    for (const absl::Status& status :
         {store.Get(read, id).status(), store.Neighbors(read, id, Direction::kIn).status()}) {
      if (!status.ok() && !absl::IsDataLoss(status) && !absl::IsNotFound(status)) {
        return "without checksums: " + status.ToString();
      }
    }
  }
  return "";
}

std::string CheckRepaired(const Store& store) {
  const auto report = store.Verify({});
  if (!report.ok()) return "Verify: " + report.status().ToString();
  if (!report->findings.empty()) return report->findings[0];
  const auto it = store.NewIterator({});
  for (; it->Valid(); it->Next()) {
    const MemoryId id = it->id();
    const bool put_twice = id > 0 && id <= kBatches;
    const std::vector<float> vector(it->vector().begin(), it->vector().end());
    const std::string payload(it->payload());
    const auto had = [&](std::uint64_t seed) {
      return (vector.empty() || vector == VectorOf(seed)) &&
             (payload.empty() || payload == PayloadOf(seed));
    };
    const bool is_marker = id == kMarker && vector.empty() && payload.size() <= 2;
    // What was lost of one state may be there of the other.
    const bool mixed =
        put_twice && (vector.empty() || vector == VectorOf(id) || vector == VectorOf(40000 + id)) &&
        (payload.empty() || payload == PayloadOf(id) || payload == PayloadOf(40000 + id));
    if (!is_marker && !mixed && !had(id)) return "id " + std::to_string(id) + " is another's";
  }
  return it->status().ok() ? "" : it->status().ToString();
}

std::vector<std::uint64_t> MakeStore(const std::string& path) {
  StoreOptions options = Options(false);
  {
    auto store = Store::Open(options, path);
    Require(store.status(), "create");
    ImportSealed(**store);
    WriteTables(**store);
    Require((*store)->Close(), "close");
  }
  auto opened = Store::Open(options, path);
  Require(opened.status(), "open");
  Store* store = opened->release();  // which nobody closes
  std::vector<std::uint64_t> ends = {LogBytes(path)};
  for (std::uint64_t number = 1; number <= kBatches; ++number) {
    WriteLogged(*store, number);
    ends.push_back(LogBytes(path));
  }
  return ends;
}

}  // namespace engram::damage

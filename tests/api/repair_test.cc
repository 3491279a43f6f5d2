// Repair: what is kept of a store is bit for bit what was there, whatever is damaged beside it,
// and what is lost is said.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>
#include <tuple>

#include "engram/engram.h"
#include "storage/format/record_format.h"
#include "tests/support/block_table.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using storage::ColumnKind;
using testing::ReadFile;
using testing::WriteFile;

constexpr std::uint32_t kDimension = 8;
constexpr MemoryId kMemories = 600;
constexpr std::uint32_t kRowsPerBlock = 64;

using EdgeKey = std::tuple<MemoryId, std::uint32_t, MemoryId>;

class Repair : public ::testing::Test {
 protected:
  Repair() {
    constexpr unsigned kSeed = 71;
    std::printf("seed %u\n", kSeed);
    std::mt19937 random(kSeed);
    std::normal_distribution<float> normal;
    for (MemoryId id = 0; id < kMemories; ++id) {
      std::vector<float>& vector = vectors_.emplace_back(kDimension);
      for (float& value : vector) value = normal(random);
    }
  }

  static StoreOptions Options() {
    StoreOptions options;
    options.dimension = kDimension;
    options.rows_per_block = kRowsPerBlock;
    options.create_if_missing = true;
    return options;
  }
  // Memories [begin, end), each linked to the two before it, every third reinforced.
  WriteBatch Batch(MemoryId begin, MemoryId end) const {
    WriteBatch batch;
    for (MemoryId id = begin; id < end; ++id) {
      batch.Put(id, vectors_[id], absl::StrCat("payload ", id));
      batch.SetKey(absl::StrCat("key ", id), id);
      if (id % 3 == 0) batch.Reinforce(id, 0.25f + static_cast<float>(id));
      for (const MemoryId back : {1, 2}) {
        if (id < back) continue;
        batch.PutEdge({.from = id,
                       .to = id - back,
                       .weight = static_cast<float>(id) + 0.5f,
                       .type = static_cast<std::uint32_t>(back)});
      }
    }
    return batch;
  }
  // All sealed, then deletes and upserts that are not.
  void MakeSealed() {
    const auto store = Store::Open(Options(), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Write({}, Batch(0, kMemories)).ok());
    ASSERT_TRUE((*store)->Seal().ok());
    WriteBatch batch;
    for (MemoryId id = 5; id < kMemories; id += 50) batch.Delete(id);
    for (MemoryId id = 7; id < kMemories; id += 50) batch.Put(id, vectors_[id - 1], "again");
    batch.PutEdge({.from = 1, .to = 300, .weight = 9.0f, .type = 4});
    batch.DeleteEdge(10, 9, 1);
    ASSERT_TRUE((*store)->Write({}, batch).ok());
    Remember(**store);
    ASSERT_TRUE((*store)->Close().ok());
  }

  struct State {
    std::map<MemoryId, Record> memories;
    std::map<EdgeKey, float> edges;
  };
  static State StateOf(const Store& store) {
    State state;
    for (MemoryId id = 0; id < kMemories; ++id) {
      const auto record = store.Get({}, id);
      if (absl::IsNotFound(record.status())) continue;
      EXPECT_TRUE(record.ok()) << record.status();
      if (!record.ok()) continue;
      state.memories[id] = *record;
      const auto edges = store.Neighbors({}, id, Direction::kOut);
      EXPECT_TRUE(edges.ok()) << edges.status();
      for (const Edge& edge : *edges) state.edges[{edge.from, edge.type, edge.to}] = edge.weight;
    }
    return state;
  }
  void Remember(const Store& store) { before_ = StateOf(store); }

  // Repairs, and returns what the new store holds, which is sound and answers as it must.
  State Repaired(RepairReport* report) {
    const std::string bytes = Bytes();
    const auto repaired = Store::Repair({}, path_, into_);
    EXPECT_TRUE(repaired.ok()) << repaired.status();
    EXPECT_EQ(Bytes(), bytes) << "the damaged store has changed";
    if (!repaired.ok()) return {};
    *report = *repaired;
    StoreOptions options = Options();
    options.create_if_missing = false;
    const auto store = Store::Open(options, into_);
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return {};
    const auto verified = (*store)->Verify({});
    EXPECT_TRUE(verified.ok() && verified->findings.empty());
    State state = StateOf(**store);
    EXPECT_EQ(state.memories.size(), report->memories);
    EXPECT_EQ(state.edges.size(), report->edges);
    for (const auto& [id, record] : state.memories) {
      for (const std::string& key : record.keys) EXPECT_EQ(*(*store)->IdForKey({}, key), id);
    }
    ExpectSearchFinds(**store, state);
    return state;
  }
  // All that has an embedding is found, with the score that it had.
  void ExpectSearchFinds(const Store& store, const State& state) const {
    SearchOptions options;
    options.k = kMemories;
    const auto found = store.Search(options, vectors_[3]);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(found->info.exact);
    const std::size_t embedded =
        std::count_if(state.memories.begin(), state.memories.end(),
                      [](const auto& one) { return !one.second.vector.empty(); });
    EXPECT_EQ(found->hits.size(), embedded);
    for (const Hit& hit : found->hits) EXPECT_TRUE(state.memories.contains(hit.id)) << hit.id;
  }
  std::string Bytes() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      files[entry.path().filename()] = ReadFile(entry.path());
    }
    std::string all;
    for (const auto& [name, bytes] : files) all += name + bytes;
    return all;
  }
  // Of what is kept, each part is as it was or, where `parts` allows, gone.
  void ExpectKept(const State& after, bool parts) const {
    for (const auto& [id, record] : after.memories) {
      ASSERT_TRUE(before_.memories.contains(id)) << id;
      const Record& was = before_.memories.at(id);
      EXPECT_TRUE(record.vector == was.vector || (parts && record.vector.empty())) << id;
      EXPECT_TRUE(record.payload == was.payload || (parts && record.payload.empty())) << id;
      EXPECT_EQ(record.keys, was.keys) << id;
      EXPECT_EQ(record.strength, was.strength) << id;
      EXPECT_EQ(record.last_use_unix_seconds, was.last_use_unix_seconds) << id;
    }
    for (const auto& [key, weight] : after.edges) {
      ASSERT_TRUE(before_.edges.contains(key));
      EXPECT_EQ(weight, before_.edges.at(key));
    }
  }
  // Makes another store with as many rows in the same places, of ids above by `add`, and other
  // embeddings. Returns: its path.
  std::string MakeOther(MemoryId add) const {
    const std::string path = dir_ / absl::StrCat("other", add);
    const auto store = Store::Open(Options(), path);
    EXPECT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    for (MemoryId id = 0; id < kMemories; ++id) {
      batch.Put(id + add, vectors_[kMemories - 1 - id], "other");
      if (id > 0) batch.PutEdge({.from = id + add, .to = id + add - 1, .weight = 77.0f});
    }
    EXPECT_TRUE((*store)->Write({}, batch).ok());
    EXPECT_TRUE((*store)->Seal().ok());
    EXPECT_TRUE((*store)->Close().ok());
    return path;
  }
  // Puts the table of a store that has such columns into the damaged one, under that name.
  void PutIn(const std::string& store, ColumnKind kind, const std::string& name) const {
    for (const std::string& path : testing::TableFiles(store)) {
      const std::string bytes = ReadFile(path);
      const std::vector<testing::Place> places = testing::PlacesIn(bytes);
      const bool has = std::any_of(places.begin(), places.end(), [&](const testing::Place& place) {
        return place.column == kind;
      });
      if (!has) continue;
      WriteFile(path_ + "/" + name, bytes);
      return;
    }
    FAIL() << store << " has no column " << storage::ColumnName(kind);
  }
  static void FlipAll(const std::string& store, ColumnKind kind) {
    testing::Table table(store);
    const std::vector<testing::Place> places = table.places();
    for (const testing::Place& place : places) {
      if (place.column == kind) table.Flip(place.payload + 5, 1);
    }
  }
  void FlipEmbeddingsOfBlock2() const {
    testing::Table table(path_);
    const testing::Place& place = table.Find(ColumnKind::kEmbedding, 2);
    ASSERT_EQ(place.first_row, 2u * kRowsPerBlock);
    table.Flip(place.payload + 17, 3);
  }
  // All is kept but the embeddings of block 2, and each of those is listed.
  void ExpectBlock2WithoutEmbeddings(const State& after, const RepairReport& report) const {
    ExpectKept(after, /*parts=*/true);
    EXPECT_EQ(after.memories.size(), before_.memories.size());
    EXPECT_EQ(after.edges, before_.edges);
    EXPECT_TRUE(Tells(report, "block at row 128: column embedding is damaged"));
    for (const auto& [id, record] : before_.memories) {
      const bool hit = id / kRowsPerBlock == 2 && record.payload != "again";
      EXPECT_EQ(after.memories.at(id).vector.empty(), hit) << id;
      EXPECT_EQ(Tells(report, absl::StrCat("id ", id, ": its embedding")), hit) << id;
    }
  }
  static bool Tells(const RepairReport& report, std::string_view what) {
    return std::any_of(
        report.findings.begin(), report.findings.end(),
        [&](const std::string& finding) { return finding.find(what) != std::string::npos; });
  }
  std::string NewestLog() const {
    std::string newest;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path();
      if (name.ends_with(".log") && name > newest) newest = name;
    }
    return newest;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s", into_ = dir_ / "into";
  std::vector<std::vector<float>> vectors_;
  State before_;
};

TEST_F(Repair, KeepsASoundStoreWhole) {
  MakeSealed();
  RepairReport report;
  const State after = Repaired(&report);
  EXPECT_EQ(report.losses, 0u) << report.findings[0];
  EXPECT_EQ(after.memories.size(), before_.memories.size());
  EXPECT_EQ(after.edges, before_.edges);
  ExpectKept(after, /*parts=*/false);
}

TEST_F(Repair, OfABlockWithoutItsEmbeddingsKeepsTheRest) {
  MakeSealed();
  FlipEmbeddingsOfBlock2();
  RepairReport report;
  const State after = Repaired(&report);
  ExpectBlock2WithoutEmbeddings(after, report);
}

// Whether such a file is older or newer than the store's own, and whosever its rows are.
TEST_F(Repair, TakesTheStoresOwnBlocksBeforeThoseOfFilesItDoesNotName) {
  MakeSealed();
  const std::string other = MakeOther(0), others = MakeOther(10000);
  for (const char* name : {"000001.sst", "999999.sst", "1000000.sst", "copy.sst"}) {
    PutIn(other, ColumnKind::kEmbedding, name);
  }
  for (const char* name : {"000002.sst", "999998.sst"}) {
    PutIn(others, ColumnKind::kEmbedding, name);
  }
  for (const char* name : {"000003.sst", "999997.sst"}) {
    PutIn(other, ColumnKind::kEdgeTarget, name);
  }
  RepairReport report;
  const State after = Repaired(&report);
  EXPECT_EQ(report.losses, 0u) << report.findings[0];
  EXPECT_EQ(after.memories.size(), before_.memories.size());
  EXPECT_EQ(after.edges, before_.edges);
  ExpectKept(after, /*parts=*/false);
}

// No manifest says then which files are the store's: what came later counts.
TEST_F(Repair, WithoutAManifestTakesTheNewestBlocks) {
  MakeSealed();
  const std::string other = MakeOther(0);
  PutIn(other, ColumnKind::kEmbedding, "000001.sst");
  PutIn(other, ColumnKind::kEdgeTarget, "000002.sst");
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("MANIFEST-")) std::filesystem::remove(entry.path());
  }
  RepairReport report;
  const State after = Repaired(&report);
  EXPECT_EQ(after.edges, before_.edges);
  ASSERT_EQ(after.memories.size(), before_.memories.size());
  for (const auto& [id, record] : after.memories) {
    EXPECT_EQ(record.vector, before_.memories.at(id).vector) << id;
  }
}

TEST_F(Repair, GivesNoIdTheEmbeddingOfAnother) {
  MakeSealed();
  FlipEmbeddingsOfBlock2();
  PutIn(MakeOther(10000), ColumnKind::kEmbedding, "000001.sst");
  RepairReport report;
  const State after = Repaired(&report);
  ExpectBlock2WithoutEmbeddings(after, report);
}

// The ids of one file say nothing of the embeddings of another.
TEST_F(Repair, PutsNoColumnsOfTwoFilesTogether) {
  MakeSealed();
  FlipEmbeddingsOfBlock2();
  const std::string other = MakeOther(0);
  FlipAll(other, ColumnKind::kId);
  PutIn(other, ColumnKind::kEmbedding, "000001.sst");
  PutIn(other, ColumnKind::kEmbedding, "999999.sst");
  RepairReport report;
  const State after = Repaired(&report);
  ExpectBlock2WithoutEmbeddings(after, report);
}

TEST_F(Repair, OfFilesThatTheStoreDoesNotNameTakesTheNewest) {
  MakeSealed();
  const std::string sound = dir_ / "sound";
  std::filesystem::copy(path_, sound);
  FlipEmbeddingsOfBlock2();
  PutIn(sound, ColumnKind::kEmbedding, "1000000.sst");
  PutIn(MakeOther(0), ColumnKind::kEmbedding, "999999.sst");
  RepairReport report;
  const State after = Repaired(&report);
  ExpectKept(after, /*parts=*/false);
  EXPECT_EQ(after.memories.size(), before_.memories.size());
  EXPECT_TRUE(Tells(report, "taken from 1000000.sst, which the store does not name"));
  EXPECT_FALSE(Tells(report, "999999.sst"));
}

TEST_F(Repair, MakesCodesAndNormsAnew) {
  MakeSealed();
  {
    testing::Table table(path_);
    for (const ColumnKind kind : {ColumnKind::kCode, ColumnKind::kNorm, ColumnKind::kFineCode}) {
      table.Flip(table.Find(kind).payload + 5, 1);
    }
  }
  RepairReport report;
  const State after = Repaired(&report);
  EXPECT_EQ(report.losses, 3u);
  EXPECT_EQ(report.lost_memories, 0u);
  EXPECT_EQ(after.edges, before_.edges);
  EXPECT_EQ(after.memories.size(), before_.memories.size());
  ExpectKept(after, /*parts=*/false);
}

TEST_F(Repair, OfEdgesWhoseColumnsAreDamagedKeepsTheOthers) {
  MakeSealed();
  std::size_t damaged = 0;
  for (const std::string& path : testing::TableFiles(path_)) {
    std::string bytes = ReadFile(path);
    const std::vector<testing::Place> places = testing::PlacesIn(bytes);
    const auto targets = std::find_if(places.begin(), places.end(), [](const auto& place) {
      return place.column == ColumnKind::kEdgeTarget;
    });
    if (targets == places.end()) continue;
    bytes[targets->payload + 3] = static_cast<char>(bytes[targets->payload + 3] ^ 4);
    ++damaged;
    std::filesystem::remove(path);
    WriteFile(path, bytes);
  }
  ASSERT_EQ(damaged, 1u);
  RepairReport report;
  const State after = Repaired(&report);
  ExpectKept(after, /*parts=*/false);
  EXPECT_EQ(after.memories.size(), before_.memories.size());
  EXPECT_TRUE(Tells(report, "edges of node")) << report.findings[0];
  EXPECT_LT(after.edges.size(), before_.edges.size());
  EXPECT_TRUE(after.edges.contains(EdgeKey{1, 4, 300})) << "an edge that was not sealed";
}

// What lies before the damage is kept batch by batch, and nothing of what comes after: it could
// build on what is missing.
TEST_F(Repair, OfADamagedLogKeepsWhatIsBefore) {
  constexpr MemoryId kEach = 20;
  std::vector<std::uintmax_t> ends;
  {
    const auto store = Store::Open(Options(), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    WriteOptions power_safe;
    power_safe.durability = Durability::kPower;
    for (MemoryId id = 0; id < kMemories; id += kEach) {
      ASSERT_TRUE((*store)->Write(power_safe, Batch(id, id + kEach)).ok());
      ends.push_back(std::filesystem::file_size(NewestLog()));
    }
    Remember(**store);
    std::filesystem::copy(path_, dir_ / "crashed");  // before a close that may flush
    ASSERT_TRUE((*store)->Close().ok());
  }
  std::filesystem::remove_all(path_);
  std::filesystem::rename(dir_ / "crashed", path_);
  const std::string log = NewestLog();
  std::string bytes = ReadFile(log);
  ASSERT_GE(bytes.size(), ends.back());
  const std::size_t good = 11;  // batches
  const std::size_t at = (ends[good - 1] + ends[good]) / 2;
  bytes[at] = static_cast<char>(bytes[at] ^ 32);
  WriteFile(log, bytes);
  StoreOptions options = Options();
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(options, path_).status()));
  RepairReport report;
  const State after = Repaired(&report);
  EXPECT_GT(report.losses, 0u);
  EXPECT_TRUE(Tells(report, "log")) << report.findings[0];
  EXPECT_EQ(after.memories.size(), good * kEach);
  for (const auto& [id, record] : after.memories) EXPECT_LT(id, good * kEach);
  ExpectKept(after, /*parts=*/false);
}

// Cut off early, it names no family of ours; later, not all that there is.
TEST_F(Repair, OfAManifestThatIsCutOffKeepsAll) {
  MakeSealed();
  std::string manifest;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.path().filename().string().starts_with("MANIFEST-")) manifest = entry.path();
  }
  const std::string whole = ReadFile(manifest);
  for (std::size_t i = 0; i < 8; ++i) {
    SCOPED_TRACE(i);
    std::filesystem::resize_file(manifest, whole.size() * i / 8);
    std::filesystem::remove_all(into_);
    RepairReport report;
    const State after = Repaired(&report);
    EXPECT_GT(report.losses, 0u);
    EXPECT_EQ(after.memories.size(), before_.memories.size());
    for (const auto& [id, record] : after.memories) {
      EXPECT_EQ(record.vector, before_.memories.at(id).vector) << id;
      EXPECT_EQ(record.payload, before_.memories.at(id).payload) << id;
    }
  }
}

TEST_F(Repair, TellsHowFarItIsAndStopsWhenTold) {
  MakeSealed();
  RepairOptions options;
  std::uint64_t last = 0;
  options.progress = [&](const Progress& progress) {
    EXPECT_EQ(progress.stage, "repair");
    EXPECT_GE(progress.done, last);
    last = progress.done;
    EXPECT_EQ(progress.total, before_.memories.size());
    return true;
  };
  ASSERT_TRUE(Store::Repair(options, path_, into_).ok());
  EXPECT_EQ(last, before_.memories.size());
  const auto again = Store::Repair({}, path_, into_);
  EXPECT_TRUE(absl::IsAlreadyExists(again.status())) << again.status();
  options.progress = [](const Progress&) { return false; };
  const auto stopped = Store::Repair(options, path_, into_ + "2");
  EXPECT_TRUE(absl::IsCancelled(stopped.status())) << stopped.status();
  EXPECT_FALSE(std::filesystem::exists(into_ + "2"));
  EXPECT_FALSE(std::filesystem::exists(into_ + "2.repair"));
}

}  // namespace
}  // namespace engram

// Verify finds what is wrong, wherever it is: one thing is damaged at a time, with
// checksums that match, or by a flipped bit.
#include <cstring>
#include <functional>

#include "engram/engram.h"
#include "storage/format/record_format.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using storage::ColumnKind;
using storage::Family;
using testing::StoreSurgery;

constexpr std::uint32_t kDimension = 3;

StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  return options;
}

// Ids 10 to 19 have nodes 0 to 9; 15 is deleted, 19 bare, the others have rows in one block.
void MakeStore(const std::string& path) {
  auto store = Store::Open(Options(), path);
  ASSERT_TRUE(store.ok()) << store.status();
  WriteBatch batch;
  for (MemoryId id = 10; id < 20; ++id) {
    std::vector<float> vector(kDimension, static_cast<float>(id));
    if (id == 19) vector.clear();
    batch.Put(id, vector, "payload");
    batch.SetKey("Key " + std::to_string(id), id);
    batch.Reinforce(id, 1.0f);
    if (id > 10) batch.PutEdge({.from = id, .to = id - 1});
  }
  ASSERT_TRUE((*store)->Write({}, batch).ok());
  ASSERT_TRUE((*store)->Seal().ok());
  ASSERT_TRUE((*store)->Delete({}, 15).ok());
  ASSERT_TRUE((*store)->Close().ok());
}

std::string AllOf(const VerifyReport& report) {
  std::string all;
  for (const std::string& finding : report.findings) all += finding + "\n";
  return all;
}

struct Damage {
  std::string name;
  std::function<void(StoreSurgery&)> apply;
  std::string finding;
};

void SetHead(StoreSurgery& surgery, MemoryId id,
             const std::function<void(storage::MemoryHead&)>& change) {
  const std::string key = storage::HeadKey(id);
  auto head = storage::DecodeMemoryHead(surgery.Get(Family::kIds, key));
  ASSERT_TRUE(head.ok()) << head.status();
  change(*head);
  surgery.Put(Family::kIds, key, storage::EncodeMemoryHead(*head));
}

std::vector<Damage> DamageOfIds() {
  return {
      {"a node without an id", [](auto& s) { s.Delete(Family::kIds, storage::NodeKey(3)); },
       "the id of node 3 is missing, expected 13"},
      {"a node with the id of another",
       [](auto& s) { s.Put(Family::kIds, storage::NodeKey(3), storage::EncodeId(14)); },
       "node 3 names id 14, whose head does not have it"},
      {"a node that was never given",
       [](auto& s) { s.Put(Family::kIds, storage::NodeKey(77), storage::EncodeId(14)); },
       "node 77 names id 14"},
      {"a key that the id does not list",
       [](auto& s) { s.Delete(Family::kIds, storage::IdKeysKey(12, "Key 12")); },
       "key \"Key 12\" names id 12, which does not list it"},
      {"a list with a key of another",
       [](auto& s) { s.Put(Family::kIds, storage::IdKeysKey(12, "Key 13"), ""); },
       "id 12 lists key \"Key 13\", which does not name it"},
      {"a form that is missing",
       [](auto& s) { s.Delete(Family::kIds, storage::FormKey("key 12", "Key 12")); },
       "key \"Key 12\" is not found in texts: its form \"key 12\" is missing"},
      {"a form of no key",
       [](auto& s) { s.Put(Family::kIds, storage::FormKey("key 55", "Key 55"), ""); },
       "the form \"key 55\" is of key \"Key 55\", which does not exist"},
      {"a key that is missing", [](auto& s) { s.Delete(Family::kIds, storage::TextKey("Key 12")); },
       "id 12 lists key \"Key 12\", which does not name it"},
      {"a key of a dead memory",
       [](auto& s) { s.Put(Family::kIds, storage::TextKey("Key 12"), storage::EncodeId(15)); },
       "key \"Key 12\" names a memory that does not exist"},
      {"a head that is missing", [](auto& s) { s.Delete(Family::kIds, storage::HeadKey(13)); },
       "row 3 lives and is of node 3, and no memory names it"},
      {"a head with the node of another",
       [](auto& s) { SetHead(s, 13, [](auto& head) { head.node = 4; }); },
       "ids 13 and 14 both have node 4"},
      {"a head with a node that was never given",
       [](auto& s) { SetHead(s, 13, [](auto& head) { head.node = 4000000000; }); },
       "id 13 has node 4000000000, and only 10 were given"},
      {"a head without its row",
       [](auto& s) { SetHead(s, 13, [](auto& head) { head.row = storage::kNoRow; }); },
       "row 3 lives and is of node 3, and no memory names it"},
      {"a head with a row that nobody has",
       [](auto& s) { SetHead(s, 13, [](auto& head) { head.row = 99; }); },
       "id 13: no block and no tail holds row 99"},
      {"a head that is cut", [](auto& s) { s.Put(Family::kIds, storage::HeadKey(13), "x"); },
       "a memory head is damaged"},
  };
}

std::vector<Damage> DamageOfTheRest() {
  using storage::RecordKey;
  using storage::RecordKind;
  return {
      {"a payload that is missing",
       [](auto& s) { s.Delete(Family::kRecords, RecordKey(13, RecordKind::kPayload)); },
       "the payload of id 13 is missing"},
      {"a strength that is cut",
       [](auto& s) { s.Put(Family::kRecords, RecordKey(13, RecordKind::kStrength), "x"); },
       "id 13"},
      {"a record of a dead memory",
       [](auto& s) {
         s.Put(Family::kRecords, RecordKey(15, RecordKind::kStrength),
               storage::EncodeStrength({.added = 1, .last_use = 1}));
       },
       "id 15 does not exist, and has a record"},
      {"a row without its tombstone",
       [](auto& s) { s.Delete(Family::kTombstones, storage::RowKey(5)); },
       "row 5 lives and is of node 5, and no memory names it"},
      {"a tombstone too many", [](auto& s) { s.Put(Family::kTombstones, storage::RowKey(6), ""); },
       "id 16 lives in row 6, which is dead"},
      {"an id in a block",
       [](auto& s) { s.SetInColumn(Family::kBlocks, ColumnKind::kId, 2, std::uint64_t{13}); },
       "row 2 says id 13, and its memory is id 12"},
      {"a node in a block",
       [](auto& s) { s.SetInColumn(Family::kBlocks, ColumnKind::kNode, 2, std::uint32_t{3}); },
       "row 2 lives and is of node 3, and no memory names it"},
      {"a norm in a block",
       [](auto& s) { s.SetInColumn(Family::kBlocks, ColumnKind::kNorm, 2, 1.0f); },
       "row 2 has norm 20.7846, and says 1"},
      {"a source of an edge",
       [](auto& s) { s.SetInColumn(Family::kEdges, ColumnKind::kInSource, 0, std::uint32_t{7}); },
       "node 7 is named a source of node 0, and has no edge to it"},
      {"a target of an edge",
       [](auto& s) { s.SetInColumn(Family::kEdges, ColumnKind::kEdgeTarget, 0, std::uint32_t{7}); },
       "node 1 is named a source of node 0, and has no edge to it"},
      {"a sum of weights",
       [](auto& s) { s.SetInColumn(Family::kEdges, ColumnKind::kEdgeSum, 1, 3.0f); },
       "the weights of the edges of node 1 do not add up to their sum"},
  };
}

TEST(Verify, NamesEachThingThatIsWrong) {
  std::vector<Damage> all = DamageOfIds();
  for (Damage& damage : DamageOfTheRest()) all.push_back(std::move(damage));
  for (const Damage& damage : all) {
    SCOPED_TRACE(damage.name);
    testing::TempDir dir;
    const std::string path = dir / "s";
    MakeStore(path);
    {
      const auto sound = Store::Open(Options(), path);
      ASSERT_TRUE(sound.ok()) << sound.status();
      const auto report = (*sound)->Verify({});
      ASSERT_TRUE(report.ok()) << report.status();
      ASSERT_EQ(AllOf(*report), "");
    }
    {
      StoreSurgery surgery(path);
      damage.apply(surgery);
    }
    const auto store = Store::Open(Options(), path);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto report = (*store)->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_NE(AllOf(*report).find(damage.finding), std::string::npos) << AllOf(*report);
  }
}

// One bit in each table file, in its first block of entries: either the store does not
// open, or Verify says which family it is.
TEST(Verify, AFlippedBitInAnyTableFileIsFound) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  MakeStore(path);
  std::size_t opened = 0, tables = 0;
  for (const std::string& table : testing::TableFiles(path)) {
    ++tables;
    SCOPED_TRACE(table);
    // An open may write other files: each damage has a store of its own.
    testing::TempDir copies;
    const std::string copy = copies / "s";
    std::filesystem::copy(path, copy);
    std::string damaged = testing::ReadFile(table);
    const std::size_t column = damaged.find("EBLK");
    damaged[column == std::string::npos ? 12 : column + 20] ^= 4;
    testing::WriteFile(copy + "/" + std::string(std::filesystem::path(table).filename()), damaged);
    const auto store = Store::Open(Options(), copy);
    if (!store.ok()) {
      EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
      continue;
    }
    ++opened;
    const auto report = (*store)->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->findings.empty());
  }
  EXPECT_GE(tables, 5u);
  EXPECT_GE(opened, 3u);
}

}  // namespace
}  // namespace engram

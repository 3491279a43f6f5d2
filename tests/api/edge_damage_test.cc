// Sealed edges that are damaged: by flipped bits, and by contents that have the right
// checksums and must be bounded before kernels follow them. Each call answers right or
// says DataLoss with block and column; build with sanitizers to see that none reads beyond.
#include <cstring>
#include <functional>
#include <limits>

#include "engram/engram.h"
#include "storage/format/edge_format.h"
#include "storage/format/record_format.h"
#include "tests/api/graph_store.h"
#include "tests/support/store_surgery.h"

namespace engram {
namespace {

using absl::StatusCode;
using storage::ColumnKind;
using storage::Family;
using testing::StoreSurgery;

constexpr ColumnKind kColumns[] = {ColumnKind::kEdgeOffset, ColumnKind::kEdgeTarget,
                                   ColumnKind::kEdgeWeight, ColumnKind::kEdgeType,
                                   ColumnKind::kEdgeSum,    ColumnKind::kInOffset,
                                   ColumnKind::kInSource};
constexpr MemoryId kCount = 40;

class EdgeDamage : public ::testing::Test {
 protected:
  static StoreOptions Options() {
    StoreOptions options;
    options.dimension = 4;
    options.create_if_missing = true;
    return options;
  }

  void SetUp() override {
    auto store = Store::Open(Options(), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    for (MemoryId id = 0; id < kCount; ++id) {
      const float x = static_cast<float>(id);
      batch.Put(id, std::vector<float>{1.0f, x, x * x, 2.0f});
    }
    for (MemoryId id = 0; id < kCount; ++id) {
      batch.PutEdge({.from = id, .to = (id + 1) % kCount, .type = static_cast<uint32_t>(id % 3)});
      batch.PutEdge({.from = id, .to = (id * 7) % kCount, .weight = 0.5f, .type = 1});
      batch.PutEdge({.from = 0, .to = id, .weight = 2.0f, .type = 2});
    }
    ASSERT_TRUE((*store)->Write({}, batch).ok());
    ASSERT_TRUE((*store)->Seal().ok());
    ASSERT_TRUE((*store)->Close().ok());
  }

  // A copy of the store, opened after `damage` was done to it.
  absl::StatusOr<std::unique_ptr<Store>> OpenDamaged(
      const std::string& copy, const std::function<void(StoreSurgery&)>& damage) {
    std::filesystem::copy(path_, copy);
    {
      StoreSurgery surgery(copy);
      damage(surgery);
    }
    return Store::Open(Options(), copy);
  }

  // Every call that reads edges, with and without checksums.
  static std::vector<absl::Status> CallAll(Store& store, bool verify) {
    std::vector<absl::Status> all;
    for (MemoryId id = 0; id < kCount; ++id) {
      ReadOptions read;
      read.verify_checksums = verify;
      all.push_back(store.Neighbors(read, id, Direction::kOut).status());
      all.push_back(store.Neighbors(read, id, Direction::kIn).status());
    }
    static constexpr std::uint32_t kTypes[] = {1, 2};
    for (const bool typed : {false, true}) {
      SpreadOptions spread;
      spread.verify_checksums = verify;
      spread.explain = true;
      spread.threshold = 0.0f;
      if (typed) spread.edge_types = kTypes;
      const Seed seeds[] = {{.id = 0}, {.id = 5}};
      all.push_back(store.Spread(spread, seeds).status());
      RecallOptions recall;
      recall.seeds.verify_checksums = verify;
      recall.spread = spread;
      all.push_back(store.Recall(recall, std::vector<float>{1.0f, 2.0f, 3.0f, 4.0f}).status());
    }
    return all;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
};

bool Says(const absl::Status& status, const std::string& what) {
  return std::string(status.message()).find(what) != std::string::npos;
}

TEST_F(EdgeDamage, AFlippedBitInEachColumnIsNamed) {
  std::string table;
  for (const std::string& file : testing::TableFiles(path_)) {
    const std::string bytes = testing::ReadFile(file);
    const std::size_t at = bytes.find("EBLK");
    if (at == std::string::npos) continue;
    std::uint32_t kind = 0;
    std::memcpy(&kind, bytes.data() + at + 24, sizeof kind);
    if (kind == static_cast<std::uint32_t>(ColumnKind::kEdgeOffset)) table = file;
  }
  ASSERT_FALSE(table.empty());
  const std::string whole = testing::ReadFile(table);
  std::size_t at = whole.find("EBLK");
  for (const ColumnKind column : kColumns) {
    ASSERT_NE(at, std::string::npos);
    std::uint16_t head = 0;
    std::uint64_t bytes = 0;
    std::memcpy(&head, whole.data() + at + 6, sizeof head);
    std::memcpy(&bytes, whole.data() + at + 32, sizeof bytes);
    const std::string name(storage::ColumnName(column));
    for (const std::size_t place : {at + 8, at + 16, at + 28, at + 48, at + head,
                                    at + head + bytes / 2, at + head + bytes - 1}) {
      for (const int bit : {0, 3, 7}) {
        SCOPED_TRACE(name + ", byte " + std::to_string(place - at) + ", bit " +
                     std::to_string(bit));
        std::string damaged = whole;
        damaged[place] = static_cast<char>(damaged[place] ^ (1 << bit));
        testing::WriteFile(table, damaged);
        StoreOptions options;
        options.read_only = true;  // and so changes no file
        const auto store = Store::Open(options, path_);
        ASSERT_TRUE(store.ok()) << store.status();
        for (const absl::Status& status : CallAll(**store, /*verify=*/false)) {
          EXPECT_TRUE(status.ok() || status.code() == StatusCode::kDataLoss) << status;
        }
        for (const absl::Status& status : CallAll(**store, /*verify=*/true)) {
          EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
          EXPECT_TRUE(Says(status, "column " + name)) << status;
          EXPECT_TRUE(Says(status, "edges of node 0")) << status;
        }
        EXPECT_EQ((*store)->Get({}, 3)->vector[1], 3.0f);  // nothing else is lost
        const auto report = (*store)->Verify({});
        ASSERT_TRUE(report.ok()) << report.status();
        EXPECT_EQ(report->corrupt_blocks, 1u);
        ASSERT_FALSE(report->findings.empty());
        EXPECT_NE(report->findings[0].find("column " + name), std::string::npos)
            << report->findings[0];
      }
    }
    at = whole.find("EBLK", at + 1);
  }
  testing::WriteFile(table, whole);
}

struct Hostile {
  std::string name;
  std::function<void(StoreSurgery&)> apply;
  std::string column;
  std::string why;
};

template <typename T>
Hostile Content(ColumnKind column, std::size_t index, T content, const std::string& why) {
  return {
      std::string(storage::ColumnName(column)) + " " + std::to_string(content),
      [=](StoreSurgery& surgery) { surgery.SetInColumn(Family::kEdges, column, index, content); },
      std::string(storage::ColumnName(column)), why};
}

std::vector<Hostile> HostileContents() {
  constexpr std::uint32_t kAll = ~std::uint32_t{0};
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::string offsets = "do not ascend", node = "never given", weight = "negative or not";
  return {
      Content(ColumnKind::kEdgeOffset, 0, std::uint32_t{1}, offsets),
      Content(ColumnKind::kEdgeOffset, 7, std::uint32_t{0}, offsets),
      Content(ColumnKind::kEdgeOffset, 7, kAll, offsets),
      Content(ColumnKind::kEdgeOffset, kCount, kAll, offsets),
      Content(ColumnKind::kInOffset, 0, std::uint32_t{1}, offsets),
      Content(ColumnKind::kInOffset, 7, std::uint32_t{0}, offsets),
      Content(ColumnKind::kInOffset, kCount, kAll, offsets),
      Content(ColumnKind::kEdgeTarget, 3, static_cast<std::uint32_t>(kCount), node),
      Content(ColumnKind::kEdgeTarget, 3, kAll, node),
      Content(ColumnKind::kInSource, 3, static_cast<std::uint32_t>(kCount), node),
      Content(ColumnKind::kInSource, 3, kAll, node),
      Content(ColumnKind::kEdgeWeight, 3, std::numeric_limits<float>::quiet_NaN(), weight),
      Content(ColumnKind::kEdgeWeight, 3, kInfinity, weight),
      Content(ColumnKind::kEdgeWeight, 3, -1.0f, weight),
      Content(ColumnKind::kEdgeSum, 3, std::numeric_limits<float>::quiet_NaN(), weight),
      Content(ColumnKind::kEdgeSum, 3, -kInfinity, weight),
  };
}

TEST_F(EdgeDamage, ContentsWithRightChecksumsAreBoundedBeforeTheyAreFollowed) {
  for (const Hostile& hostile : HostileContents()) {
    SCOPED_TRACE(hostile.name);
    testing::TempDir copies;
    const auto store = OpenDamaged(copies / "s", hostile.apply);
    ASSERT_TRUE(store.ok()) << store.status();
    for (const bool verify : {false, true}) {
      for (const absl::Status& status : CallAll(**store, verify)) {
        EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
        EXPECT_TRUE(Says(status, "column " + hostile.column)) << status;
        EXPECT_TRUE(Says(status, hostile.why)) << status;
      }
    }
    EXPECT_FALSE((*store)->Verify({})->findings.empty());
    // A seal must not give damage a fresh place.
    WriteBatch batch;
    batch.PutEdge({.from = 1, .to = 2, .type = 9});
    ASSERT_TRUE((*store)->Write({}, batch).ok());
    EXPECT_EQ((*store)->Seal().code(), StatusCode::kDataLoss);
  }
}

// Lists that are out of order, or too short on one side, lead nowhere else.
TEST_F(EdgeDamage, ContentsThatAreInBoundsAndWrongAreSafeAndFound) {
  const std::vector<Hostile> all = {
      Content(ColumnKind::kEdgeType, 1, std::uint8_t{255}, ""),
      Content(ColumnKind::kEdgeType, 2, std::uint8_t{0}, ""),
      Content(ColumnKind::kEdgeTarget, 2, std::uint32_t{39}, ""),
      Content(ColumnKind::kInSource, 0, std::uint32_t{39}, ""),
      Content(ColumnKind::kInOffset, 1, std::uint32_t{0}, ""),
      Content(ColumnKind::kEdgeOffset, 1, std::uint32_t{0}, ""),
      Content(ColumnKind::kEdgeSum, 0, 0.0f, ""),
      Content(ColumnKind::kEdgeSum, 0, std::numeric_limits<float>::denorm_min(), ""),
      Content(ColumnKind::kEdgeWeight, 0, std::numeric_limits<float>::max(), ""),
  };
  for (const Hostile& hostile : all) {
    SCOPED_TRACE(hostile.name);
    testing::TempDir copies;
    const auto store = OpenDamaged(copies / "s", hostile.apply);
    ASSERT_TRUE(store.ok()) << store.status();
    for (const absl::Status& status : CallAll(**store, true)) EXPECT_TRUE(status.ok()) << status;
    EXPECT_FALSE((*store)->Verify({})->findings.empty());
    for (MemoryId id = 0; id < kCount; id += 3) ASSERT_TRUE((*store)->Delete({}, id).ok());
    for (const absl::Status& status : CallAll(**store, true)) {
      EXPECT_TRUE(status.ok() || status.code() == StatusCode::kNotFound) << status;
    }
  }
}

TEST_F(EdgeDamage, AColumnThatIsNotAlignedIsDataLoss) {
  testing::TempDir copies;
  const auto open_misaligned = [&](const std::string& copy, Family family, ColumnKind column) {
    std::filesystem::copy(path_, copy);
    std::string key;
    storage::BlockHeader header;
    const std::string payload = StoreSurgery(copy).Column(family, column, &key, &header);
    testing::PutMisaligned(copy, family, key, storage::EncodeBlockColumn(header, payload));
    return Store::Open(Options(), copy);
  };
  const auto edges = open_misaligned(copies / "e", Family::kEdges, ColumnKind::kEdgeTarget);
  ASSERT_TRUE(edges.ok()) << edges.status();
  for (const absl::Status& status : CallAll(**edges, false)) {
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    EXPECT_TRUE(Says(status, "column edge target: its payload lies ")) << status;
  }
  const auto rows = open_misaligned(copies / "r", Family::kBlocks, ColumnKind::kEmbedding);
  ASSERT_TRUE(rows.ok()) << rows.status();
  const auto found = (*rows)->Search({}, std::vector<float>{1.0f, 2.0f, 3.0f, 4.0f});
  EXPECT_EQ(found.status().code(), StatusCode::kDataLoss) << found.status();
  EXPECT_TRUE(Says(found.status(), "column embedding: its payload lies ")) << found.status();
}

TEST_F(EdgeDamage, ACatalogThatDoesNotFitTheColumnsIsDataLoss) {
  const auto with = [](const std::function<void(storage::EdgeCatalog&)>& change) {
    return [change](StoreSurgery& surgery) {
      const std::string key(storage::kEdgeCatalogKey);
      auto catalog = storage::DecodeEdgeCatalog(surgery.Get(Family::kCatalog, key));
      ASSERT_TRUE(catalog.ok()) << catalog.status();
      ASSERT_EQ(catalog->blocks.size(), 1u);
      change(*catalog);
      surgery.Put(Family::kCatalog, key, storage::EncodeEdgeCatalog(*catalog));
    };
  };
  const std::vector<std::function<void(StoreSurgery&)>> all = {
      with([](auto& c) { c.blocks[0].nodes += 1; }),
      with([](auto& c) { c.blocks[0].nodes = 4000000000; }),
      with([](auto& c) { c.blocks[0].nodes = 0; }),
      with([](auto& c) { c.blocks[0].edges -= 1; }),
      with([](auto& c) { c.blocks[0].sources += 1; }),
      with([](auto& c) { c.blocks[0].first_node = 1; }),
      with([](auto& c) { c.generation += 1; }),
      with([](auto& c) { c.blocks.push_back({.first_node = kCount, .nodes = 1, .edges = 1}); }),
      [](StoreSurgery& surgery) {
        surgery.Put(Family::kCatalog, std::string(storage::kEdgeCatalogKey), "x");
      },
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    testing::TempDir copies;
    const std::string copy = copies / "s";
    std::filesystem::copy(path_, copy);
    {
      StoreSurgery surgery(copy);
      all[i](surgery);
    }
    StoreOptions options;
    options.read_only = true;
    const auto store = Store::Open(options, copy);
    if (!store.ok()) {
      EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << store.status();
      continue;
    }
    for (const bool verify : {false, true}) {
      for (const absl::Status& status : CallAll(**store, verify)) {
        EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
      }
    }
    EXPECT_FALSE((*store)->Verify({})->findings.empty());
  }
}

TEST_F(EdgeDamage, ACommitRecordThatSaysMoreThanThereIsIsDataLossAtOpen) {
  struct Case {
    std::function<void(storage::CommitRecord&)> change;
    std::string says;
    bool last_is_named = false;  // the largest node has an id, and none below it
  };
  const std::vector<Case> cases = {
      {[](auto& record) { record.next_node = ~std::uint32_t{0} - 1; },
       "4294967294 nodes were given, and the store knows " + std::to_string(kCount)},
      {[](auto& record) { record.next_node = ~std::uint32_t{0} - 1; },
       "4294967294 nodes were given, and the store knows ", true},
      {[](auto& record) { ++record.next_node; }, std::to_string(kCount + 1) +
                                                     " nodes were given, and the store knows " +
                                                     std::to_string(kCount)}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.says);
    testing::TempDir copies;
    const std::string copy = copies / "s";
    std::filesystem::copy(path_, copy);
    {
      StoreSurgery surgery(copy);
      const std::string key(storage::kCommitKey);
      auto record = storage::DecodeCommitRecord(surgery.Get(Family::kCatalog, key));
      ASSERT_TRUE(record.ok()) << record.status();
      one.change(*record);
      if (one.last_is_named) {
        surgery.Put(Family::kIds, storage::NodeKey(record->next_node - 1), storage::EncodeId(1));
      }
      surgery.Put(Family::kCatalog, key, storage::EncodeCommitRecord(*record));
    }
    for (const bool read_only : {false, true}) {
      StoreOptions options;
      options.read_only = read_only;
      const auto store = Store::Open(options, copy);
      EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << store.status();
      EXPECT_TRUE(Says(store.status(), one.says)) << store.status();
    }
  }
}

// A row that may have been given, and was not: what is kept of dead rows grows with how many
// there are.
TEST_F(EdgeDamage, AFarTombstoneTakesNoMoreMemoryThanANearOne) {
  {
    StoreSurgery surgery(path_);
    const std::string key(storage::kCommitKey);
    auto record = storage::DecodeCommitRecord(surgery.Get(Family::kCatalog, key));
    ASSERT_TRUE(record.ok()) << record.status();
    record->next_row = storage::kMaxRow;
    surgery.Put(Family::kCatalog, key, storage::EncodeCommitRecord(*record));
    surgery.Put(Family::kTombstones, storage::RowKey(storage::kMaxRow - 1), "");
  }
  const auto store = Store::Open({}, path_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Stats().dead_rows, 1u);
  EXPECT_EQ((*store)->Get({}, 3)->vector[1], 3.0f);
}

TEST_F(EdgeDamage, DamagedEventsAreDataLossAtOpen) {
  const auto event = [](std::uint8_t kind, std::uint32_t from, std::uint32_t to, float weight) {
    std::string bytes;
    storage::AppendEdgeEvent({.kind = static_cast<storage::EdgeEvent::Kind>(kind),
                              .from = from,
                              .to = to,
                              .weight = weight},
                             &bytes);
    return bytes;
  };
  constexpr std::uint32_t kNodes = kCount;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::string> values = {"",
                                           "x",
                                           event(1, 0, 0, 1).substr(1),
                                           event(1, 0, 0, 1) + "x",
                                           event(0, 0, 0, 1),
                                           event(4, 0, 0, 1),
                                           event(1, kNodes, 0, 1),
                                           event(1, 0, kNodes, 1),
                                           event(3, ~std::uint32_t{0}, 0, 1),
                                           event(1, 0, 0, nan),
                                           event(1, 0, 0, -1)};
  for (std::size_t i = 0; i < values.size(); ++i) {
    SCOPED_TRACE(i);
    testing::TempDir copies;
    const std::string copy = copies / "s";
    std::filesystem::copy(path_, copy);
    {
      StoreSurgery surgery(copy);
      auto catalog = storage::DecodeEdgeCatalog(
          surgery.Get(Family::kCatalog, std::string(storage::kEdgeCatalogKey)));
      ASSERT_TRUE(catalog.ok()) << catalog.status();
      surgery.Put(Family::kTail, storage::EdgeEventKey(catalog->next_event), values[i]);
    }
    StoreOptions options;
    options.read_only = true;
    const auto store = Store::Open(options, copy);
    EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << store.status();
  }
}

}  // namespace
}  // namespace engram

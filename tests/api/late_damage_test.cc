// Damage that comes while a store is open, after what it hits was read and found whole: it is not
// written anew under checksums of its own, it is told from then on, and Verify() finds it.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "storage/format/block_format.h"
#include "tests/support/block_table.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using storage::ColumnKind;

constexpr std::uint32_t kDimension = 16;
constexpr MemoryId kRows = 200;
constexpr float kWeight = 0.8125f;

std::vector<float> VectorOf(MemoryId id) {
  std::vector<float> vector(kDimension, 1.0f);
  vector[id % kDimension] += static_cast<float>(id) / 64.0f;
  return vector;
}

absl::StatusOr<std::unique_ptr<Store>> MakeStore(const std::string& path) {
  StoreOptions options;
  options.dimension = kDimension;
  options.rows_per_block = 64;
  options.create_if_missing = true;
  auto store = Store::Open(options, path);
  if (!store.ok()) return store;
  WriteBatch batch;
  for (MemoryId id = 0; id < kRows; ++id) {
    batch.Put(id, VectorOf(id), "payload");
    batch.SetKey("key " + std::to_string(id), id);
    if (id > 0) batch.PutEdge({.from = id, .to = id - 1, .weight = kWeight});
  }
  for (const absl::Status& status : {(*store)->Write({}, batch), (*store)->Seal()}) {
    if (!status.ok()) return status;
  }
  return store;
}

absl::StatusOr<std::unique_ptr<Store>> OpenToRead(const std::string& path) {
  StoreOptions options;
  options.read_only = true;
  return Store::Open(options, path);
}

// A bit of the mantissa: the norm is too much alike to tell.
void FlipRow(testing::Table& table) {
  const testing::Place& rows = table.Find(ColumnKind::kEmbedding);
  table.Flip(rows.payload + 3 * kDimension * sizeof(float), 2);
}

void ExpectTold(const Store& store, const std::string& column) {
  const auto report = store.Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->findings.empty());
  EXPECT_NE(report->findings[0].find(column), std::string::npos) << report->findings[0];
}

TEST(LateDamage, OfRowsIsNotCompacted) {
  testing::TempDir dir;
  auto store = MakeStore(dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Search({}, VectorOf(3))->info.exact);
  testing::Table table(dir / "s");
  FlipRow(table);
  ASSERT_TRUE((*store)->Delete({}, 5).ok());
  const absl::Status compacted = (*store)->Compact({});
  EXPECT_TRUE(absl::IsDataLoss(compacted)) << compacted;
  EXPECT_TRUE(absl::IsDataLoss((*store)->Get({}, 3).status()));
  EXPECT_TRUE(absl::IsDataLoss((*store)->Search({}, VectorOf(3)).status()));
  ExpectTold(**store, "column embedding");
  store->reset();
  store = Store::Open({}, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(absl::IsDataLoss((*store)->Get({}, 3).status()));
  table.WriteWhole();
  const auto record = (*store)->Get({}, 3);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->vector, VectorOf(3));
}

// A file that nothing is dead in is left alone, and looked at.
TEST(LateDamage, OfRowsThatNeedNoCompactionIsTold) {
  testing::TempDir dir;
  auto store = MakeStore(dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  testing::Table table(dir / "s");
  FlipRow(table);
  const absl::Status compacted = (*store)->Compact({});
  EXPECT_TRUE(absl::IsDataLoss(compacted)) << compacted;
}

TEST(LateDamage, OfCodesIsMended) {
  testing::TempDir dir;
  auto store = MakeStore(dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  testing::Table table(dir / "s");
  table.Flip(table.Find(ColumnKind::kCode).payload + 100, 1);
  ExpectTold(**store, "column code");
  EXPECT_TRUE((*store)->Compact({}).ok());
  EXPECT_TRUE((*store)->Search({}, VectorOf(3))->info.exact);
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
}

TEST(LateDamage, OfSmallFilesIsNotMerged) {
  testing::TempDir dir;
  auto store = MakeStore(dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  testing::Table table(dir / "s");
  FlipRow(table);
  for (MemoryId id = kRows; id < kRows + 40; ++id) {  // as many files, of which runs are merged
    ASSERT_TRUE((*store)->Put({}, id, VectorOf(id), "p").ok());
    ASSERT_TRUE((*store)->Seal().ok());
  }
  ExpectTold(**store, "column embedding");
  EXPECT_TRUE(absl::IsDataLoss((*store)->Get({}, 3).status()));
}

TEST(LateDamage, OfEdgesIsNotSealed) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  auto store = MakeStore(path);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Neighbors({}, 9, Direction::kOut)->size(), 1u);
  std::string damaged;
  for (const std::string& file : testing::TableFiles(path)) {
    const std::string whole = testing::ReadFile(file);
    for (const testing::Place& place : testing::PlacesIn(whole)) {
      if (place.column != ColumnKind::kEdgeWeight) continue;
      damaged = file;
      const auto at = static_cast<off_t>(place.payload + 9 * sizeof(float));
      const char flipped = static_cast<char>(whole[static_cast<std::size_t>(at)] ^ 4);
      const int opened = ::open(file.c_str(), O_WRONLY);
      ASSERT_EQ(::pwrite(opened, &flipped, 1, at), 1);
      ::close(opened);
    }
  }
  ASSERT_FALSE(damaged.empty());
  WriteBatch batch;
  batch.PutEdge({.from = 50, .to = 60});
  ASSERT_TRUE((*store)->Write({}, batch).ok());
  const absl::Status sealed = (*store)->Seal();
  EXPECT_TRUE(absl::IsDataLoss(sealed)) << sealed;
  EXPECT_TRUE(absl::IsDataLoss((*store)->Neighbors({}, 9, Direction::kOut).status()));
  ExpectTold(**store, "column edge weight");
}

// RocksDB has it in its cache, and the tables of ids are not mapped.
TEST(LateDamage, OfIdsThatAreCachedIsFound) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  ASSERT_TRUE(MakeStore(path).ok());
  const auto store = Store::Open({}, path);  // what was in memory is in tables now
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->IdForKey({}, "key 7").ok());
  ASSERT_TRUE((*store)->Verify({})->findings.empty());
  int flipped = 0;
  for (const std::string& file : testing::TableFiles(path)) {
    std::string whole = testing::ReadFile(file);
    // LZ4 leaves what comes first as it is.
    const std::size_t at = whole.find("key 0");
    if (at == std::string::npos) continue;
    const int opened = ::open(file.c_str(), O_WRONLY);
    ASSERT_EQ(::pwrite(opened, "K", 1, static_cast<off_t>(at)), 1);
    ::close(opened);
    ++flipped;
  }
  ASSERT_GT(flipped, 0);
  ExpectTold(**store, ".sst");
}

TEST(LateDamage, AnotherDirectoryInItsPlaceIsNotTakenForIt) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  ASSERT_TRUE(MakeStore(path).ok());
  const auto reader = OpenToRead(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_TRUE((*reader)->Search({}, VectorOf(3))->info.exact);
  EXPECT_TRUE((*reader)->Refresh().ok());
  std::filesystem::copy(path, dir / "copy");
  std::filesystem::rename(path, dir / "old");
  EXPECT_TRUE(absl::IsNotFound((*reader)->Refresh()));
  std::filesystem::rename(dir / "copy", path);
  testing::Table table(path);
  FlipRow(table);
  const absl::Status refreshed = (*reader)->Refresh();
  EXPECT_TRUE(absl::IsFailedPrecondition(refreshed)) << refreshed;
  const auto found = (*reader)->Search({}, VectorOf(3));  // of the state of before
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->info.exact);
}

TEST(LateDamage, AnotherStoreInTheDirectoryIsNotTakenForIt) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  ASSERT_TRUE(MakeStore(path).ok());
  const auto reader = OpenToRead(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::filesystem::remove(entry.path());
  }
  StoreOptions other;
  other.dimension = kDimension;
  other.metric = Metric::kDot;
  other.create_if_missing = true;
  ASSERT_TRUE(Store::Open(other, path).ok());
  const absl::Status refreshed = (*reader)->Refresh();
  EXPECT_TRUE(absl::IsFailedPrecondition(refreshed)) << refreshed;
}

}  // namespace
}  // namespace engram

// StoreOptions::verify_at_open: damage in any sealed column is told by the open, and named.
#include <gtest/gtest.h>

#include <filesystem>

#include "engram/engram.h"
#include "storage/format/block_format.h"
#include "tests/support/block_table.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 16;
constexpr MemoryId kRows = 1000;

StoreOptions Options(bool verify_at_open, bool read_only) {
  StoreOptions options;
  options.verify_at_open = verify_at_open;
  options.read_only = read_only;
  return options;
}

void MakeStore(const std::string& path) {
  StoreOptions options;
  options.dimension = kDimension;
  options.rows_per_block = 256;
  options.create_if_missing = true;
  const auto store = Store::Open(options, path);
  ASSERT_TRUE(store.ok()) << store.status();
  WriteBatch batch;
  std::vector<float> vector(kDimension, 1.0f);
  for (MemoryId id = 0; id < kRows; ++id) {
    vector[id % kDimension] += 0.25f;
    batch.Put(id, vector, "p");
    if (id > 0) batch.PutEdge({.from = id, .to = id / 2, .type = static_cast<uint32_t>(id % 2)});
  }
  ASSERT_TRUE((*store)->Write({}, batch).ok());
  ASSERT_TRUE((*store)->Seal().ok());
}

TEST(VerifyAtOpen, NamesWhateverSealedColumnIsDamaged) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  MakeStore(path);
  std::size_t rows = 0, edges = 0;
  for (const std::string& file : testing::TableFiles(path)) {
    const std::string whole = testing::ReadFile(file);
    for (const testing::Place& place : testing::PlacesIn(whole)) {
      ++(place.column < storage::ColumnKind::kEdgeOffset ||
                 place.column >= storage::ColumnKind::kCode
             ? rows
             : edges);
      const std::string column = "column " + std::string(storage::ColumnName(place.column));
      std::string damaged = whole;
      char& byte = damaged[place.payload + place.bytes / 2];
      byte = static_cast<char>(byte ^ 8);
      testing::WriteFile(file, damaged);
      for (const bool read_only : {true, false}) {
        const absl::Status told = Store::Open(Options(true, read_only), path).status();
        EXPECT_TRUE(absl::IsDataLoss(told)) << column << ": " << told;
        EXPECT_NE(told.message().find(column), std::string::npos) << told;
      }
      EXPECT_TRUE(Store::Open(Options(false, true), path).ok()) << column;
    }
    testing::WriteFile(file, whole);
  }
  EXPECT_EQ(rows, 4u * 6);
  EXPECT_GE(edges, 6u);
  for (const bool read_only : {true, false}) {
    const auto store = Store::Open(Options(true, read_only), path);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto found = (*store)->Search({}, std::vector<float>(kDimension, 1.0f));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(found->info.exact);
  }
}

}  // namespace
}  // namespace engram

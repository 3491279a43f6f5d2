// Table files cut off while a store has them mapped: what was not read before is DataLoss, where
// touching it would end the process.
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <cstdio>
#include <filesystem>

#include "engram/engram.h"
#include "tests/support/block_table.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 64;
constexpr MemoryId kRows = 4096;

// MADV_POPULATE_READ is what tells before a page is touched.
bool KernelTells() {
  utsname name{};
  int major = 0, minor = 0;
  return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major > 5 || (major == 5 && minor >= 14));
}

class CutTable : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!KernelTells()) GTEST_SKIP() << "needs a Linux kernel of 5.14 or later";
    StoreOptions options;
    options.dimension = kDimension;
    options.rows_per_block = 1024;
    options.create_if_missing = true;
    const auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    std::vector<float> vector(kDimension, 1.0f);
    for (MemoryId id = 0; id < kRows; ++id) {
      vector[id % kDimension] += 0.5f;
      batch.Put(id, vector, "p");
    }
    for (MemoryId id = 0; id < kRows; ++id) {
      for (MemoryId to = 0; to < 8; ++to) {
        batch.PutEdge({.from = id, .to = (id * 5 + to * 17) % kRows, .weight = 1.0f});
      }
    }
    ASSERT_TRUE((*store)->Write({}, batch).ok());
    ASSERT_TRUE((*store)->Seal().ok());
    query_ = vector;
  }

  std::unique_ptr<Store> Open(bool read_only) const {
    StoreOptions options;
    options.read_only = read_only;
    auto store = Store::Open(options, path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::vector<float> query_;
};

TEST_F(CutTable, OfRowsIsDataLoss) {
  const testing::Table table(path_);
  const std::size_t cut = table.Find(storage::ColumnKind::kEmbedding, 2).payload + 8192;
  for (const bool read_only : {true, false}) {
    const std::string name = read_only ? "read-only" : "for writing";
    const auto store = Open(read_only);
    std::filesystem::resize_file(table.path(), cut);
    EXPECT_TRUE((*store).Get({}, 7).ok()) << name;
    const auto lost = store->Get({}, 3000);
    EXPECT_TRUE(absl::IsDataLoss(lost.status())) << name << lost.status();
    EXPECT_NE(lost.status().message().find("block at row 2048"), std::string::npos)
        << lost.status();
    for (const bool plain : {false, true}) {
      SearchOptions search;
      search.plain = plain;
      const auto found = store->Search(search, query_);
      EXPECT_TRUE(absl::IsDataLoss(found.status())) << name << found.status();
    }
    EXPECT_TRUE(absl::IsDataLoss(store->Recall({}, query_).status())) << name;
    const auto report = store->Verify({});
    EXPECT_TRUE(absl::IsDataLoss(report.status()) || (report.ok() && report->corrupt_blocks > 0))
        << name << report.status();
    table.WriteWhole();
  }
}

TEST_F(CutTable, OfEdgesIsDataLoss) {
  std::string edges;
  for (const std::string& path : testing::TableFiles(path_)) {
    if (std::filesystem::file_size(path) > 8 * kRows * sizeof(float) &&
        path != testing::Table(path_).path()) {
      edges = path;
    }
  }
  ASSERT_FALSE(edges.empty());
  const auto store = Open(true);
  std::filesystem::resize_file(edges, 16384);
  const auto neighbors = store->Neighbors({}, kRows - 1, Direction::kOut);
  EXPECT_TRUE(absl::IsDataLoss(neighbors.status())) << neighbors.status();
  const Seed seed{.id = 5, .activation = 1.0f};
  EXPECT_TRUE(absl::IsDataLoss(store->Spread({}, {&seed, 1}).status()));
  EXPECT_TRUE(store->Search({}, query_).ok());
}

}  // namespace
}  // namespace engram

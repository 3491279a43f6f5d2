// A writer of blocks whose disk fails while threads still make the codes of what waits.
#include "storage/block_file_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <vector>

#include "storage/database.h"
#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

constexpr std::uint32_t kDimension = 256;

class BlockFileWriterTest : public ::testing::Test {
 protected:
  BlockFileWriterTest() : row_(kDimension) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& value : row_) value = normal(random);
    auto database = Database::Open({.create_if_missing = true}, dir_ / "d");
    EXPECT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
  }

  BlockFileWriter Writer() const {
    return BlockFileWriter(*database_, {.dimension = kDimension, .rows_per_block = 64}, 1, nullptr,
                           nullptr);
  }
  absl::Status Add(BlockFileWriter& writer, std::uint64_t row) {
    return writer.Add({.row = row, .id = row, .node = 0, .norm = 16.0f, .embedding = row_});
  }
  std::vector<std::string> Leftovers() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / "d")) {
      if (entry.path().extension() == ".ingest") found.push_back(entry.path().filename());
    }
    return found;
  }

  testing::TempDir dir_;
  std::shared_ptr<Database> database_;
  std::vector<float> row_;
};

TEST_F(BlockFileWriterTest, FailsWhereNoFileCanBeMade) {
  std::filesystem::rename(dir_ / "d", dir_ / "away");
  {
    BlockFileWriter writer = Writer();
    absl::Status added;
    std::uint64_t rows = 0;
    while (added.ok() && rows < 64 * 64) added = Add(writer, rows++);
    EXPECT_FALSE(added.ok());
    EXPECT_GT(rows, 64u) << "the first full block is written while others wait";
  }
  std::filesystem::rename(dir_ / "away", dir_ / "d");
  EXPECT_TRUE(Leftovers().empty());
}

TEST_F(BlockFileWriterTest, IsLetGoWithCodesUnderWay) {
  {
    BlockFileWriter writer = Writer();
    for (std::uint64_t row = 0; row < 64 * 70 + 3; ++row) ASSERT_TRUE(Add(writer, row).ok());
    EXPECT_FALSE(Leftovers().empty());
  }
  EXPECT_TRUE(Leftovers().empty());
}

TEST_F(BlockFileWriterTest, WritesAllBlocksInOrder) {
  BlockFileWriter writer = Writer();
  for (std::uint64_t row = 0; row < 64 * 70 + 3; ++row) ASSERT_TRUE(Add(writer, row).ok());
  const auto files = writer.Finish();
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 2u);
  std::uint64_t next = 0;
  for (const BlockFile& file : *files) {
    EXPECT_TRUE(std::filesystem::exists(file.path));
    for (const BlockExtent& extent : file.entry.blocks) {
      EXPECT_EQ(extent.first_row, next);
      next += extent.rows;
    }
  }
  EXPECT_EQ(next, 64u * 70 + 3);
}

}  // namespace
}  // namespace engram::storage

// WalkSound: what of a table is sound comes, once and in order, whichever of its blocks are
// damaged.
#include "storage/salvage_walk.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "rocksdb/table.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

constexpr int kKeys = 20000;
constexpr std::size_t kValueBytes = 100;
constexpr int kKeysPerBlock = 40;  // at most

std::string KeyOf(int i) {
  char key[16];
  std::snprintf(key, sizeof key, "k%08d", i);
  return key;
}
std::string ValueOf(int i) {
  std::string value = "value of " + KeyOf(i);
  value.resize(kValueBytes, 'v');
  return value;
}

rocksdb::Options Options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::unique_ptr<rocksdb::DB> Open(const std::string& path) {
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(Options(), path, &db);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return std::unique_ptr<rocksdb::DB>(db);
}

class SalvageWalk : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto db = Open(path_);
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_TRUE(db->Put({}, KeyOf(i), ValueOf(i)).ok());
    }
    ASSERT_TRUE(db->Flush({}).ok());
  }

  // Damages the blocks that hold these. Returns: the keys that still come.
  std::set<int> KeptWithout(const std::set<int>& damaged) {
    for (const std::string& table : testing::TableFiles(path_)) {
      std::string bytes = testing::ReadFile(table);
      std::size_t at = 0;
      for (const int i : damaged) {
        at = bytes.find("value of " + KeyOf(i), at);
        EXPECT_NE(at, std::string::npos) << i;
        bytes[at + kValueBytes / 2] ^= 1;
      }
      testing::WriteFile(table, bytes);
    }
    const auto db = Open(path_);
    std::set<int> kept;
    std::size_t lost = 0;
    std::string last;
    WalkSound(
        *db, db->DefaultColumnFamily(), "k",
        [&](std::string_view key, std::string_view value) {
          EXPECT_LT(last, key);
          last = key;
          const int i = std::stoi(last.substr(1));
          EXPECT_EQ(value, ValueOf(i));
          kept.insert(i);
        },
        [&](const std::string& why) {
          EXPECT_NE(why.find("orruption"), std::string::npos) << why;
          ++lost;
        });
    EXPECT_EQ(lost > 0, !damaged.empty());
    EXPECT_LE(lost, damaged.size());
    return kept;
  }

  void ExpectAllButBlocksOf(const std::set<int>& damaged) {
    const std::set<int> kept = KeptWithout(damaged);
    for (const int i : damaged) EXPECT_FALSE(kept.contains(i)) << i;
    for (int i = 0; i < kKeys; ++i) {
      if (kept.contains(i)) continue;
      const auto next = damaged.lower_bound(i - kKeysPerBlock);
      EXPECT_TRUE(next != damaged.end() && *next < i + kKeysPerBlock) << KeyOf(i);
    }
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "db";
};

TEST_F(SalvageWalk, OfASoundTableIsAll) { EXPECT_EQ(KeptWithout({}).size(), std::size_t{kKeys}); }

TEST_F(SalvageWalk, GoesOnBehindTheFirstAndTheLastBlock) { ExpectAllButBlocksOf({0, kKeys - 1}); }

TEST_F(SalvageWalk, FindsWhatLiesBetweenDamagedBlocks) {
  std::set<int> damaged;
  for (int i = 1000; i < kKeys; i += 4 * kKeysPerBlock) damaged.insert(i);
  ExpectAllButBlocksOf(damaged);
}

TEST_F(SalvageWalk, OfManyAtRandomLosesLittleElse) {
  constexpr unsigned kSeed = 17;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  std::set<int> damaged;
  for (int i = 0; i < 100; ++i) damaged.insert(static_cast<int>(random() % kKeys));
  const std::set<int> kept = KeptWithout(damaged);
  EXPECT_GT(kept.size(), std::size_t{kKeys} - 100 * kKeysPerBlock);
}

TEST_F(SalvageWalk, OfNothingSoundEnds) {
  std::set<int> damaged;
  for (int i = 0; i < kKeys; ++i) damaged.insert(i);
  EXPECT_TRUE(KeptWithout(damaged).empty());
}

}  // namespace
}  // namespace engram::storage

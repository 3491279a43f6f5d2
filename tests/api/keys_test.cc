// Keys of many memories: gone with them, walked beside them, and at a cost that does not grow with
// the number of others.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engram/engram.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using testing::TempDir;
using Keys = std::vector<std::string>;

class KeysTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.dimension = 2;
    options.create_if_missing = true;
    auto store = Store::Open(options, folder_ / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Write(const WriteBatch& batch) {
    const absl::Status status = store_->Write({}, batch);
    ASSERT_TRUE(status.ok()) << status;
  }

  TempDir folder_;
  std::unique_ptr<Store> store_;
};

// Puts `count` memories with a key each and deletes them, in one batch. Returns: the seconds of
// processor time that it took.
double SecondsToPutAndDelete(Store& store, MemoryId first, MemoryId count) {
  WriteBatch batch;
  for (MemoryId id = first; id < first + count; ++id) {
    batch.Put(id, {});
    batch.SetKey(absl::StrCat("key ", id), id);
  }
  for (MemoryId id = first; id < first + count; ++id) batch.Delete(id);
  const std::clock_t begin = std::clock();
  const absl::Status status = store.Write({}, batch);
  const std::clock_t end = std::clock();
  EXPECT_TRUE(status.ok()) << status;
  return static_cast<double>(end - begin) / CLOCKS_PER_SEC;
}

TEST_F(KeysTest, ADeletionCostsTheSameAmongMany) {
  constexpr MemoryId kFew = 2000, kMany = 16 * kFew;
  double few = 1e9;
  for (MemoryId i = 0; i < 3; ++i) {
    few = std::min(few, SecondsToPutAndDelete(*store_, i * kFew, kFew));
  }
  const double many = SecondsToPutAndDelete(*store_, 3 * kFew, kMany);
  // 16 times as many take about 16 times as long; if each deletion walked all keys, 256 times.
  EXPECT_LT(many, 64 * few) << few << " s";
  EXPECT_EQ(store_->Stats().memories, 0u);
}

TEST_F(KeysTest, ADeletionTakesThoseOfItsBatchAndOfBefore) {
  WriteBatch before;
  before.Put(1, {});
  before.SetKey("old", 1);
  before.SetKey("moves away", 1);
  before.Put(2, {});
  Write(before);
  WriteBatch batch;
  batch.SetKey("new", 1);
  batch.SetKey("moves away", 2);
  for (const MemoryId id : {2, 1}) batch.SetKey("comes", id);
  for (const MemoryId id : {1, 2, 1}) batch.SetKey("back", id);
  batch.Delete(1);
  Write(batch);
  for (const char* gone : {"old", "new", "comes", "back"}) {
    EXPECT_TRUE(absl::IsNotFound(store_->IdForKey({}, gone).status())) << gone;
  }
  EXPECT_EQ(store_->IdForKey({}, "moves away").value_or(0), 2u);
  EXPECT_EQ(store_->Get({}, 2)->keys, Keys{"moves away"});
  const auto named = store_->FindNamed({}, "old, new; it comes back and moves away.");
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_EQ(named->size(), 1u);
  EXPECT_EQ((*named)[0].key, "moves away");
  // A memory that comes again has no keys of its former life.
  ASSERT_TRUE(store_->Put({}, 1, {}).ok());
  EXPECT_EQ(store_->Get({}, 1)->keys, Keys());
}

TEST_F(KeysTest, ARequestThatFailsLeavesKeysAsTheyWere) {
  WriteBatch before;
  before.Put(1, {});
  before.SetKey("a", 1);
  before.Put(2, {});
  Write(before);
  WriteBatch failing;
  failing.SetKey("b", 1);
  failing.SetKey("a", 2);
  failing.Delete(9);
  EXPECT_TRUE(absl::IsNotFound(store_->Write({}, failing)));
  EXPECT_EQ(store_->Get({}, 1)->keys, Keys{"a"});
  ASSERT_TRUE(store_->Delete({}, 1).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->IdForKey({}, "a").status()));
}

TEST_F(KeysTest, AnIteratorGivesEachMemoryItsOwn) {
  WriteBatch batch;
  const auto keys_of = [](MemoryId id) {
    Keys keys;
    for (MemoryId i = 0; i < id % 4; ++i) keys.push_back(absl::StrCat("key ", id, " ", i));
    return keys;
  };
  for (MemoryId id = 0; id < 400; id += 1 + id % 3) {
    batch.Put(id, {});
    for (const std::string& key : keys_of(id)) batch.SetKey(key, id);
  }
  Write(batch);
  WriteBatch deletions;
  for (MemoryId id = 0; id < 400; ++id) {
    if (id % 7 == 0 && store_->Get({}, id).ok()) deletions.Delete(id);
  }
  Write(deletions);
  const auto it = store_->NewIterator({});
  std::size_t seen = 0;
  for (; it->Valid(); it->Next(), ++seen) {
    ASSERT_EQ(Keys(it->keys().begin(), it->keys().end()), keys_of(it->id())) << it->id();
  }
  EXPECT_TRUE(it->status().ok()) << it->status();
  EXPECT_EQ(seen, store_->Stats().memories);
  // In any order; behind the last there is none.
  for (const MemoryId at : {399u, 3u, 3u, 200u, 199u, 5000u, 0u, 398u}) {
    for (it->Seek(at); it->Valid(); it->Next()) {
      ASSERT_EQ(Keys(it->keys().begin(), it->keys().end()), keys_of(it->id())) << it->id();
    }
    EXPECT_TRUE(it->status().ok()) << it->status();
  }
}

// As a version of another Unicode leaves them behind, that folds a key in another way.
TEST_F(KeysTest, AFormWhoseKeyIsGoneHidesNoOther) {
  WriteBatch batch;
  for (MemoryId id = 1; id <= 2; ++id) batch.Put(id, {});
  batch.SetKey("Engine", 1);
  batch.SetKey("difference engine", 2);
  Write(batch);
  ASSERT_TRUE(store_->Close().ok());
  store_.reset();
  {
    testing::StoreSurgery surgery(folder_ / "s");
    for (const char* gone : {"Analytical Engine", "ANALYTICAL engine"}) {
      surgery.Put(storage::Family::kIds, storage::FormKey("analytical engine", gone), "");
    }
    surgery.Put(storage::Family::kIds, storage::FormKey("difference engine", "A gone one"), "");
  }
  SetUp();
  const auto named =
      store_->FindNamed({}, "The analytical engine, after the difference engine of 1822");
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_EQ(named->size(), 2u);
  EXPECT_EQ((*named)[0].key, "Engine");
  EXPECT_EQ((*named)[0].id, 1u);
  EXPECT_EQ((*named)[1].key, "difference engine");
  EXPECT_EQ((*named)[1].id, 2u);
}

}  // namespace
}  // namespace engram

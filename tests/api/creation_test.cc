// The beginnings and ends of a store: creations that end early, who holds the lock meanwhile,
// and what is on the disk when a call says so.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "engram/engram.h"
#include "storage/database.h"
#include "storage/store_directory.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace {

std::mutex synced_mutex;
std::set<std::string> synced;

}  // namespace

// Takes the place of the C library's, for RocksDB as well.
extern "C" int fsync(int descriptor) {
  std::error_code error;
  const auto path =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
  {
    const std::lock_guard lock(synced_mutex);
    synced.insert(path.string());
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace engram {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ChildProcess;

const std::vector<float> kVector = {1, 2, 3, 4};

StoreOptions Create(bool error_if_exists = false) {
  StoreOptions options;
  options.dimension = 4;
  options.create_if_missing = true;
  options.error_if_exists = error_if_exists;
  return options;
}

StoreOptions ReadOnly() {
  StoreOptions options;
  options.read_only = true;
  return options;
}

bool Says(const absl::Status& status, const std::string& part) {
  return status.message().find(part) != std::string::npos;
}

// Leaves what a creation leaves that ends before the description is written.
void BeginCreation(const std::string& path, bool all_families) {
  if (all_families) {
    const auto database =
        storage::Database::Open({.create_if_missing = true, .block_cache_bytes = 1 << 20}, path);
    ASSERT_TRUE(database.ok()) << database.status();
    return;
  }
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, path, &raw).ok());
  const std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::ColumnFamilyHandle* catalog = nullptr;
  ASSERT_TRUE(db->CreateColumnFamily(rocksdb::ColumnFamilyOptions(),
                                     std::string(storage::FamilyName(storage::Family::kCatalog)),
                                     &catalog)
                  .ok());
  ASSERT_TRUE(db->DestroyColumnFamilyHandle(catalog).ok());
}

class EarlyEnd : public ::testing::TestWithParam<bool> {
 protected:
  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
};

TEST_P(EarlyEnd, IsNoStoreYetAndIsBegunAgain) {
  BeginCreation(path_, GetParam());
  for (const StoreOptions& options : {StoreOptions(), ReadOnly()}) {
    const absl::Status status = Store::Open(options, path_).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
    EXPECT_TRUE(Says(status, "begun again")) << status;
  }
  {
    const auto store = Store::Open(Create(/*error_if_exists=*/true), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Put({}, 1, kVector, "one").ok());
  }
  const absl::Status again = Store::Open(Create(/*error_if_exists=*/true), path_).status();
  EXPECT_EQ(again.code(), StatusCode::kAlreadyExists) << again;
  const auto store = Store::Open(Create(), path_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Get({}, 1)->payload, "one");
}

TEST_P(EarlyEnd, IsDestroyedAsAStore) {
  BeginCreation(path_, GetParam());
  const absl::Status destroyed = Store::Destroy(path_);
  EXPECT_TRUE(destroyed.ok()) << destroyed;
  EXPECT_FALSE(fs::exists(path_));
}

INSTANTIATE_TEST_SUITE_P(After, EarlyEnd, ::testing::Bool(), [](const auto& all_families) {
  return all_families.param ? "AllFamilies" : "OneFamily";
});

// What has lost its description, and with it the commit record, is no place for a new store.
TEST(Creation, IsNotBegunOverMemories) {
  for (const bool both : {false, true}) {
    SCOPED_TRACE(both);
    testing::TempDir dir;
    const std::string path = dir / "s";
    {
      const auto store = Store::Open(Create(), path);
      ASSERT_TRUE(store.ok()) << store.status();
      ASSERT_TRUE((*store)->Put({}, 1, kVector).ok());
    }
    {
      const auto database = storage::Database::Open({.block_cache_bytes = 1 << 20}, path);
      ASSERT_TRUE(database.ok()) << database.status();
      const auto erase = [&](storage::Family family, std::string_view key) {
        EXPECT_TRUE(
            (*database)
                ->db()
                .Delete(rocksdb::WriteOptions(), (*database)->family(family), std::string(key))
                .ok());
      };
      erase(storage::Family::kDefault, storage::kMetaKey);
      if (both) erase(storage::Family::kCatalog, storage::kCommitKey);
      ASSERT_TRUE((*database)->SyncLog().ok());
      if (both) {
        ASSERT_TRUE((*database)->FlushFamilies().ok());
      }
    }
    for (const StoreOptions& options : {StoreOptions(), ReadOnly(), Create(), Create(true)}) {
      const absl::Status status = Store::Open(options, path).status();
      EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    }
    EXPECT_EQ(Store::Destroy(path).code(), StatusCode::kDataLoss);
  }
}

// The kernel drops all locks of a process on a file when it closes any descriptor of it.
TEST(Locks, AskingWhoHoldsOneDoesNotDropIt) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  const auto store = Store::Open(Create(), path);
  ASSERT_TRUE(store.ok()) << store.status();
  std::size_t held = 0;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string holder = storage::DirectoryLock::DescribeHolder(entry.path());
    held += holder == "this process (" + std::to_string(::getpid()) + ")";
  }
  EXPECT_EQ(held, 2u);  // ours and RocksDB's
  EXPECT_EQ(storage::DirectoryLock::DescribeHolder(path + "/none"), "another process");
  const absl::Status here = Store::Open(Create(), path).status();
  EXPECT_EQ(here.code(), StatusCode::kUnavailable) << here;
  EXPECT_TRUE(Says(here, "this process")) << here;
  ChildProcess child({ENGRAM_STORE_CHILD, "hold", path});
  EXPECT_EQ(child.ReadLine(), "");
  EXPECT_EQ(child.Finish(), 1);
}

// What looks like somebody else's database may be what whoever has the lock has made so far.
TEST(Locks, WhatIsHalfMadeOrHalfGoneIsUnavailable) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, path, &raw).ok());
  delete raw;
  const auto lock = storage::DirectoryLock::Acquire(path, std::chrono::milliseconds(0));
  ASSERT_TRUE(lock.ok()) << lock.status();
  const auto refused = [&] {
    for (const absl::Status& status :
         {Store::Open(StoreOptions(), path).status(), Store::Open(Create(), path).status(),
          Store::Destroy(path)}) {
      EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    }
  };
  refused();
  ASSERT_TRUE(fs::remove(path + "/CURRENT"));
  refused();
}

// Between the check of a directory and the end of what was begun there nobody else comes.
TEST(Locks, OpeningAndDestroyingExcludeEachOther) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  std::atomic<int> open{0}, opened{0}, destroyed{0};
  const auto work = [&](bool destroy) {
    for (int i = 0; i < 40 && !::testing::Test::HasFailure(); ++i) {
      if (destroy && i % 3 == 0) {
        const absl::Status status = Store::Destroy(path);
        destroyed += status.ok();
        EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
        continue;
      }
      const auto store = Store::Open(Create(), path);
      if (!store.ok()) continue;  // what is half made or half gone has many names
      EXPECT_EQ(++open, 1);
      ++opened;
      EXPECT_TRUE((*store)->Put({}, 1, kVector).ok());
      EXPECT_TRUE((*store)->Get({}, 1).ok());
      --open;
      EXPECT_TRUE((*store)->Close().ok());
    }
  };
  std::thread other(work, true);
  work(false);
  other.join();
  EXPECT_GT(opened, 0);
  EXPECT_GT(destroyed, 0);
}

TEST(Locks, AStoreThatIsOpenAsADatabaseIsUnavailable) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  ASSERT_TRUE(Store::Open(Create(), path).ok());
  rocksdb::FileLock* lock = nullptr;
  ASSERT_TRUE(rocksdb::Env::Default()->LockFile(path + "/LOCK", &lock).ok());
  for (const absl::Status& status : {Store::Open(Create(), path).status(), Store::Destroy(path)}) {
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_TRUE(Says(status, "this process")) << status;
  }
  ASSERT_TRUE(rocksdb::Env::Default()->UnlockFile(lock).ok());
  EXPECT_TRUE(Store::Open(Create(), path).ok());
}

TEST(Locks, DirectoriesOfOtherDatabasesAreNotWrittenInto) {
  testing::TempDir dir;
  const std::string path = dir / "theirs";
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, path, &raw).ok());
  const std::unique_ptr<rocksdb::DB> db(raw);
  EXPECT_EQ(Store::Open(StoreOptions(), path).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Store::Destroy(path).code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(fs::exists(path + "/ENGRAM.LOCK"));
}

// A new directory is there after power loss only when the one it lies in is synced.
TEST(Creation, SyncsWhereADirectoryIsNamed) {
  testing::TempDir dir;
  const std::string inner = dir / "a/b";
  const auto store = Store::Open(Create(), inner + "/s");
  ASSERT_TRUE(store.ok()) << store.status();
  {
    const std::lock_guard lock(synced_mutex);
    for (const std::string& parent :
         {inner, dir / "a", fs::path(dir / "a").parent_path().string()}) {
      EXPECT_TRUE(synced.contains(parent)) << parent;
    }
    synced.clear();
  }
  ASSERT_TRUE((*store)->Backup({}, inner + "/backup").ok());
  const std::lock_guard lock(synced_mutex);
  EXPECT_TRUE(synced.contains(inner));
}

}  // namespace
}  // namespace engram

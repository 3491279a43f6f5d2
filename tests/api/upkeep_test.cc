// What the store does by itself: sealing, compacting and merging beside writers, for as
// long as it takes, whatever the options and whatever is damaged.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "engram/engram.h"
#include "storage/maintenance.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A hang is a failure, and nothing can be taken down in good order after one.
template <typename Function>
void Within(seconds limit, Function function) {
  std::future<void> done = std::async(std::launch::async, function);
  if (done.wait_for(limit) == std::future_status::ready) return done.get();
  std::fprintf(stderr, "still not done after %d seconds\n", static_cast<int>(limit.count()));
  std::_Exit(1);
}

bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 600 && !holds(); ++i) std::this_thread::sleep_for(milliseconds(50));
  return holds();
}

std::vector<float> VectorOf(std::uint32_t dimension, MemoryId id) {
  std::vector<float> vector(dimension, 0.25f);
  vector[id % dimension] = static_cast<float>(id + 1);
  return vector;
}

std::vector<std::string> BlockFiles(const std::string& path) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() != ".sst") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.find("EBLK") != std::string::npos) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Changes a byte of the first column's payload.
void Damage(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::size_t column = bytes.find("EBLK");
  ASSERT_NE(column, std::string::npos);
  std::uint16_t head = 0;
  std::memcpy(&head, bytes.data() + column + 6, sizeof head);
  bytes[column + head] = static_cast<char>(bytes[column + head] ^ 0x41);
  std::ofstream(file, std::ios::binary) << bytes;
}

class Upkeep : public ::testing::Test {
 protected:
  void Open(std::uint32_t dimension, std::uint32_t rows_per_block = 0,
            std::uint64_t seal_bytes = 16 << 20) {
    store_.reset();
    options_.dimension = dimension;
    options_.rows_per_block = rows_per_block;
    options_.seal_bytes = seal_bytes;
    options_.create_if_missing = true;
    auto store = Store::Open(options_, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Put(MemoryId id) {
    const absl::Status status = store_->Put({}, id, VectorOf(options_.dimension, id));
    ASSERT_TRUE(status.ok()) << status;
  }
  void PutRange(MemoryId begin, MemoryId end) {
    WriteBatch batch;
    for (MemoryId id = begin; id < end; ++id) batch.Put(id, VectorOf(options_.dimension, id));
    const absl::Status status = store_->Write({}, batch);
    ASSERT_TRUE(status.ok()) << status;
  }
  void DeleteRange(MemoryId begin, MemoryId end) {
    WriteBatch batch;
    for (MemoryId id = begin; id < end; ++id) batch.Delete(id);
    ASSERT_TRUE(store_->Write({}, batch).ok());
  }
  void ImportRange(MemoryId begin, MemoryId end) {
    std::vector<float> vector;
    MemoryId next = begin;
    const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (next == end) return false;
      vector = VectorOf(options_.dimension, next);
      row->id = next++;
      row->vector = vector;
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
  }
  void ExpectRange(MemoryId begin, MemoryId end) {
    for (MemoryId id = begin; id < end; ++id) {
      const auto record = store_->Get({}, id);
      ASSERT_TRUE(record.ok()) << record.status();
      ASSERT_EQ(record->vector, VectorOf(options_.dimension, id));
    }
    const auto report = store_->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "store";
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

TEST_F(Upkeep, BlocksLargerThanSealBytesKeepNoWriterWaiting) {
  int n = 0;
  for (const std::uint64_t seal_bytes : {64u << 10, 1u << 20}) {
    for (const std::uint32_t rows_per_block : {0u, 1u << 20}) {
      StoreOptions options;
      options.dimension = 100;
      options.seal_bytes = seal_bytes;
      options.rows_per_block = rows_per_block;
      options.create_if_missing = true;
      const std::string path = dir_ / std::to_string(n++);
      auto store = Store::Open(options, path);
      ASSERT_TRUE(store.ok()) << store.status();
      const MemoryId rows = 12 * seal_bytes / 400;
      Within(seconds(120), [&] {
        for (MemoryId id = 0; id < rows; ++id) {
          ASSERT_TRUE((*store)->Put({}, id, VectorOf(100, id)).ok());
        }
        EXPECT_TRUE(Eventually([&] { return (*store)->Stats().tail_rows * 400 < seal_bytes; }));
        EXPECT_TRUE((*store)->Verify({})->findings.empty());
        EXPECT_TRUE((*store)->Close().ok());
      });
    }
  }
}

std::chrono::nanoseconds CpuTime() {
  timespec time{};
  EXPECT_EQ(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), 0);
  return seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST_F(Upkeep, AnIdleStoreDoesNothing) {
  Open(100, 0, 1 << 20);
  PutRange(0, 4000);
  std::this_thread::sleep_for(milliseconds(500));
  const auto before = CpuTime();
  std::this_thread::sleep_for(milliseconds(600));
  EXPECT_LT(CpuTime() - before, milliseconds(200));
}

TEST_F(Upkeep, SealsOfFewRowsDoNotPileUpFiles) {
  constexpr MemoryId kSeals = 150;
  Open(4, 64);
  for (MemoryId id = 0; id < kSeals; ++id) {
    Put(id);
    ASSERT_TRUE(store_->Seal().ok());
    ASSERT_LT(store_->Stats().blocks, 64u);
  }
  EXPECT_LT(BlockFiles(path_).size(), 32u);
  ExpectRange(0, kSeals);
  DeleteRange(0, 100);
  ASSERT_TRUE(store_->Compact({}).ok());
  EXPECT_EQ(store_->Stats().dead_rows, 0u);
  ExpectRange(100, kSeals);
  Open(4);
  ExpectRange(100, kSeals);
  SearchOptions search;
  search.k = 1000;
  EXPECT_EQ(store_->Search(search, VectorOf(4, 200))->hits.size(), kSeals - 100);
}

TEST_F(Upkeep, FilesOfManyImportsAreMergedUnasked) {
  Open(256);
  for (MemoryId i = 0; i < 20; ++i) ImportRange(i * 1100, (i + 1) * 1100);
  EXPECT_TRUE(Eventually([&] { return store_->Stats().blocks <= 15; }));
  ExpectRange(0, 22000);
  Open(256);
  ExpectRange(0, 22000);
}

// Rows of the tail may lie between files, and will get a file of their own there.
TEST_F(Upkeep, FilesAreNotMergedAcrossRowsOfTheTail) {
  Open(512, 64);
  for (MemoryId i = 0; i < 4; ++i) {
    ImportRange(i * 520, (i + 1) * 520);
    Put(100'000 + i);
  }
  store_.reset();
  for (const bool sealed : {false, true}) {
    auto database = storage::Database::Open({.block_cache_bytes = 1 << 20}, path_);
    ASSERT_TRUE(database.ok()) << database.status();
    const auto meta = (*database)->Get(storage::Family::kDefault, storage::kMetaKey);
    auto state = storage::LoadWriterState(*database, *storage::DecodeStoreMeta(*meta), nullptr);
    ASSERT_TRUE(state.ok()) << state.status();
    storage::CommitQueue queue;
    storage::Publisher publisher;
    storage::Maintenance maintenance(**state, queue, publisher);
    if (sealed) {
      ASSERT_TRUE(maintenance.Seal(0).ok());
    }
    const absl::Status merged = maintenance.MergeFiles();
    EXPECT_TRUE(merged.ok()) << merged;
    EXPECT_EQ((*state)->catalog.files().size(), sealed ? 1u : 4u);
  }
  Open(512);
  ExpectRange(0, 4 * 520);
  ExpectRange(100'000, 100'004);
}

TEST_F(Upkeep, WritersGoOnBesideACompactionAndABackup) {
  Open(100, 64, 64 << 10);
  ImportRange(0, 20000);
  for (MemoryId id = 0; id < 20000; id += 50) DeleteRange(id, id + 1);
  MemoryId next = 100'000;
  CompactOptions compact;
  int calls = 0;
  compact.progress = [&](const Progress&) {
    // More than the tail holds: this takes a seal, in the midst of the compaction.
    for (int i = 0; i < 1500; ++i) Put(next++);
    return ++calls < 3;
  };
  Within(seconds(120), [&] {
    EXPECT_EQ(store_->Compact(compact).code(), StatusCode::kCancelled);
    EXPECT_EQ(calls, 3);
  });
  BackupOptions backup;
  calls = 0;
  backup.progress = [&](const Progress& progress) {
    if (++calls < 3) {
      for (int i = 0; i < 1500; ++i) Put(next++);
    }
    return progress.done <= progress.total;
  };
  Within(seconds(120), [&] { EXPECT_TRUE(store_->Backup(backup, dir_ / "backup").ok()); });
  EXPECT_GT(calls, 3);
  auto copy = Store::Open({}, dir_ / "backup");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_TRUE((*copy)->Verify({})->findings.empty());
  EXPECT_EQ((*copy)->Stats().memories, store_->Stats().memories - 3000);
  ExpectRange(100'000, next);
}

TEST_F(Upkeep, ABackupThatIsCancelledOrInTheWayLeavesNothing) {
  Open(4);
  PutRange(0, 100);
  BackupOptions options;
  options.progress = [](const Progress& progress) { return progress.done < 2; };
  EXPECT_EQ(store_->Backup(options, dir_ / "b").code(), StatusCode::kCancelled);
  EXPECT_FALSE(fs::exists(dir_ / "b"));
  EXPECT_FALSE(fs::exists(dir_ / "b.tmp"));
  std::ofstream(dir_ / "b.tmp") << "somebody's";
  const absl::Status status = store_->Backup({}, dir_ / "b");
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status;
  EXPECT_NE(status.message().find(dir_ / "b.tmp"), std::string::npos) << status;
  EXPECT_TRUE(fs::exists(dir_ / "b.tmp"));
  EXPECT_EQ(store_->Backup({}, dir_ / "absent/b").code(), StatusCode::kInternal);
}

// Where links do not reach, files are copied.
TEST_F(Upkeep, ABackupGoesToAnotherFileSystem) {
  struct stat here {
  }, there{};
  const bool other = ::stat(path_.substr(0, path_.rfind('/')).c_str(), &here) == 0 &&
                     ::stat("/dev/shm", &there) == 0 && here.st_dev != there.st_dev;
  std::string pattern = (other ? std::string("/dev/shm") : ::testing::TempDir()) + "/engram-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  Open(4, 64);
  PutRange(0, 1000);
  ASSERT_TRUE(store_->Seal().ok());
  PutRange(1000, 1100);
  const absl::Status made = store_->Backup({}, pattern + "/b/");
  EXPECT_TRUE(made.ok()) << made;
  store_.reset();
  auto copy = Store::Open({}, pattern + "/b");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->Stats().memories, 1100u);
  EXPECT_TRUE((*copy)->Verify({})->findings.empty());
  copy->reset();
  fs::remove_all(pattern);
}

TEST_F(Upkeep, ADamagedFileKeepsNoOtherFromBeingCompacted) {
  Open(4, 64);
  for (MemoryId i = 0; i < 4; ++i) {
    PutRange(i * 1000, i * 1000 + 200);
    ASSERT_TRUE(store_->Seal().ok());
  }
  store_.reset();
  const std::vector<std::string> files = BlockFiles(path_);
  ASSERT_EQ(files.size(), 4u);
  Damage(files[0]);
  Open(4, 0, 64 << 10);
  EXPECT_EQ(store_->Stats().background_error, "");
  for (MemoryId i = 0; i < 4; ++i) DeleteRange(i * 1000, i * 1000 + 150);
  EXPECT_TRUE(Eventually([&] { return store_->Stats().dead_rows == 150; }));
  const absl::Status status = store_->Compact({});
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
  EXPECT_EQ(store_->Stats().dead_rows, 150u);
  EXPECT_NE(store_->Stats().background_error.find("DATA_LOSS"), std::string::npos)
      << store_->Stats().background_error;

  // The damage is no reason to refuse what only has to wait.
  for (MemoryId id = 10'000; id < 60'000; id += 500) PutRange(id, id + 500);
  const absl::Status closed = store_->Close();
  EXPECT_EQ(closed.code(), StatusCode::kDataLoss) << closed;
  EXPECT_TRUE(store_->Close().ok());
  Open(4);
  EXPECT_EQ(store_->Stats().memories, 200 + 50'000u);
}

TEST_F(Upkeep, ADamagedFileKeepsNoOthersFromBeingMerged) {
  Open(4, 64);
  for (MemoryId i = 0; i < 7; ++i) {
    PutRange(i * 10, i * 10 + 10);
    ASSERT_TRUE(store_->Seal().ok());
  }
  store_.reset();
  const std::vector<std::string> files = BlockFiles(path_);
  ASSERT_EQ(files.size(), 7u);
  Damage(files[3]);
  Open(4);
  for (MemoryId i = 7; i < 20; ++i) {
    PutRange(i * 10, i * 10 + 10);
    ASSERT_TRUE(store_->Seal().ok());
  }
  EXPECT_LT(store_->Stats().blocks, 14u);
  EXPECT_NE(store_->Stats().background_error.find("DATA_LOSS"), std::string::npos);
  EXPECT_EQ(store_->Verify({})->corrupt_blocks, 1u);
  EXPECT_TRUE(store_->Get({}, 45).ok());
  EXPECT_EQ(store_->Get({}, 35).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(store_->Close().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace engram

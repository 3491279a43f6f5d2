// Imports large enough to be written as files, among writes that go through the
// log: the two give one store.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 96;

struct Memory {
  std::vector<float> vector;
  std::string payload;
  std::string key;
};
using Memories = std::map<MemoryId, Memory>;

class BulkImport : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen() {
    store_.reset();
    StoreOptions options;
    options.dimension = kDimension;
    options.create_if_missing = true;
    options.rows_per_block = 256;
    auto store = Store::Open(options, folder_ / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  Memory NewMemory(MemoryId id) {
    Memory memory;
    for (std::uint32_t i = 0; i < kDimension; ++i) memory.vector.push_back(normal_(random_));
    memory.payload = absl::StrCat("payload ", id);
    if (id % 3 == 0) memory.key = absl::StrCat("key ", id);
    return memory;
  }

  // Imports ids first, first + step, ... and notes them as what the store has to hold.
  absl::StatusOr<ImportReport> Import(MemoryId first, MemoryId step, std::size_t count) {
    Memories imported;
    for (std::size_t i = 0; i < count; ++i) {
      const MemoryId id = first + i * step;
      expected_[id] = imported[id] = NewMemory(id);
    }
    auto it = imported.begin();
    std::vector<std::string> keys;
    return store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (it == imported.end()) return false;
      row->id = it->first;
      row->vector = it->second.vector;
      row->payload = it->second.payload;
      keys.assign(it->second.key.empty() ? 0 : 1, it->second.key);
      row->keys = keys;
      ++it;
      return true;
    });
  }

  void Put(MemoryId id) {
    const Memory memory = expected_[id] = NewMemory(id);
    WriteBatch batch;
    batch.Put(id, memory.vector, memory.payload);
    if (!memory.key.empty()) batch.SetKey(memory.key, id);
    const absl::Status status = store_->Write({}, batch);
    ASSERT_TRUE(status.ok()) << status;
  }

  void ExpectAll() {
    EXPECT_EQ(store_->Stats().memories, expected_.size());
    for (const auto& [id, memory] : expected_) {
      const auto record = store_->Get({}, id);
      ASSERT_TRUE(record.ok()) << record.status();
      ASSERT_EQ(record->vector, memory.vector) << id;
      ASSERT_EQ(record->payload, memory.payload) << id;
      if (!memory.key.empty()) {
        const auto named = store_->IdForKey({}, memory.key);
        ASSERT_TRUE(named.ok()) << named.status();
        ASSERT_EQ(*named, id);
      }
    }
    // Every memory finds itself: ids, nodes and rows lie side by side in the blocks.
    std::size_t asked = 0;
    for (const auto& [id, memory] : expected_) {
      if (++asked % 97 != 0) continue;
      const auto found = store_->Search({}, memory.vector);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(found->hits.at(0).id, id);
    }
    const auto report = store_->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->findings, std::vector<std::string>());
  }

  testing::TempDir folder_;
  std::mt19937 random_{23};
  std::normal_distribution<float> normal_;
  Memories expected_;
  std::unique_ptr<Store> store_;
};

TEST_F(BulkImport, GoesToBlocksAtOnce) {
  ASSERT_TRUE(Import(1, 1, 6000).ok());
  const StoreStats stats = store_->Stats();
  EXPECT_EQ(stats.tail_rows, 0u);
  EXPECT_EQ(stats.blocks, (6000 + 255) / 256);
  ExpectAll();
  Reopen();
  ExpectAll();
}

TEST_F(BulkImport, LiesAmongRowsOfTheTail) {
  for (MemoryId id = 100'000; id < 100'300; ++id) Put(id);
  const auto snapshot = store_->GetSnapshot();
  const Memory first = expected_.at(100'000);
  ASSERT_TRUE(Import(7, 2, 5000).ok());
  for (MemoryId id = 200'000; id < 200'300; ++id) Put(id);
  ASSERT_TRUE(Import(50'000, 1, 4000).ok());
  ExpectAll();

  // A snapshot from before knows nothing of the import.
  ReadOptions before;
  before.snapshot = snapshot;
  EXPECT_TRUE(absl::IsNotFound(store_->Get(before, 7).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->IdForKey(before, "key 9").status()));
  EXPECT_TRUE(store_->Get(before, 100'000).ok());
}

TEST_F(BulkImport, SealsAndCompactsWithTheRest) {
  for (MemoryId id = 100'000; id < 100'300; ++id) Put(id);
  ASSERT_TRUE(Import(7, 2, 5000).ok());
  for (MemoryId id = 200'000; id < 200'300; ++id) Put(id);
  Reopen();
  ASSERT_TRUE(store_->Seal().ok());
  ExpectAll();
  for (MemoryId id = 7; id < 7 + 2 * 3000; id += 2) {
    expected_.erase(id);
    ASSERT_TRUE(store_->Delete({}, id).ok());
  }
  for (MemoryId id = 9007; id < 9207; id += 2) Put(id);
  ASSERT_TRUE(store_->Compact({}).ok());
  ExpectAll();
  Reopen();
  ExpectAll();
}

TEST_F(BulkImport, ReplacesWhatIsThere) {
  ASSERT_TRUE(Import(1, 1, 5000).ok());
  ASSERT_TRUE(Import(4000, 1, 5000).ok());
  ExpectAll();
  Reopen();
  ExpectAll();
}

TEST_F(BulkImport, AnIdTwiceInOneImportKeepsTheLast) {
  const Memory memory = NewMemory(1);
  std::size_t given = 0;
  constexpr std::size_t kGiven = 4000;
  ASSERT_TRUE(store_
                  ->Import({},
                           [&](ImportRow* row) -> absl::StatusOr<bool> {
                             if (given == kGiven) return false;
                             row->id = given % (kGiven / 2);
                             row->vector = memory.vector;
                             row->payload = given < kGiven / 2 ? "first" : "last";
                             ++given;
                             return true;
                           })
                  .ok());
  EXPECT_EQ(store_->Stats().memories, kGiven / 2);
  for (MemoryId id = 0; id < kGiven / 2; ++id) EXPECT_EQ(store_->Get({}, id)->payload, "last");
}

TEST_F(BulkImport, MemoriesWithoutEmbeddingComeAlong) {
  std::size_t given = 0;
  const std::string payload(1000, 'x');
  ASSERT_TRUE(store_
                  ->Import({},
                           [&](ImportRow* row) -> absl::StatusOr<bool> {
                             if (given == 3000) return false;
                             row->id.reset();
                             row->payload = payload;
                             ++given;
                             return true;
                           })
                  .ok());
  Reopen();
  EXPECT_EQ(store_->Stats().memories, 3000u);
  EXPECT_EQ(store_->Stats().rows, 0u);
  EXPECT_EQ(store_->Get({}, 2999)->payload, payload);
}

// Imports of 1,000 whole, single memories in between: a reader sees the first a number of times
// and no part of one.
TEST_F(BulkImport, ReadersBesideItSeeWholeChunks) {
  constexpr std::size_t kEach = 1000;
  const std::string payload(1200, 'x');
  const std::vector<float> vector(kDimension, 0.5f);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (MemoryId round = 0; round < 60 && !stop; ++round) {
      std::size_t given = 0;
      const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
        if (given == kEach) return false;
        row->id = round * 10'000 + given++;
        row->vector = vector;
        row->payload = payload;
        return true;
      });
      ASSERT_TRUE(report.ok()) << report.status();
      for (MemoryId i = 0; i < 2; ++i) {
        ASSERT_TRUE(store_->Put({}, round * 10'000 + 5'000 + i, vector, "single").ok());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    stop = true;
  });
  StoreOptions read_only;
  read_only.read_only = true;
  auto reader = Store::Open(read_only, folder_ / "s");
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::uint64_t seen = 0;
  while (!stop && reader.ok() && !HasFailure()) {
    const absl::Status status = (*reader)->Refresh();
    EXPECT_TRUE(status.ok()) << status;
    const StoreStats stats = (*reader)->Stats();
    EXPECT_GE(stats.memories, seen);
    EXPECT_TRUE(stats.memories % (kEach + 2) < 2 || stats.memories % (kEach + 2) >= kEach)
        << stats.memories;
    seen = stats.memories;
    std::uint64_t counted = 0;
    auto it = (*reader)->NewIterator({});
    for (; it->Valid(); it->Next()) ++counted;
    EXPECT_TRUE(it->status().ok()) << it->status();
    EXPECT_EQ(counted, seen);
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace engram

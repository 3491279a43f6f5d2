// The public API: what each function promises, and what bad input gets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using absl::StatusCode;

class StoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> OpenStore(StoreOptions options = {}) {
    options.dimension = 4;
    options.create_if_missing = true;
    auto store = Store::Open(options, path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static std::vector<float> Unit(std::size_t axis) {
    std::vector<float> vector(4, 0.0f);
    vector[axis] = 1.0f;
    return vector;
  }

  testing::TempDir dir_;
  std::string path_ = dir_ / "store";
};

TEST_F(StoreTest, FindsWhatWasPutBeforeAndAfterSealAndReopen) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Put({}, 7, Unit(1), "seven").ok());
  ASSERT_TRUE(store->Put({}, 9, Unit(2), "nine").ok());
  for (const bool sealed : {false, true}) {
    if (sealed) {
      ASSERT_TRUE(store->Seal().ok());
    }
    const auto found = store->Search({}, Unit(2));
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->hits.size(), 2u);
    EXPECT_EQ(found->hits[0].id, 9u);
    EXPECT_EQ(found->hits[0].score, 1.0f);
  }
  EXPECT_EQ(store->Stats().blocks, 1u);
  EXPECT_EQ(store->Stats().tail_rows, 0u);
  ASSERT_TRUE(store->Close().ok());
  store = OpenStore();
  const auto record = store->Get({}, 7);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->payload, "seven");
  EXPECT_EQ(record->vector, Unit(1));
}

TEST_F(StoreTest, TiesGoByIdAndKMayExceedTheRows) {
  auto store = OpenStore();
  for (const MemoryId id : {5, 3, 8, 1}) ASSERT_TRUE(store->Put({}, id, Unit(0)).ok());
  SearchOptions options;
  options.k = std::numeric_limits<std::uint32_t>::max();
  const auto found = store->Search(options, Unit(0));
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->hits.size(), 4u);
  EXPECT_EQ(found->hits[0].id, 1u);
  EXPECT_EQ(found->hits[3].id, 8u);
}

TEST_F(StoreTest, MetricsScoreAsTheySay) {
  for (const Metric metric : {Metric::kDot, Metric::kL2Squared}) {
    StoreOptions options;
    options.dimension = 4;
    options.metric = metric;
    options.create_if_missing = true;
    auto store = Store::Open(options, dir_ / std::to_string(static_cast<int>(metric)));
    ASSERT_TRUE(store.ok());
    const std::vector<float> row = {1, 2, 3, 4}, query = {2, 0, 1, -1};
    ASSERT_TRUE((*store)->Put({}, 1, row).ok());
    const auto found = (*store)->Search({}, query);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->hits[0].score, metric == Metric::kDot ? 1.0f : -(1.0f + 4 + 4 + 25));
  }
}

TEST_F(StoreTest, MinScoreBoundsAndDeadlineTruncates) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Put({}, 1, Unit(0)).ok());
  ASSERT_TRUE(store->Put({}, 2, Unit(1)).ok());
  SearchOptions options;
  options.min_score = 0.5f;
  EXPECT_EQ(store->Search(options, Unit(0))->hits.size(), 1u);
  options.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  const auto late = store->Search(options, Unit(0));
  ASSERT_TRUE(late.ok());
  EXPECT_TRUE(late->info.truncated);
  EXPECT_FALSE(late->info.exact);
}

TEST_F(StoreTest, BatchAndThreadsGiveTheBitsOfSingleSearch) {
  StoreOptions options;
  options.search_threads = 4;
  options.rows_per_block = 64;
  auto store = OpenStore(options);
  WriteBatch batch;
  for (MemoryId id = 0; id < 200000; ++id) {
    const float x = static_cast<float>(id);
    batch.Put(id, std::vector<float>{std::sin(x), std::cos(x), std::sin(3 * x), 1.0f});
  }
  ASSERT_TRUE(store->Write({}, batch).ok());
  ASSERT_TRUE(store->Seal().ok());
  const std::vector<float> queries = {1, 2, 3, 4, -1, 0.5f, 2, 0};
  const auto together = store->SearchBatch({}, {.data = queries.data(), .rows = 2, .dimension = 4});
  ASSERT_TRUE(together.ok()) << together.status();
  for (std::size_t q = 0; q < 2; ++q) {
    for (const std::uint32_t threads : {1u, 4u}) {
      SearchOptions search;
      search.threads = threads;
      const auto alone = store->Search(search, absl::MakeConstSpan(queries.data() + 4 * q, 4));
      ASSERT_TRUE(alone.ok());
      for (std::size_t i = 0; i < alone->hits.size(); ++i) {
        EXPECT_EQ(alone->hits[i].id, (*together)[q].hits[i].id);
        EXPECT_EQ(alone->hits[i].score, (*together)[q].hits[i].score);
      }
    }
  }
}

TEST_F(StoreTest, KeysNameMoveAndGoWithTheirMemory) {
  auto store = OpenStore();
  WriteBatch batch;
  batch.Put(1, Unit(0));
  batch.SetKey("cat", 1);
  batch.SetKey("feline", 1);
  batch.Put(2, {});
  ASSERT_TRUE(store->Write({}, batch).ok());
  EXPECT_EQ(*store->IdForKey({}, "cat"), 1u);
  EXPECT_EQ(store->Get({}, 1)->keys, (std::vector<std::string>{"cat", "feline"}));
  batch.Clear();
  batch.SetKey("cat", 2);
  ASSERT_TRUE(store->Write({}, batch).ok());
  EXPECT_EQ(*store->IdForKey({}, "cat"), 2u);
  ASSERT_TRUE(store->Delete({}, 1).ok());
  EXPECT_EQ(store->IdForKey({}, "feline").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(*store->IdForKey({}, "cat"), 2u);
}

TEST_F(StoreTest, SnapshotsKeepTheirStateThroughDeleteSealAndCompact) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Put({}, 1, Unit(0), "old").ok());
  ASSERT_TRUE(store->Seal().ok());
  ReadOptions then;
  then.snapshot = store->GetSnapshot();
  ASSERT_TRUE(store->Put({}, 1, Unit(1), "new").ok());
  ASSERT_TRUE(store->Put({}, 2, Unit(1)).ok());
  ASSERT_TRUE(store->Compact({}).ok());
  EXPECT_EQ(store->Get(then, 1)->payload, "old");
  EXPECT_EQ(store->Get(then, 1)->vector, Unit(0));
  EXPECT_EQ(store->Get(then, 2).status().code(), StatusCode::kNotFound);
  SearchOptions search;
  search.snapshot = then.snapshot;
  EXPECT_EQ(store->Search(search, Unit(0))->hits.size(), 1u);
  EXPECT_EQ(store->Get({}, 1)->payload, "new");
  const absl::Status close = store->Close();
  EXPECT_EQ(close.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(close.message().find("1 snapshots"), std::string::npos) << close;
  store.reset();  // the snapshot outlives it
}

TEST_F(StoreTest, CompactionGivesSpaceBack) {
  auto store = OpenStore();
  WriteBatch batch;
  for (MemoryId id = 0; id < 20000; ++id) batch.Put(id, Unit(id % 4));
  ASSERT_TRUE(store->Write({}, batch).ok());
  ASSERT_TRUE(store->Seal().ok());
  const StoreStats before = store->Stats();
  batch.Clear();
  for (MemoryId id = 0; id < 20000; ++id) {
    if (id % 100 != 0) batch.Delete(id);
  }
  ASSERT_TRUE(store->Write({}, batch).ok());
  ASSERT_TRUE(store->Compact({}).ok());
  const StoreStats after = store->Stats();
  EXPECT_EQ(after.rows, 200u);
  EXPECT_EQ(after.dead_rows, 0u);
  EXPECT_LT(after.bytes_mapped * 50, before.bytes_mapped);
  EXPECT_EQ(store->Search({}, Unit(0))->hits[0].id, 0u);
}

TEST_F(StoreTest, ImportNumbersAndNames) {
  auto store = OpenStore();
  int left = 3;
  const std::vector<std::string> keys = {"third"};
  const auto report = store->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (left == 0) return false;
    static const std::vector<float> vector = {1, 1, 0, 0};
    row->vector = vector;
    if (--left == 0) row->keys = keys;
    return true;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->memories, 3u);
  EXPECT_EQ(*store->IdForKey({}, "third"), 2u);
}

TEST_F(StoreTest, BackupIsAStoreAndReadersSeeCommitsOnRefresh) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Put({}, 1, Unit(0), "one").ok());
  ASSERT_TRUE(store->Backup({}, dir_ / "backup").ok());
  EXPECT_EQ(store->Backup({}, dir_ / "backup").code(), StatusCode::kAlreadyExists);
  StoreOptions read;
  read.read_only = true;
  auto backup = Store::Open(read, dir_ / "backup");
  ASSERT_TRUE(backup.ok()) << backup.status();
  EXPECT_EQ((*backup)->Get({}, 1)->payload, "one");

  auto reader = Store::Open(read, path_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_TRUE(store->Put({}, 2, Unit(1), "two").ok());
  EXPECT_EQ((*reader)->Get({}, 2).status().code(), StatusCode::kNotFound);
  ASSERT_TRUE((*reader)->Refresh().ok());
  EXPECT_EQ((*reader)->Get({}, 2)->payload, "two");
  EXPECT_EQ((*reader)->Put({}, 3, Unit(1)).code(), StatusCode::kFailedPrecondition);
}

TEST_F(StoreTest, BadInputIsNamedAndChangesNothing) {
  auto store = OpenStore();
  const std::vector<float> three = {1, 2, 3};
  const float nan = std::nanf("");
  const auto expect_bad = [&](const absl::Status& status, std::string_view part) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_NE(status.message().find(std::string(part)), std::string::npos) << status;
  };
  expect_bad(store->Put({}, 42, three), "id 42");
  expect_bad(store->Put({}, 42, three), "3 values");
  expect_bad(store->Put({}, 42, std::vector<float>{1, nan, 0, 0}), "value 1");
  expect_bad(store->Put({}, 42, std::vector<float>(4, 0.0f)), "zero");
  expect_bad(store->Put({}, 42, std::vector<float>(4, 1e-40f)), "norm");
  expect_bad(store->Search({}, three).status(), "dimension is 4");
  expect_bad(store->Search({}, {}).status(), "0 values");
  SearchOptions none;
  none.k = 0;
  expect_bad(store->Search(none, Unit(0)).status(), "k is 0");
  WriteBatch batch;
  batch.Put(1, Unit(0));
  batch.SetKey("", 1);
  expect_bad(store->Write({}, batch), "key");
  EXPECT_EQ(store->Delete({}, 1).code(), StatusCode::kNotFound);
  EXPECT_EQ(store->Get({}, 1).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(store->Search({}, Unit(0))->hits.empty());
  ASSERT_TRUE(store->Put({}, 1, Unit(0)).ok());
  WriteOptions fresh;
  fresh.error_if_present = true;
  EXPECT_EQ(store->Put(fresh, 1, Unit(0)).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(store->Stats().memories, 1u);
}

TEST_F(StoreTest, OpenRefusesWhatIsNoStoreOrDoesNotFit) {
  StoreOptions plain;
  EXPECT_EQ(Store::Open(plain, dir_ / "none").status().code(), StatusCode::kNotFound);
  StoreOptions create;
  create.create_if_missing = true;
  EXPECT_EQ(Store::Open(create, dir_ / "none").status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "none"));
  create.dimension = 4;
  std::filesystem::create_directory(dir_ / "other");
  std::ofstream(dir_ / "other/file.txt") << "text";
  EXPECT_EQ(Store::Open(create, dir_ / "other").status().code(), StatusCode::kFailedPrecondition);
  auto store = OpenStore();
  const absl::Status second = Store::Open(create, path_).status();
  EXPECT_EQ(second.code(), StatusCode::kUnavailable) << second;
  ASSERT_TRUE(store->Close().ok());
  EXPECT_EQ(store->Put({}, 1, Unit(0)).code(), StatusCode::kFailedPrecondition);
  create.dimension = 5;
  const absl::Status wrong = Store::Open(create, path_).status();
  EXPECT_EQ(wrong.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(wrong.message().find("dimension 4"), std::string::npos) << wrong;
  StoreOptions odd;
  odd.kernels = "none-such";
  EXPECT_EQ(Store::Open(odd, path_).status().code(), StatusCode::kInvalidArgument);
  std::filesystem::remove(path_ + "/CURRENT");
  create.dimension = 4;
  EXPECT_EQ(Store::Open(create, path_).status().code(), StatusCode::kDataLoss);
}

TEST_F(StoreTest, DestroyRemovesAStoreAndNothingElse) {
  OpenStore().reset();
  EXPECT_TRUE(Store::Destroy(path_).ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(Store::Destroy(path_).ok());
}

TEST_F(StoreTest, AFlippedBitInABlockIsDataLossNotAnAnswer) {
  auto store = OpenStore();
  for (MemoryId id = 0; id < 500; ++id) ASSERT_TRUE(store->Put({}, id, Unit(id % 4)).ok());
  ASSERT_TRUE(store->Seal().ok());
  ASSERT_TRUE(store->Close().ok());
  store.reset();
  std::string largest;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.path().extension() != ".sst") continue;
    if (largest.empty() || entry.file_size() > std::filesystem::file_size(largest)) {
      largest = entry.path();
    }
  }
  std::fstream file(largest, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1000);
  file.put('\x5a');
  file.close();
  store = OpenStore();
  const absl::Status status = store->Search({}, Unit(0)).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
  EXPECT_NE(status.message().find("column embedding"), std::string::npos) << status;
  EXPECT_EQ(store->Verify({})->corrupt_blocks, 1u);
}

TEST_F(StoreTest, SealedRowsLieAlignedInTheMappingOfATableFile) {
  auto store = OpenStore();
  for (MemoryId id = 0; id < 100; ++id) ASSERT_TRUE(store->Put({}, id, Unit(id % 4)).ok());
  ASSERT_TRUE(store->Seal().ok());
  const float* first = store->NewIterator({})->vector().data();
  EXPECT_EQ(store->NewIterator({})->vector().data(), first);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0u);
  std::ifstream maps("/proc/self/maps");
  bool mapped = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%lx-%lx", &begin, &end), 2);
    const auto address = reinterpret_cast<unsigned long>(first);
    if (address >= begin && address < end) {
      mapped = line.find(path_) != std::string::npos && line.ends_with(".sst");
    }
  }
  EXPECT_TRUE(mapped);
}

// A store may be given away; the name of the machine it was made on is not the reader's business.
TEST_F(StoreTest, NoFileNamesTheMachine) {
  auto store = OpenStore();
  for (MemoryId id = 0; id < 100; ++id) ASSERT_TRUE(store->Put({}, id, Unit(id % 4)).ok());
  ASSERT_TRUE(store->Seal().ok());
  ASSERT_TRUE(store->Close().ok());
  std::size_t tables = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.path().extension() != ".sst") continue;
    ++tables;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(bytes.find("creating.host.identity"), std::string::npos) << entry.path();
  }
  EXPECT_GT(tables, 1u);
}

}  // namespace
}  // namespace engram

// What an import promises beside other writes and when it ends early: whose ids are whose, what
// keys mean, and how much of it is stored.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using testing::TempDir;

constexpr std::uint32_t kDimension = 16;
constexpr std::uint64_t kMostOfAChunk = 65536;

// One memory to import.
struct Given {
  std::optional<MemoryId> id = {};
  std::vector<std::string> keys = {};
  std::string payload = {};
  std::vector<float> vector = {};
};

class ImportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.dimension = kDimension;
    options.create_if_missing = true;
    auto store = Store::Open(options, folder_ / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Notes what progress tells, and that it is what the store holds besides `others`.
  ImportOptions Watched(std::uint64_t others = 0) {
    ImportOptions options;
    options.progress = [this, others](const Progress& progress) {
      steps_.push_back(progress.done - done_);
      done_ = progress.done;
      EXPECT_EQ(store_->Stats().memories, done_ + others);
      return true;
    };
    return options;
  }

  absl::StatusOr<ImportReport> Import(const std::vector<Given>& memories) {
    std::size_t next = 0;
    return store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (next == memories.size()) return false;
      const Given& given = memories[next++];
      *row = {.id = given.id, .vector = given.vector, .payload = given.payload, .keys = given.keys};
      return true;
    });
  }

  std::string PayloadOf(MemoryId id) {
    const auto record = store_->Get({}, id);
    return record.ok() ? record->payload : std::string(record.status().message());
  }
  std::optional<MemoryId> Named(const std::string& key) {
    const auto id = store_->IdForKey({}, key);
    return id.ok() ? std::optional<MemoryId>(*id) : std::nullopt;
  }

  TempDir folder_;
  std::unique_ptr<Store> store_;
  std::uint64_t done_ = 0;
  std::vector<std::uint64_t> steps_;
};

// Imports `count` memories of `bytes` each without ids, and puts id 1 in their midst.
class BesideAPut : public ImportTest, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(BesideAPut, NewIdsNeverTakeThoseOfOthers) {
  const std::string payload = absl::StrCat("imported ", std::string(GetParam(), 'x'));
  constexpr std::size_t kGiven = 3000;
  ASSERT_TRUE(store_->Put({}, 0, {}, "first").ok());
  std::size_t given = 0;
  const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (given == kGiven) return false;
    if (given++ == kGiven / 2) {
      EXPECT_TRUE(store_->Put({}, 1, {}, "precious").ok());
    }
    row->payload = payload;
    return true;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->memories, kGiven);
  EXPECT_EQ(store_->Stats().memories, kGiven + 2);
  EXPECT_EQ(PayloadOf(0), "first");
  EXPECT_EQ(PayloadOf(1), "precious");
  std::size_t imported = 0;
  for (auto it = store_->NewIterator({}); it->Valid(); it->Next()) {
    imported += it->payload() == payload ? 1 : 0;
  }
  EXPECT_EQ(imported, kGiven);
}

// As batches of the log, and as files.
INSTANTIATE_TEST_SUITE_P(Import, BesideAPut, ::testing::Values(0, 1000));

TEST_F(ImportTest, AKeyThatIsTakenMeanwhileNamesThatMemory) {
  std::size_t given = 0;
  const std::vector<std::string> keys = {"a"};
  const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (given == 2) return false;
    if (given++ == 1) {
      WriteBatch batch;
      batch.Put(70, {}, "theirs");
      batch.SetKey("a", 70);
      EXPECT_TRUE(store_->Write({}, batch).ok());
      return true;
    }
    row->keys = keys;
    row->payload = "imported";
    return true;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Named("a"), 70u);
  EXPECT_EQ(PayloadOf(70), "imported");
  EXPECT_EQ(store_->Stats().memories, 2u);
}

TEST_F(ImportTest, AKeyTwiceIsOneMemoryWhereverChunksEnd) {
  for (const std::size_t between : {0, 5, 70'000}) {
    SCOPED_TRACE(between);
    std::vector<Given> memories;
    const std::string key = absl::StrCat("key ", between);
    memories.push_back({.keys = {key}, .payload = "first"});
    for (std::size_t i = 0; i < between; ++i) memories.push_back({.payload = "between"});
    memories.push_back({.keys = {key, key + "'s other"}, .payload = "last"});
    const std::uint64_t before = store_->Stats().memories;
    ASSERT_TRUE(Import(memories).ok());
    EXPECT_EQ(store_->Stats().memories, before + between + 1);
    ASSERT_TRUE(Named(key).has_value());
    EXPECT_EQ(Named(key), Named(key + "'s other"));
    EXPECT_EQ(PayloadOf(*Named(key)), "last");
    const auto record = store_->Get({}, *Named(key));
    EXPECT_EQ(record->keys, (std::vector<std::string>{key, key + "'s other"}));
  }
}

TEST_F(ImportTest, AllKeysAreAskedWhichMemoryTheyName) {
  ASSERT_TRUE(Import({{.id = 3, .keys = {"a"}, .payload = "three"},
                      {.id = 7, .keys = {"b"}, .payload = "seven"}})
                  .ok());
  ASSERT_TRUE(Import({{.keys = {"new", "b"}, .payload = "by the second key"}}).ok());
  EXPECT_EQ(PayloadOf(7), "by the second key");
  EXPECT_EQ(Named("new"), 7u);
  EXPECT_EQ(store_->Stats().memories, 2u);

  const absl::Status status =
      Import({{.id = 9, .payload = "nine"}, {.keys = {"a", "b"}, .payload = "which?"}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  for (const char* part : {"memory 1 of the import", "\"a\"", "\"b\"", "memory 3", "memory 7"}) {
    EXPECT_NE(status.message().find(part), absl::string_view::npos) << status;
  }
  EXPECT_EQ(store_->Stats().memories, 2u);  // nothing of the chunk
  EXPECT_EQ(PayloadOf(3), "three");

  // With an id, the keys become its own.
  ASSERT_TRUE(Import({{.id = 9, .keys = {"a", "b"}, .payload = "nine"}}).ok());
  EXPECT_EQ(Named("a"), 9u);
  EXPECT_EQ(Named("b"), 9u);
  EXPECT_EQ(store_->Get({}, 3)->keys, std::vector<std::string>());
}

TEST_F(ImportTest, TheKeysItSetsAreFoundInTexts) {
  const std::string payload(1000, 'x');
  for (const bool fresh : {true, false}) {  // as files, then as batches
    std::vector<Given> memories;
    for (int i = 0; i < 3000; ++i) {
      memories.push_back({.keys = {absl::StrCat("Word", i)}, .payload = payload});
    }
    ASSERT_TRUE(Import(memories).ok());
    EXPECT_EQ(store_->Stats().memories, 3000u) << fresh;
    const auto named = store_->FindNamed({}, "a word17 and WORD2999's");
    ASSERT_TRUE(named.ok()) << named.status();
    ASSERT_EQ(named->size(), 2u);
    EXPECT_EQ((*named)[0].id, Named("Word17"));
    EXPECT_EQ((*named)[1].id, Named("Word2999"));
  }
}

TEST_F(ImportTest, NoIdIsLeftAboveTheLargest) {
  constexpr MemoryId kLast = ~MemoryId{0};
  ASSERT_TRUE(store_->Put({}, kLast, {}, "last").ok());
  for (const std::size_t bytes : {0, 2'000'000}) {
    const absl::Status status = Import({{.payload = std::string(bytes, 'x')}}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat("which is ", kLast))) << status;
    EXPECT_EQ(store_->Stats().memories, 1u);
  }
}

TEST_F(ImportTest, ChunksOfTinyMemoriesAreBounded) {
  constexpr std::uint64_t kGiven = 3 * kMostOfAChunk + 17;
  std::uint64_t given = 0;
  const auto report = store_->Import(Watched(), [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (given == kGiven) return false;
    row->id = given++;
    return true;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(store_->Stats().memories, kGiven);
  EXPECT_EQ(done_, kGiven);
  EXPECT_LE(*std::max_element(steps_.begin(), steps_.end()), kMostOfAChunk);
}

// What exists is replaced, by way of the log; `done` is exact all along, and when an error ends it.
TEST_F(ImportTest, WhatIsStoredIsWhatProgressTold) {
  const std::string payload(10'000, 'x');
  ASSERT_TRUE(store_->Put({}, 100'000, {}, "other").ok());
  std::vector<Given> known = {{.id = 200'000, .keys = {"a"}}, {.id = 200'001, .keys = {"b"}}};
  ASSERT_TRUE(Import(known).ok());
  const std::vector<std::string> both = {"a", "b"};
  std::uint64_t given = 0;
  // The first memory is there already, so that the chunk cannot be written as files; the last one
  // ends the import.
  const auto report = store_->Import(Watched(2), [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (given > 2000) return false;
    if (given == 2000) {
      row->keys = both;
    } else {
      row->id = 100'000 + given;
    }
    ++given;
    row->payload = payload;
    return true;
  });
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument) << report.status();
  EXPECT_GT(done_, 0u);
  EXPECT_EQ(store_->Stats().memories, done_ + 2);
  EXPECT_EQ(PayloadOf(100'000 + done_ - 1), payload);
  EXPECT_FALSE(store_->Get({}, 100'000 + done_).ok());
}

TEST_F(ImportTest, AnErrorOfTheSourceLeavesWhatProgressTold) {
  const std::vector<float> vector(kDimension, 1.0f);
  std::uint64_t given = 0;
  const auto report = store_->Import(Watched(), [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (given == 2 * kMostOfAChunk + 5) return absl::DataLossError("the source is torn");
    row->id = given++;
    row->vector = vector;
    return true;
  });
  EXPECT_EQ(report.status().message(), "the source is torn");
  EXPECT_EQ(done_, 2 * kMostOfAChunk);
  EXPECT_EQ(store_->Stats().memories, done_);
}

TEST_F(ImportTest, ADryRunChecksAndStoresNothing) {
  std::size_t given = 0;
  std::vector<float> vector(kDimension, 1.0f);
  std::uint64_t checked = 0;
  ImportOptions options;
  options.dry_run = true;
  options.progress = [&](const Progress& progress) {
    EXPECT_EQ(progress.stage, "check");
    checked = progress.done;
    return true;
  };
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (given == kMostOfAChunk + 1000) return false;
    row->id = given++;
    row->vector = vector;
    return true;
  };
  const auto report = store_->Import(options, source);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->memories, given);
  EXPECT_EQ(checked, given);
  given = 0;
  const absl::Status status = store_
                                  ->Import(options,
                                           [&](ImportRow* row) {
                                             if (given == kMostOfAChunk + 17) vector[3] = NAN;
                                             return source(row);
                                           })
                                  .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find("memory 65553 of the import"), absl::string_view::npos) << status;
  EXPECT_EQ(store_->Stats().memories, 0u);
  options.progress = [](const Progress&) { return false; };
  vector[3] = 1.0f;
  given = 0;
  EXPECT_EQ(store_->Import(options, source).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ImportTest, CancellingStopsAfterTheChunk) {
  ImportOptions options = Watched();
  options.progress = [&, watch = options.progress](const Progress& progress) {
    return watch(progress) && false;
  };
  std::uint64_t given = 0;
  const auto report = store_->Import(options, [&](ImportRow* row) -> absl::StatusOr<bool> {
    row->id = given++;
    return true;
  });
  EXPECT_EQ(report.status().code(), absl::StatusCode::kCancelled) << report.status();
  EXPECT_EQ(store_->Stats().memories, done_);
  EXPECT_GT(done_, 0u);
  EXPECT_LE(done_, given);
}

}  // namespace
}  // namespace engram

// What a recovery makes of the numbers in a log, for every way they can be missing.
#include "storage/log_check.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "rocksdb/write_batch.h"
#include "storage/format/key_format.h"
#include "storage/format/record_format.h"

namespace engram::storage {
namespace {

using Batches = std::vector<std::pair<std::uint64_t, std::optional<std::uint64_t>>>;

void Show(LogWatch& watch, const Batches& batches) {
  watch.ColumnFamilyLogNumberMap({}, {{std::string(FamilyName(Family::kCatalog)), 0}});
  for (const auto& [number, synced] : batches) {
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(
        batch.Put(std::string(kCommitKey), EncodeCommitRecord({.batch = number, .synced = synced}))
            .ok());
    watch.LogRecordFound(1, "log", batch, nullptr, nullptr);
  }
}

absl::StatusOr<LogExtent> Judge(const Batches& batches, std::uint64_t in_tables) {
  LogWatch watch(/*apply_to=*/0);
  Show(watch, batches);
  return watch.Judge(in_tables, "s");
}

TEST(LogCheck, KeepsAWholeLog) {
  const auto extent = Judge({{6, 0}, {7, 6}, {8, 6}}, 5);
  ASSERT_TRUE(extent.ok()) << extent.status();
  EXPECT_EQ(extent->first, 6u);
  EXPECT_EQ(extent->last, 8u);
  EXPECT_EQ(extent->kept, 8u);
  EXPECT_EQ(Judge({}, 5)->kept, 5u);
  EXPECT_EQ(Judge({}, 0)->kept, 0u);
}

TEST(LogCheck, EndsBeforeAGapAboveWhatWasSynced) {
  for (const Batches& batches :
       {Batches{{6, 0}, {7, 6}, {9, 7}}, Batches{{6, 0}, {7, 6}, {9, 7}, {10, 7}, {13, 7}}}) {
    const auto extent = Judge(batches, 5);
    ASSERT_TRUE(extent.ok()) << extent.status();
    EXPECT_EQ(extent->kept, 7u);
    EXPECT_TRUE(extent->has_gap());
  }
  EXPECT_EQ(Judge({{8, 5}}, 5)->kept, 5u);  // all that follows the tables is behind the gap
}

TEST(LogCheck, RefusesAGapInWhatWasSynced) {
  for (const Batches& batches : {
           Batches{{6, 0}, {8, 7}}, Batches{{6, 0}, {8, 6}, {11, 7}},  // a later batch knows better
           Batches{{8, 7}}, Batches{{6, 5}, {8, 6}, {9, 8}},
           Batches{{6, std::nullopt}, {8, std::nullopt}},  // nobody says that it was not
       }) {
    const absl::Status status = Judge(batches, 5).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_NE(status.message().find("is missing"), std::string::npos) << status;
  }
}

TEST(LogCheck, MissesNothingThatTablesHold) {
  for (const Batches& batches : {Batches{{2, 0}, {5, 4}, {6, 4}}, Batches{{3, 2}, {6, 4}},
                                 Batches{{1, 0}, {3, 2}, {4, 2}, {6, 5}}}) {
    const auto extent = Judge(batches, 5);
    ASSERT_TRUE(extent.ok()) << extent.status();
    EXPECT_EQ(extent->kept, 6u);
    EXPECT_FALSE(extent->has_gap());
  }
  EXPECT_EQ(Judge({{2, 1}, {4, 3}}, 5)->kept, 5u);
}

TEST(LogCheck, RefusesNumbersThatGoBack) {
  EXPECT_TRUE(absl::IsDataLoss(Judge({{6, 0}, {7, 6}, {6, 5}}, 5).status()));
  EXPECT_TRUE(absl::IsDataLoss(Judge({{6, 0}, {6, 0}}, 5).status()));
}

TEST(LogCheck, ReadsOnFromAPlaceItHasPassed) {
  LogWatch watch(/*apply_to=*/0);
  Show(watch, {{6, 0}, {7, 6}});
  watch.ReadAgain();
  Show(watch, {{6, 0}, {7, 6}, {8, 6}});
  EXPECT_EQ(watch.Judge(5, "s")->kept, 8u);
}

TEST(LogCheck, StopsReplayAtTheFirstBatchItIsNotToApply) {
  LogWatch watch(/*apply_to=*/7);
  rocksdb::WriteBatch batch;
  watch.ColumnFamilyLogNumberMap({}, {{std::string(FamilyName(Family::kCatalog)), 0}});
  ASSERT_TRUE(batch.Put(std::string(kCommitKey), EncodeCommitRecord({.batch = 8})).ok());
  EXPECT_EQ(watch.LogRecordFound(1, "log", batch, nullptr, nullptr),
            rocksdb::WalFilter::WalProcessingOption::kStopReplay);
}

}  // namespace
}  // namespace engram::storage

// What repair does not take, and what it has to be told.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "rocksdb/db.h"
#include "storage/format/key_format.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 8;
constexpr MemoryId kMemories = 100;

std::vector<float> VectorOf(MemoryId id) {
  std::vector<float> vector(kDimension, 1.0f);
  vector[id % kDimension] += static_cast<float>(id);
  return vector;
}

StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.metric = Metric::kDot;
  options.create_if_missing = true;
  return options;
}

class RepairRefused : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto store = Store::Open(Options(), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    for (MemoryId id = 0; id < kMemories; ++id) batch.Put(id, VectorOf(id), "payload");
    ASSERT_TRUE((*store)->Write({}, batch).ok());
    ASSERT_TRUE((*store)->Seal().ok());
  }
  void ExpectNothingMade() const {
    EXPECT_FALSE(std::filesystem::exists(into_));
    EXPECT_FALSE(std::filesystem::exists(into_ + ".repair"));
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s", into_ = dir_ / "into";
};

TEST_F(RepairRefused, WithoutADescriptionItHasToBeToldAll) {
  testing::StoreSurgery(path_).Delete(storage::Family::kDefault, std::string(storage::kMetaKey));
  RepairOptions told;
  for (const std::uint32_t dimension : {0u, kDimension}) {
    told.dimension = dimension;
    const absl::Status status = Store::Repair(told, path_, into_).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_NE(status.message().find("dimension and metric"), std::string::npos) << status;
    ExpectNothingMade();
  }
  told.metric = Metric::kDot;
  const auto report = Store::Repair(told, path_, into_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->memories, kMemories);
  EXPECT_EQ(report->losses, 2u) << report->findings[0];  // and a new manifest is made without it
  const auto store = Store::Open(Options(), into_);
  ASSERT_TRUE(store.ok()) << store.status();
  for (MemoryId id = 0; id < kMemories; ++id) {
    const auto record = (*store)->Get({}, id);
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_EQ(record->vector, VectorOf(id));
  }
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
}

TEST_F(RepairRefused, WhatIsToldAndIsNotSo) {
  RepairOptions told;
  for (const std::uint32_t dimension : {kDimension + 1, kMaxDimension + 1}) {
    told.dimension = dimension;
    const absl::Status status = Store::Repair(told, path_, into_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  }
  told.dimension = kDimension;
  told.metric = Metric::kCosine;
  const absl::Status status = Store::Repair(told, path_, into_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  ExpectNothingMade();
}

TEST_F(RepairRefused, AStoreThatIsWritten) {
  const auto store = Store::Open({}, path_);
  ASSERT_TRUE(store.ok()) << store.status();
  const absl::Status status = Store::Repair({}, path_, into_).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find(std::to_string(::getpid())), std::string::npos) << status;
  ExpectNothingMade();
  // The lock is still the writer's.
  EXPECT_TRUE(absl::IsUnavailable(Store::Open({}, path_).status()));
  EXPECT_TRUE((*store)->Close().ok());
  EXPECT_TRUE(Store::Repair({}, path_, into_).ok());
}

TEST_F(RepairRefused, AForeignDatabase) {
  const std::string foreign = dir_ / "foreign";
  rocksdb::DB* raw = nullptr;
  rocksdb::Options options;
  options.create_if_missing = true;
  ASSERT_TRUE(rocksdb::DB::Open(options, foreign, &raw).ok());
  EXPECT_TRUE(raw->Put({}, "key", "value").ok());
  delete raw;
  const absl::Status status = Store::Repair({}, foreign, into_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  ExpectNothingMade();
}

}  // namespace
}  // namespace engram

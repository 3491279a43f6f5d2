// Strength: how reinforcements add up whenever they are merged, how they fade, and what
// forgetting leaves alone.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <random>
#include <thread>

#include "engram/engram.h"
#include "storage/format/record_format.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using absl::StatusCode;

class StrengthTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    if (store_ != nullptr) {
      ASSERT_TRUE(store_->Close().ok());
    }
    store_.reset();
    StoreOptions options;
    options.dimension = 2;
    options.create_if_missing = true;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Put(MemoryId id, std::int64_t now) {
    WriteOptions options;
    options.now_unix_seconds = now;
    ASSERT_TRUE(store_->Put(options, id, {}).ok());
  }
  absl::Status Reinforce(MemoryId id, float amount, std::int64_t now) {
    WriteOptions options;
    options.now_unix_seconds = now;
    WriteBatch batch;
    batch.Reinforce(id, amount);
    return store_->Write(options, batch);
  }
  float StrengthOf(MemoryId id, const StrengthOptions& strength) {
    RecallOptions options;
    options.named = {&id, 1};
    options.include_bare = true;
    options.spread.max_hops = 0;
    options.strength = strength;
    const auto found = store_->Recall(options, {});
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() && found->hits.size() == 1 ? found->hits[0].strength : -1.0f;
  }
  static StrengthOptions At(std::int64_t now, Decay decay = Decay::kNone) {
    StrengthOptions options;
    options.decay = decay;
    options.half_life_seconds = 100;
    options.now_unix_seconds = now;
    return options;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::unique_ptr<Store> store_;
};

TEST(StrengthRecords, AddingIsAssociativeCommutativeAndSaturates) {
  std::mt19937_64 random(41);
  const auto any = [&] {
    const std::uint64_t added = random() % 3 == 0 ? storage::kMaxStrengthAdded - random() % 3
                                                  : random() % storage::kMaxStrengthAdded;
    return storage::StrengthRecord{.added = added, .last_use = static_cast<std::int64_t>(random())};
  };
  for (int i = 0; i < 10000; ++i) {
    const auto a = any(), b = any(), c = any();
    EXPECT_EQ(AddStrengths(a, b), AddStrengths(b, a)) << "seed 41";
    EXPECT_EQ(AddStrengths(AddStrengths(a, b), c), AddStrengths(a, AddStrengths(b, c)));
    EXPECT_LE(AddStrengths(a, b).added, storage::kMaxStrengthAdded);
    EXPECT_EQ(AddStrengths(a, b).last_use, std::max(a.last_use, b.last_use));
  }
}

TEST_F(StrengthTest, TheSumDoesNotDependOnWhenItIsFormed) {
  std::mt19937 random(42);
  for (MemoryId id = 1; id <= 3; ++id) Put(id, 0);
  WriteBatch at_once;
  for (int i = 0; i < 40; ++i) {
    const float amount = static_cast<float>(random() % 100000 + 1) / 65537.0f;
    const auto now = static_cast<std::int64_t>(random() % 1000);
    ASSERT_TRUE(Reinforce(1, amount, now).ok());
    if (i % 3 == 0) Open();  // a flush: what is merged now is merged with files
    if (i % 7 == 0) {
      ASSERT_TRUE(store_->Compact({}).ok());
    }
    ASSERT_TRUE(Reinforce(2, amount, 999 - now).ok());
    at_once.Reinforce(3, amount);
  }
  ASSERT_TRUE(store_->Write({}, at_once).ok());
  const float sum = StrengthOf(1, At(2000));
  EXPECT_GT(sum, 1.0f);
  EXPECT_EQ(StrengthOf(2, At(2000)), sum) << "seed 42";
  EXPECT_EQ(StrengthOf(3, At(2000)), sum);
}

TEST_F(StrengthTest, ItGrowsToItsLimitAndNoFurther) {
  Put(1, 0);
  ASSERT_TRUE(Reinforce(1, 1e-30f, 1).ok());  // the least step
  EXPECT_EQ(StrengthOf(1, At(1)), 1.0f + std::ldexp(1.0f, -20));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Reinforce(1, kMaxStrength, 2).ok());
    EXPECT_EQ(StrengthOf(1, At(2)), kMaxStrength);
  }
  Open();
  EXPECT_EQ(StrengthOf(1, At(2)), kMaxStrength);
  EXPECT_TRUE(store_->Verify({})->findings.empty());
}

TEST_F(StrengthTest, ItFadesByTheFormulaFromTheLastUse) {
  Put(1, 1000);
  ASSERT_TRUE(Reinforce(1, 3.0f, 1100).ok());
  ASSERT_TRUE(Reinforce(1, 4.0f, 1050).ok());  // an earlier use is no later one
  for (const std::int64_t age : {0, 1, 50, 100, 300, 1000, 10000}) {
    const double x = static_cast<double>(age);
    EXPECT_EQ(StrengthOf(1, At(1100 + age)), 8.0f);
    const double half = 8.0 * std::exp2(-x / 100);
    EXPECT_NEAR(StrengthOf(1, At(1100 + age, Decay::kHalfLife)), half, 1e-6 * half);
    StrengthOptions power = At(1100 + age, Decay::kPowerLaw);
    EXPECT_NEAR(StrengthOf(1, power), 8.0 / std::sqrt(1 + x / 100), 1e-5);
    power.power_law_exponent = 2.0;
    EXPECT_NEAR(StrengthOf(1, power), 8.0 / ((1 + x / 100) * (1 + x / 100)), 1e-5);
  }
  EXPECT_EQ(StrengthOf(1, At(500, Decay::kHalfLife)), 8.0f);  // used after the clock: just now
}

TEST_F(StrengthTest, ItSurvivesAnUpsertAndDiesWithTheMemory) {
  Put(1, 0);
  ASSERT_TRUE(Reinforce(1, 2.0f, 100).ok());
  Put(1, 300);
  EXPECT_EQ(StrengthOf(1, At(300)), 3.0f);
  EXPECT_FLOAT_EQ(StrengthOf(1, At(400, Decay::kHalfLife)), 1.5f);  // putting is a use
  for (const bool reopened : {false, true}) {
    ASSERT_TRUE(store_->Delete({}, 1).ok());
    EXPECT_EQ(Reinforce(1, 1.0f, 500).code(), StatusCode::kNotFound);
    if (reopened) Open();
    Put(1, 400);
    EXPECT_EQ(StrengthOf(1, At(400)), 1.0f);
    ASSERT_TRUE(Reinforce(1, 1.0f, 400).ok());
    EXPECT_EQ(StrengthOf(1, At(400)), 2.0f);
  }
  // In one batch, too.
  WriteBatch batch;
  batch.Reinforce(1, 5.0f);
  batch.Delete(1);
  batch.Put(1, {});
  batch.Reinforce(1, 0.5f);
  WriteOptions options;
  options.now_unix_seconds = 400;
  ASSERT_TRUE(store_->Write(options, batch).ok());
  EXPECT_EQ(StrengthOf(1, At(400)), 1.5f);
  EXPECT_TRUE(store_->Verify({})->findings.empty());
}

TEST_F(StrengthTest, ForgettingCanBeCancelledAndGoesOn) {
  WriteBatch batch;
  for (MemoryId id = 0; id < 3000; ++id) batch.Put(id, {});
  WriteOptions options;
  options.now_unix_seconds = 0;
  ASSERT_TRUE(store_->Write(options, batch).ok());
  ForgetOptions forget;
  forget.strength_below = 0.5f;
  forget.strength = At(1000, Decay::kHalfLife);
  forget.dry_run = false;
  forget.progress = [](const Progress& progress) {
    EXPECT_EQ(progress.stage, "forget");
    EXPECT_EQ(progress.total, 3000u);
    return progress.done < 2000;
  };
  EXPECT_EQ(store_->Forget(forget).status().code(), StatusCode::kCancelled);
  const std::uint64_t left = store_->Stats().memories;
  EXPECT_GT(left, 0u);
  EXPECT_LT(left, 3000u);
  forget.progress = nullptr;
  EXPECT_EQ(store_->Forget(forget)->forgotten, left);
  EXPECT_EQ(store_->Stats().memories, 0u);
  EXPECT_TRUE(store_->Verify({})->findings.empty());
}

// Who was told that a memory was reinforced finds it afterwards.
TEST_F(StrengthTest, WhatIsReinforcedMeanwhileIsNotForgotten) {
  constexpr MemoryId kCount = 3000;
  for (int round = 0; round < 5; ++round) {
    WriteBatch batch;
    for (MemoryId id = 0; id < kCount; ++id) batch.Put(id, {});
    WriteOptions options;
    options.now_unix_seconds = 0;
    ASSERT_TRUE(store_->Write(options, batch).ok());
    std::vector<std::atomic<bool>> reinforced(kCount);
    std::atomic<bool> go{false};
    std::vector<std::thread> writers;
    for (MemoryId first = 0; first < 4; ++first) {
      writers.emplace_back([&, first] {
        while (!go) std::this_thread::yield();
        for (MemoryId id = kCount - 4 + first; id < kCount; id -= 4) {
          WriteOptions power;
          power.now_unix_seconds = 10;
          power.durability = id % 16 == 0 ? Durability::kPower : Durability::kNone;
          WriteBatch use;
          use.Reinforce(id, 0.25f);  // still below the bound: what counts is that it was used
          const absl::Status status = store_->Write(power, use);
          EXPECT_TRUE(status.ok() || status.code() == StatusCode::kNotFound) << status;
          reinforced[id] = status.ok();
        }
      });
    }
    ForgetOptions forget;
    forget.strength_below = 100.0f;
    forget.strength = At(20);
    forget.dry_run = false;
    forget.progress = [&](const Progress&) {
      go = true;
      return true;
    };
    const auto report = store_->Forget(forget);
    ASSERT_TRUE(report.ok()) << report.status();
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(report->memories, kCount);
    for (MemoryId id = 0; id < kCount; ++id) {
      ASSERT_EQ(store_->Get({}, id).ok(), reinforced[id].load()) << "round " << round << ", " << id;
    }
    EXPECT_EQ(report->forgotten, kCount - store_->Stats().memories);
  }
}

}  // namespace
}  // namespace engram

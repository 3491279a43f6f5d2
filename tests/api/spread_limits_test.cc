// Spreading where its numbers end: weights that overflow or vanish, silence, and what
// is said about both.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr float kMost = std::numeric_limits<float>::max();

class SpreadLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.dimension = 2;
    options.create_if_missing = true;
    auto store = Store::Open(options, dir_ / "store");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Link(const std::vector<Edge>& edges) {
    WriteBatch batch;
    for (const Edge& edge : edges) batch.PutEdge(edge);
    WriteOptions options;
    options.create_missing = true;
    const absl::Status status = store_->Write(options, batch);
    ASSERT_TRUE(status.ok()) << status;
  }
  SpreadResults Spread(const SpreadOptions& options, MemoryId seed) {
    const Seed one{.id = seed};
    const auto found = store_->Spread(options, {&one, 1});
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : SpreadResults();
  }
  static void ExpectFinite(const SpreadResults& results, std::size_t memories) {
    EXPECT_EQ(results.memories.size(), memories);
    for (const Recalled& memory : results.memories) {
      EXPECT_TRUE(std::isfinite(memory.activation)) << memory.id;
    }
  }

  testing::TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(SpreadLimitsTest, OverflowGivesTheLargestNumberAndLeavesNothingBehind) {
  Link({{.from = 1, .to = 2, .weight = kMost},
        {.from = 2, .to = 3, .weight = kMost},
        {.from = 3, .to = 4, .weight = 0.0f},
        {.from = 3, .to = 5, .weight = 2.0f}});
  for (const float restart : {0.5f, 0.0f}) {
    SpreadOptions options;
    options.restart = restart;
    options.normalisation = Normalisation::kNone;
    options.threshold = 0.0f;
    ExpectFinite(Spread(options, 1), 4);
    // The arrays are used again: an infinity or NaN that stayed would be seen here.
    options.max_hops = 3;
    const SpreadResults clean = Spread(options, 4);
    ASSERT_EQ(clean.memories.size(), 1u);
    EXPECT_EQ(clean.memories[0].id, 4u);
    EXPECT_EQ(clean.memories[0].activation, restart > 0.0f ? 0.5f : 1.0f);
  }
}

TEST_F(SpreadLimitsTest, WeightsWhoseInverseOverflowsStayFinite) {
  Link({{.from = 1, .to = 2, .weight = 1e-40f}, {.from = 2, .to = 1, .weight = 0.0f}});
  ExpectFinite(Spread({}, 1), 2);
  ExpectFinite(Spread({}, 2), 1);  // what weighs nothing in all passes on nothing
}

TEST_F(SpreadLimitsTest, ASeedIsReachedHoweverSmallItsShare) {
  Link({{.from = 1, .to = 2}, {.from = 3, .to = 4}});
  constexpr float kLeastNormal = std::numeric_limits<float>::min();
  const std::vector<Seed> seeds = {
      {.id = 1, .activation = kMost},
      {.id = 3, .activation = std::numeric_limits<float>::denorm_min()},
      {.id = 4, .activation = 0.0f}};
  for (const float restart : {0.15f, 0.0f}) {
    for (const std::uint32_t hops : {0u, 1u, 4u}) {
      SpreadOptions options;
      options.restart = restart;
      options.max_hops = hops;
      options.threshold = 1e-30f;  // 3 passes on nothing
      const auto found = store_->Spread(options, seeds);
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_EQ(found->memories.size(), hops == 0 ? 2u : 3u) << restart << ", " << hops;
      EXPECT_EQ(found->memories.back().id, 3u);
      EXPECT_EQ(found->memories.back().activation, kLeastNormal);
      EXPECT_EQ(found->memories.back().hops, 0u);
    }
  }
}

TEST_F(SpreadLimitsTest, WhereAllFallSilentOnlyTheRestartIsLeft) {
  Link({{.from = 1, .to = 2}, {.from = 1, .to = 3}});
  SpreadOptions options;
  options.threshold = 0.6f;
  const SpreadResults found = Spread(options, 1);
  EXPECT_LT(found.info.steps, options.max_hops);
  ASSERT_EQ(found.memories.size(), 1u);
  EXPECT_EQ(found.memories[0].id, 1u);
  EXPECT_EQ(found.memories[0].activation, 0.15f);
  EXPECT_EQ(found.memories[0].via, 1u);
}

TEST_F(SpreadLimitsTest, OnlyEdgesOfWantedTypesAreCounted) {
  Link({{.from = 1, .to = 2, .type = 7},
        {.from = 1, .to = 3, .type = 8},
        {.from = 1, .to = 4, .type = 8},
        {.from = 2, .to = 3, .weight = 0.0f, .type = 7}});
  const std::uint32_t types[] = {7};
  SpreadOptions options;
  options.edge_types = types;
  options.max_hops = 1;
  const SpreadResults found = Spread(options, 1);
  EXPECT_EQ(found.info.edges_followed, 1u);
  ASSERT_EQ(found.memories.size(), 2u);
  EXPECT_FLOAT_EQ(found.memories[0].activation, 0.85f);
  EXPECT_EQ(Spread(options, 2).info.edges_followed, 0u);
}

TEST_F(SpreadLimitsTest, APathGoesByThoseWhoPassedOn) {
  // Memory 3 is below the threshold and never passes on, though all it has would go to 4.
  Link({{.from = 1, .to = 2, .weight = 0.9f},
        {.from = 1, .to = 3, .weight = 0.1f},
        {.from = 2, .to = 4, .weight = 0.01f},
        {.from = 2, .to = 5, .weight = 0.99f},
        {.from = 3, .to = 4}});
  SpreadOptions options;
  options.threshold = 0.1f;
  options.restart = 0.3f;
  options.explain = true;
  for (const Recalled& memory : Spread(options, 1).memories) {
    if (memory.id != 4) continue;
    ASSERT_EQ(memory.path.size(), 3u);
    EXPECT_EQ(memory.path[1].id, 2u);
    return;
  }
  FAIL() << "memory 4 was not reached";
}

TEST_F(SpreadLimitsTest, AScoreIsNeverNaN) {
  const std::vector<float> axis{1.0f, 0.0f};
  for (MemoryId id = 1; id <= 3; ++id) ASSERT_TRUE(store_->Put({}, id, axis).ok());
  // Memory 9 has no embedding and more activation than memory 1 by more than f32 holds.
  Link({{.from = 9, .to = 1, .weight = 1e-40f},
        {.from = 9, .to = 9, .weight = kMost},
        {.from = 1, .to = 8, .weight = 1.0f}});
  const MemoryId named[] = {9};
  RecallOptions options;
  options.named = named;
  options.include_bare = true;
  options.spread.normalisation = Normalisation::kNone;
  options.spread.threshold = 0.0f;
  options.activation_weight = -kMost;
  options.strength_weight = kMost;
  WriteBatch batch;
  batch.Reinforce(9, kMaxStrength);
  ASSERT_TRUE(store_->Write({}, batch).ok());
  const auto found = store_->Recall(options, {});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_FALSE(found->hits.empty());
  for (const Recalled& hit : found->hits) {
    EXPECT_FALSE(std::isnan(hit.score)) << hit.id;
    EXPECT_TRUE(std::isfinite(hit.activation)) << hit.id;
  }
}

}  // namespace
}  // namespace engram

// What must hold of every spreading, whatever the graph: mass, numbering, kernels,
// forms of a step, limits.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include "tests/api/graph_store.h"

namespace engram {
namespace {

using testing::BitsOf;
using testing::GraphStore;

constexpr MemoryId kCount = 300;

std::map<MemoryId, float> ActivationsOf(const SpreadResults& found) {
  std::map<MemoryId, float> activations;
  for (const Recalled& memory : found.memories) activations[memory.id] = memory.activation;
  return activations;
}

TEST(Spread, MassIsConservedUnderOutWeightNormalisation) {
  GraphStore store;
  store.FillAtRandom(kCount, 5);
  const std::vector<Seed> seeds = {{.id = 3, .activation = 2}, {.id = 8, .activation = 0.5f}};
  for (const float restart : {0.01f, 0.15f, 0.5f, 1.0f}) {
    for (const std::uint32_t hops : {0u, 1u, 2u, 3u, 10u, 100u}) {
      SpreadOptions options;
      options.threshold = 0.0f;
      options.max_hops = hops;
      options.restart = restart;
      double sum = 0.0;
      for (const auto& [id, activation] : ActivationsOf(store.Spread(options, seeds))) {
        sum += double{activation};
      }
      EXPECT_NEAR(sum, 1.0, testing::SpreadBound(store.edges, hops))
          << "restart " << restart << ", hops " << hops;
    }
  }
}

TEST(Spread, PermutingIdsPermutesTheAnswer) {
  GraphStore plain, permuted;
  plain.FillAtRandom(kCount, 6);
  std::mt19937 random(7);
  std::vector<MemoryId> other(kCount);
  std::iota(other.begin(), other.end(), 1000);
  std::shuffle(other.begin(), other.end(), random);
  // Ids and the order of creation both.
  for (const MemoryId id : other) permuted.Put(id, {});
  std::vector<Edge> list;
  for (const auto& [edge, weight] : plain.edges) {
    const auto& [from, type, to] = edge;
    list.push_back({.from = other[from], .to = other[to], .weight = weight, .type = type});
  }
  std::shuffle(list.begin(), list.end(), random);
  permuted.Link(list);
  SpreadOptions options;
  options.threshold = 0.0f;
  for (const float restart : {0.0f, 0.15f}) {
    options.restart = restart;
    const auto here = plain.Spread(options, {{.id = 3}, {.id = 200, .activation = 3}});
    const auto there =
        permuted.Spread(options, {{.id = other[200], .activation = 3}, {.id = other[3]}});
    auto activations = ActivationsOf(there);
    ASSERT_EQ(here.memories.size(), there.memories.size());
    const double bound = 2 * testing::SpreadBound(plain.edges, options.max_hops);
    for (const Recalled& memory : here.memories) {
      ASSERT_TRUE(activations.contains(other[memory.id]));
      EXPECT_NEAR(activations[other[memory.id]], memory.activation, bound * memory.activation);
    }
    EXPECT_EQ(here.info.edges_followed, there.info.edges_followed);
  }
}

TEST(Spread, ADeletedMemoryIsAsOneThatNeverWasLinked) {
  for (const bool sealed : {false, true}) {
    SCOPED_TRACE(sealed ? "sealed" : "in the overlay");
    GraphStore linked, never;
    linked.FillAtRandom(kCount, 8);
    for (MemoryId id = 0; id < kCount; ++id) never.Put(id, linked.memories[id].vector);
    const auto is_gone = [](MemoryId id) { return id % 10 == 4; };
    std::vector<Edge> list;
    for (const auto& [edge, weight] : linked.edges) {
      const auto& [from, type, to] = edge;
      if (is_gone(from) || is_gone(to)) continue;
      list.push_back({.from = from, .to = to, .weight = weight, .type = type});
    }
    never.Link(list);
    if (sealed) {
      ASSERT_TRUE(linked->Seal().ok());
    }
    for (MemoryId id = 0; id < kCount; ++id) {
      if (!is_gone(id)) continue;
      ASSERT_TRUE(linked->Delete({}, id).ok());
      ASSERT_TRUE(never->Delete({}, id).ok());
    }
    const std::vector<Seed> seeds = {{.id = 3}, {.id = 201, .activation = 0.5f}};
    const auto all_bits = [&](GraphStore& store) {
      std::string bits;
      for (const Normalisation normalisation :
           {Normalisation::kNone, Normalisation::kOutWeightSum, Normalisation::kSqrtDegree}) {
        SpreadOptions options;
        options.restart = normalisation == Normalisation::kNone ? 0.0f : 0.15f;
        options.normalisation = normalisation;
        bits += BitsOf(store.Spread(options, seeds).memories);
        RecallOptions recall;
        recall.spread = options;
        recall.strength.now_unix_seconds = 0;
        bits += BitsOf(store.Recall(recall, linked.memories[7].vector).hits);
      }
      return bits;
    };
    const std::string expected = all_bits(never);
    EXPECT_EQ(all_bits(linked), expected);
    ASSERT_TRUE(linked->Compact({}).ok());
    EXPECT_EQ(all_bits(linked), expected);
    // And one that returns does not find its old edges.
    ASSERT_TRUE(linked->Put({}, 4, {}).ok());
    EXPECT_EQ(all_bits(linked), expected);
    EXPECT_EQ(linked.Spread({}, {{.id = 4}}).memories.size(), 1u);
  }
}

TEST(Spread, EveryTableOfKernelsGivesTheSameBits) {
  GraphStore store;
  store.FillAtRandom(kCount, 9);
  ASSERT_TRUE(store->Seal().ok());
  std::string expected;
  int tables = 0;
  for (const KernelInfo& kernels : Kernels()) {
    if (!kernels.usable) continue;
    ++tables;
    store.Open(kernels.name);
    std::string bits;
    for (const float threshold : {0.0f, 1e-3f, 2e-2f}) {
      for (const float restart : {0.0f, 0.3f}) {
        SpreadOptions options;
        options.threshold = threshold;
        options.restart = restart;
        options.normalisation = Normalisation::kSqrtDegree;
        bits += BitsOf(store.Spread(options, {{.id = 1}, {.id = 77}}).memories);
      }
    }
    if (expected.empty()) expected = bits;
    EXPECT_EQ(bits, expected) << kernels.name;
  }
  EXPECT_GT(tables, 1);
}

// With all types named a step goes along single edges, however many there are.
TEST(Spread, DenseAndFrontierFormsDifferByRoundingAlone) {
  GraphStore store;
  store.FillAtRandom(kCount, 10);
  static constexpr std::uint32_t kAll[] = {2, 1, 0};
  SpreadOptions dense;
  dense.threshold = 0.0f;
  SpreadOptions frontier = dense;
  frontier.edge_types = kAll;
  for (const float restart : {0.0f, 0.15f}) {
    dense.restart = frontier.restart = restart;
    const auto from_all = store.Spread(dense, {{.id = 1}, {.id = 77}});
    auto along = ActivationsOf(store.Spread(frontier, {{.id = 1}, {.id = 77}}));
    ASSERT_EQ(from_all.memories.size(), along.size());
    ASSERT_GT(along.size(), kCount / 2);
    const double bound = 2 * testing::SpreadBound(store.edges, dense.max_hops);
    for (const Recalled& memory : from_all.memories) {
      EXPECT_NEAR(memory.activation, along[memory.id], bound * memory.activation);
    }
  }
}

TEST(Spread, NumbersBeyondF32StayFiniteAndHarmNoLaterCall) {
  GraphStore store;
  for (MemoryId id = 0; id < 6; ++id) store.Put(id, {});
  constexpr float kMost = std::numeric_limits<float>::max();
  store.Link({{.from = 0, .to = 1, .weight = kMost},
              {.from = 1, .to = 0, .weight = kMost},
              {.from = 1, .to = 2, .weight = 0.0f},
              {.from = 0, .to = 1, .weight = kMost, .type = 1},
              {.from = 3, .to = 4, .weight = 1e-44f},
              {.from = 3, .to = 5, .weight = 0.0f}});
  for (const bool sealed : {false, true}) {
    if (sealed) {
      ASSERT_TRUE(store->Seal().ok());
    }
    SpreadOptions tame;
    const std::string before = BitsOf(store.Spread(tame, {{.id = 1}}).memories);
    SpreadOptions wild;
    wild.normalisation = Normalisation::kNone;
    wild.max_hops = 1000;
    for (const float restart : {0.0f, 0.01f}) {
      wild.restart = restart;
      for (const MemoryId seed : {0, 1, 3}) {
        for (const Recalled& memory : store.Spread(wild, {{.id = seed}}).memories) {
          EXPECT_TRUE(std::isfinite(memory.activation) && memory.activation > 0.0f) << memory.id;
        }
      }
    }
    for (const Recalled& memory : store.Spread(tame, {{.id = 3, .activation = kMost}}).memories) {
      EXPECT_TRUE(std::isfinite(memory.activation)) << memory.id;
      EXPECT_NE(memory.id, 5u) << "a weight of zero carries nothing";
    }
    EXPECT_EQ(BitsOf(store.Spread(tame, {{.id = 1}}).memories), before);
  }
}

TEST(Spread, SeedsThatRepeatAddUpAndScaleDoesNotMatter) {
  GraphStore store;
  store.FillAtRandom(50, 11);
  const std::string once =
      BitsOf(store.Spread({}, {{.id = 1, .activation = 3}, {.id = 2, .activation = 1}}).memories);
  EXPECT_EQ(BitsOf(store
                       .Spread({}, {{.id = 1, .activation = 1},
                                    {.id = 2, .activation = 1},
                                    {.id = 1, .activation = 2},
                                    {.id = 9, .activation = 0}})
                       .memories),
            once);
  EXPECT_EQ(
      BitsOf(store.Spread({}, {{.id = 2, .activation = 8}, {.id = 1, .activation = 24}}).memories),
      once);
  EXPECT_TRUE(store.Spread({}, {}).memories.empty());
  EXPECT_TRUE(store.Spread({}, {{.id = 1, .activation = 0}}).memories.empty());
}

TEST(Spread, LimitsOfHopsAnswersActiveMemoriesAndTimeHold) {
  GraphStore store;
  store.FillAtRandom(kCount, 12);
  const std::vector<Seed> seeds = {{.id = 1}, {.id = 2}, {.id = 3, .activation = 2}};
  SpreadOptions none;
  none.max_hops = 0;
  const auto still = store.Spread(none, seeds);
  ASSERT_EQ(still.memories.size(), 3u);
  EXPECT_EQ(still.memories[0].id, 3u);
  EXPECT_EQ(still.memories[0].activation, 0.5f);
  EXPECT_EQ(still.memories[1].id, 1u);  // ties by id
  EXPECT_EQ(still.info.steps, 0u);

  SpreadOptions some;
  const auto all = store.Spread(some, seeds).memories;
  for (const std::uint32_t k : {1u, 2u, 17u, 100000u}) {
    some.k = k;
    auto first = all;
    if (first.size() > k) first.resize(k);
    EXPECT_EQ(BitsOf(store.Spread(some, seeds).memories), BitsOf(first)) << k;
  }

  SpreadOptions few;
  few.max_hops = 1;
  few.max_active = 1;
  const auto from_one = store.Spread(few, seeds);
  EXPECT_TRUE(from_one.info.truncated);
  for (const Recalled& memory : from_one.memories) {
    EXPECT_TRUE(memory.via == 3 || memory.via == memory.id) << memory.via;
  }
  few.max_active = 3;
  EXPECT_FALSE(store.Spread(few, seeds).info.truncated);

  SpreadOptions late;
  late.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  const auto cut = store.Spread(late, seeds);
  EXPECT_TRUE(cut.info.truncated);
  EXPECT_EQ(cut.memories.size(), 3u);
}

TEST(Spread, CyclesLoopsAndLonelyMemoriesAreDefined) {
  GraphStore store;
  for (MemoryId id = 0; id < 4; ++id) store.Put(id, {});
  EXPECT_EQ(store.Spread({}, {{.id = 0}}).memories.size(), 1u);  // no edges at all
  store.Link({{.from = 0, .to = 0, .weight = 3}, {.from = 0, .to = 1}, {.from = 1, .to = 0}});
  SpreadOptions options;
  options.max_hops = 1;
  options.restart = 0.5f;
  const auto found = store.Spread(options, {{.id = 0}});
  ASSERT_EQ(found.memories.size(), 2u);
  EXPECT_FLOAT_EQ(found.memories[0].activation, 0.5f + 0.5f * 0.75f);
  EXPECT_EQ(found.memories[0].via, 0u);
  EXPECT_FLOAT_EQ(found.memories[1].activation, 0.5f * 0.25f);
  const auto lonely = store.Spread({}, {{.id = 3}});
  ASSERT_EQ(lonely.memories.size(), 1u);
  EXPECT_FLOAT_EQ(lonely.memories[0].activation, 0.15f);
}

}  // namespace
}  // namespace engram

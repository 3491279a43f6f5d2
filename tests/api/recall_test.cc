// What must hold of every recall: the early end of the ranking, threads, kernels, and the
// edge cases that the formula has to define.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/dispatch.h"
#include "tests/api/graph_store.h"

namespace engram {
namespace {

using testing::BitsOf;
using testing::GraphStore;
using testing::RandomVector;

RecallOptions AtZero() {
  RecallOptions options;
  options.strength.now_unix_seconds = 0;
  return options;
}

std::vector<float> Scaled(std::vector<float> vector, float factor) {
  for (float& value : vector) value *= factor;
  return vector;
}

// A strength weight too small to change a score takes the way that looks at all candidates.
TEST(Recall, EndingTheRankingEarlyNeverChangesTheAnswer) {
  for (const Metric metric : {Metric::kCosine, Metric::kDot}) {
    GraphStore store(metric);
    store.FillAtRandom(400, 21);
    std::mt19937 random(22);
    for (int i = 0; i < 200; ++i) {
      SCOPED_TRACE("recall " + std::to_string(i));
      RecallOptions options = AtZero();
      options.k = static_cast<std::uint32_t>(1 + random() % 12);
      options.seeds.k = static_cast<std::uint32_t>(1 + random() % 8);
      // From activation deciding all to similarity deciding all.
      options.activation_weight = std::pow(10.0f, static_cast<float>(random() % 7) - 4.0f);
      if (random() % 8 == 0) options.activation_weight = 0.0f;
      options.include_bare = random() % 2 == 0;
      options.spread.threshold = random() % 2 == 0 ? 0.0f : 1e-3f;
      const std::vector<MemoryId> named = {random() % 400, random() % 400};
      if (random() % 2 == 0) options.named = named;
      // Scores of zero are the only ones that the weight does change.
      const bool no_cue = options.activation_weight > 0.0f && random() % 8 == 0;
      const auto cue = no_cue ? std::vector<float>() : RandomVector(random);
      const auto early = store.Recall(options, cue);
      options.strength_weight = std::numeric_limits<float>::denorm_min();
      EXPECT_EQ(BitsOf(early.hits), BitsOf(store.Recall(options, cue).hits));
    }
  }
}

TEST(Recall, AnyNumberOfThreadsGivesTheSameBits) {
  GraphStore store;
  store.FillAtRandom(2000, 23);
  ASSERT_TRUE(store->Seal().ok());
  const std::vector<float> cue = store.memories[7].vector;
  std::string expected;
  for (const std::uint32_t threads : {1u, 2u, 3u, 4u}) {
    store.Open("", threads);
    const std::string bits = BitsOf(store.Recall(AtZero(), cue).hits);
    if (expected.empty()) expected = bits;
    EXPECT_EQ(bits, expected) << threads;
    RecallOptions asked = AtZero();
    asked.seeds.threads = threads;
    EXPECT_EQ(BitsOf(store.Recall(asked, cue).hits), expected) << threads;
  }
}

TEST(Recall, TablesOfOneClassGiveTheSameBitsAndOthersNearlySo) {
  GraphStore store;
  store.FillAtRandom(300, 24);
  const std::vector<float> cue = store.memories[7].vector;
  std::map<std::string, std::string> by_class;
  std::vector<Recalled> first;
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (!choice.usable) continue;
    const engram_kernels& table = *choice.table;
    store.Open(table.name);
    const auto hits = store.Recall(AtZero(), cue).hits;
    const std::string its_class = std::to_string(table.lanes) + " " +
                                  std::to_string(table.accumulators) + " " +
                                  std::to_string(table.fma);
    const auto [known, fresh] = by_class.try_emplace(its_class, BitsOf(hits));
    EXPECT_EQ(BitsOf(hits), known->second) << table.name;
    if (first.empty()) first = hits;
    ASSERT_EQ(hits.size(), first.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
      EXPECT_NEAR(hits[i].score, first[i].score, 2e-5) << table.name << ", rank " << i;
    }
  }
}

TEST(Recall, SimilaritiesAreThoseOfSearch) {
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2Squared}) {
    GraphStore store(metric);
    store.FillAtRandom(300, 25);
    const std::vector<float> cue = store.memories[7].vector;
    SearchOptions search;
    search.k = 300;
    std::map<MemoryId, float> scores;
    const auto searched = store->Search(search, cue);
    ASSERT_TRUE(searched.ok()) << searched.status();
    for (const Hit& hit : searched->hits) scores[hit.id] = hit.score;
    for (const bool sealed : {false, true}) {
      if (sealed) {
        ASSERT_TRUE(store->Seal().ok());
      }
      RecallOptions options = AtZero();
      options.k = 300;
      const auto found = store.Recall(options, cue);
      EXPECT_GT(found.hits.size(), 100u);
      for (const Recalled& hit : found.hits) EXPECT_EQ(hit.similarity, scores[hit.id]);
    }
  }
}

// Where no similarity is above zero, or the metric is a distance, the place counts.
TEST(Recall, NegativeSimilaritiesAreScaledByTheirPlace) {
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2Squared}) {
    GraphStore store(metric);
    std::mt19937 random(26);
    const std::vector<float> cue = RandomVector(random);
    store.Put(1, Scaled(cue, -1.0f));
    std::vector<float> nearly = Scaled(cue, -2.0f);
    nearly[0] += 0.5f;
    store.Put(2, nearly);
    store.Put(3, Scaled(cue, -3.0f));
    RecallOptions options = AtZero();
    options.activation_weight = 0.0f;
    const auto hits = store.Recall(options, cue).hits;
    ASSERT_EQ(hits.size(), 3u);
    EXPECT_FLOAT_EQ(hits[0].score, 1.0f);
    EXPECT_FLOAT_EQ(hits[2].score, 0.0f);
    for (const Recalled& hit : hits) EXPECT_LT(hit.similarity, 0.0f);
    EXPECT_GE(hits[0].similarity, hits[1].similarity);
    EXPECT_GE(hits[1].similarity, hits[2].similarity);
    const auto plain = testing::RecallPlainly(store.memories, {}, metric, options, cue);
    EXPECT_NEAR(hits[1].score, plain.hits[1].score, 1e-3);
  }
}

TEST(Recall, EqualScoresAndASingleSeedStartWithOne) {
  GraphStore store;
  std::mt19937 random(27);
  const std::vector<float> same = RandomVector(random);
  for (MemoryId id = 1; id <= 4; ++id) store.Put(id, same);
  store.Put(9, Scaled(same, -1.0f));
  RecallOptions options = AtZero();
  options.seeds.k = 3;
  const auto equal = store.Recall(options, same).hits;
  ASSERT_EQ(equal.size(), 5u);
  for (std::size_t i = 0; i < 3; ++i) {  // the seeds are 1, 2, 3: ties by id
    EXPECT_EQ(equal[i].id, i + 1);
    EXPECT_FLOAT_EQ(equal[i].activation, 1.0f);
  }
  EXPECT_EQ(equal[3].id, 4u);
  EXPECT_EQ(equal[3].activation, 0.0f);
  options.seeds.k = 1;
  const auto one = store.Recall(options, same).hits;
  EXPECT_EQ(one[0].id, 1u);
  EXPECT_FLOAT_EQ(one[0].score, 4.0f);
  EXPECT_FLOAT_EQ(one[1].score, 1.0f);
}

TEST(Recall, NamesAloneNoSeedsAndNothingAtAll) {
  GraphStore store;
  EXPECT_TRUE(store.Recall(AtZero(), std::vector<float>(testing::kGraphDimension, 1)).hits.empty());
  EXPECT_TRUE(store.Recall(AtZero(), {}).hits.empty());
  std::mt19937 random(28);
  for (MemoryId id = 1; id <= 5; ++id) store.Put(id, RandomVector(random));
  store.Put(6, {});
  store.Link({{.from = 6, .to = 1}, {.from = 6, .to = 2, .weight = 3}});
  RecallOptions options = AtZero();
  EXPECT_TRUE(store.Recall(options, {}).hits.empty());
  const std::vector<MemoryId> named = {6, 6};
  options.named = named;
  const auto by_name = store.Recall(options, {});
  ASSERT_EQ(by_name.hits.size(), 2u);
  EXPECT_EQ(by_name.hits[0].id, 2u);
  EXPECT_FLOAT_EQ(by_name.hits[0].activation, 1.0f);
  EXPECT_FLOAT_EQ(by_name.hits[0].score, 3.0f);
  EXPECT_TRUE(std::isnan(by_name.hits[0].similarity));
  EXPECT_FLOAT_EQ(by_name.hits[1].activation, 1.0f / 3.0f);
  EXPECT_EQ(by_name.search.rows_scored, 0u);
  options.include_bare = true;
  const auto with_bare = store.Recall(options, {});
  ASSERT_EQ(with_bare.hits.size(), 3u);
  // No search hit reaches the bound: names alone are seeds again.
  options.include_bare = false;
  options.seeds.min_score = 1.5f;
  EXPECT_EQ(store.Recall(options, store.memories[4].vector).hits.size(), 2u);
  // A name that counts nothing is no seed.
  options.named_weight = 0.0f;
  EXPECT_TRUE(store.Recall(options, {}).hits.empty());
}

TEST(Recall, StrengthCanDecideAndReadsOnlyTheGivenClock) {
  GraphStore store;
  std::mt19937 random(29);
  const std::vector<float> same = RandomVector(random);
  WriteOptions then;
  for (MemoryId id = 1; id <= 3; ++id) {
    then.now_unix_seconds = static_cast<std::int64_t>(id) * 100;
    ASSERT_TRUE(store->Put(then, id, same).ok());
  }
  RecallOptions options = AtZero();
  options.activation_weight = 0.0f;
  options.strength_weight = 2.0f;
  options.strength.half_life_seconds = 100;
  options.strength.now_unix_seconds = 300;
  const auto hits = store.Recall(options, same).hits;
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_EQ(hits[0].id, 3u);
  EXPECT_FLOAT_EQ(hits[0].score, 1.0f + 2.0f);
  EXPECT_FLOAT_EQ(hits[1].score, 1.0f + 1.0f);
  EXPECT_FLOAT_EQ(hits[2].score, 1.0f + 0.5f);
  EXPECT_EQ(BitsOf(store.Recall(options, same).hits), BitsOf(hits));
  options.strength_weight = -2.0f;
  EXPECT_EQ(store.Recall(options, same).hits[0].id, 1u);
  options.strength.now_unix_seconds = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(store.Recall(options, same).hits[0].strength, 1.0f);  // later uses are just now
  options.strength.now_unix_seconds = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(store.Recall(options, same).hits[0].strength, 0.0f);
}

// One memory linked with all others, both ways, is no answer to what it has no part in.
TEST(Recall, AHubDoesNotWinUnrelatedRecalls) {
  GraphStore store;
  store.FillAtRandom(300, 30);
  std::mt19937 random(31);
  constexpr MemoryId kHub = 1000;
  store.Put(kHub, RandomVector(random));
  std::vector<Edge> list;
  for (MemoryId id = 0; id < 300; ++id) {
    list.push_back({.from = kHub, .to = id});
    list.push_back({.from = id, .to = kHub});
  }
  store.Link(list);
  const std::vector<MemoryId> named = {kHub};
  for (int i = 0; i < 50; ++i) {
    const MemoryId id = random() % 300;
    const std::vector<float> cue = store.memories[id].vector;
    if (cue.empty()) continue;
    const auto hits = store.Recall(AtZero(), cue).hits;
    ASSERT_FALSE(hits.empty());
    EXPECT_EQ(hits[0].id, id);
    // It is reached from everywhere, and so may come second.
    EXPECT_LT(hits[1].score, hits[0].score);
    // Even when it is named: what it has for each of so many is next to nothing.
    RecallOptions options = AtZero();
    options.named = named;
    const auto with_hub = store.Recall(options, cue).hits;
    EXPECT_EQ(with_hub[0].id == kHub ? with_hub[1].id : with_hub[0].id, id);
  }
}

}  // namespace
}  // namespace engram

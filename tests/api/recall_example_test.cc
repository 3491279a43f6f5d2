// The example of docs/recall.md, number by number: the page and the library must not
// come apart.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

// The page has six digits behind the point.
constexpr float kLastDigit = 0.6e-6f;

constexpr MemoryId kEngine = 11, kBabbage = 12;
constexpr std::int64_t kDay = 86400;

class RecallExampleTest : public ::testing::Test {
 protected:
  void SetUp() override { Make(""); }

  void Make(const std::string& kernels) {
    store_.reset();
    StoreOptions options;
    options.dimension = 2;
    options.create_if_missing = true;
    options.kernels = kernels;
    auto store = Store::Open(options, dir_ / ("store" + kernels));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    WriteBatch batch;
    batch.Put(1, {{1.0f, 0.0f}}, "The Analytical Engine was designed by Charles Babbage.");
    batch.Put(2, {{0.6f, 0.8f}}, "Charles Babbage was born in London.");
    batch.Put(3, {{0.8f, 0.6f}}, "A steam engine burns coal.");
    batch.Put(4, {{0.28f, 0.96f}}, "The Thames flows through London.");
    batch.Put(kEngine, {});
    batch.Put(kBabbage, {});
    batch.SetKey("Analytical Engine", kEngine);
    batch.SetKey("Charles Babbage", kBabbage);
    for (const auto& [a, b] :
         {std::pair<MemoryId, MemoryId>{1, kEngine}, {1, kBabbage}, {2, kBabbage}}) {
      batch.PutEdge({.from = a, .to = b});
      batch.PutEdge({.from = b, .to = a});
    }
    WriteOptions put;
    put.now_unix_seconds = 0;
    const absl::Status status = store_->Write(put, batch);
    ASSERT_TRUE(status.ok()) << status;
  }

  RecallResults Recall(std::uint32_t hops) {
    const auto named = store_->FindNamed({}, kQuestion);
    EXPECT_TRUE(named.ok()) << named.status();
    std::vector<MemoryId> ids;
    for (const NamedInText& name : *named) ids.push_back(name.id);
    EXPECT_EQ(ids, std::vector<MemoryId>{kEngine});
    options_.seeds.k = 3;
    options_.named = ids;
    options_.spread.max_hops = hops;
    options_.spread.explain = true;
    options_.strength.now_unix_seconds = kDay;
    auto found = store_->Recall(options_, kCue);
    options_.named = {};
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : RecallResults();
  }

  // Activations of all memories after `hops` steps from the seeds of the example.
  std::map<MemoryId, float> Activations(std::uint32_t hops) {
    const Seed seeds[] = {
        {.id = 1, .activation = 1.0f}, {.id = 3, .activation = 0.0625f}, {.id = kEngine}};
    SpreadOptions options;
    options.max_hops = hops;
    const auto found = store_->Spread(options, seeds);
    EXPECT_TRUE(found.ok()) << found.status();
    std::map<MemoryId, float> activations;
    for (const Recalled& memory : found->memories) activations[memory.id] = memory.activation;
    return activations;
  }

  static constexpr const char* kQuestion =
      "Where was the designer of the analytical engine's plans born?";
  const std::vector<float> kCue{1.0f, 0.0f};
  testing::TempDir dir_;
  std::unique_ptr<Store> store_;
  RecallOptions options_;
};

void ExpectActivations(const std::map<MemoryId, float>& found,
                       const std::map<MemoryId, float>& expected) {
  EXPECT_EQ(found.size(), expected.size());
  for (const auto& [id, activation] : expected) {
    ASSERT_TRUE(found.contains(id)) << id;
    EXPECT_NEAR(found.at(id), activation, kLastDigit) << id;
  }
}

TEST_F(RecallExampleTest, SearchAloneRanksByTheVectors) {
  const auto found = store_->Search({}, kCue);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 4u);
  const std::vector<Hit> expected = {{1, 1.0f}, {3, 0.8f}, {2, 0.6f}, {4, 0.28f}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(found->hits[i].id, expected[i].id);
    EXPECT_NEAR(found->hits[i].score, expected[i].score, kLastDigit);
  }
}

TEST_F(RecallExampleTest, EachStepIsAsOnThePage) {
  ExpectActivations(Activations(0), {{1, 0.484848f}, {3, 0.030303f}, {kEngine, 0.484848f}});
  ExpectActivations(Activations(1),
                    {{1, 0.484848f}, {3, 0.004545f}, {kEngine, 0.278788f}, {kBabbage, 0.206061f}});
  const std::map<MemoryId, float> last = {
      {1, 0.397273f}, {2, 0.087576f}, {3, 0.004545f}, {kEngine, 0.278788f}, {kBabbage, 0.206061f}};
  const auto found = Activations(2);
  ExpectActivations(found, last);
  float sum = 0.0f;
  for (const auto& [id, activation] : found) sum += activation;
  EXPECT_NEAR(sum, 0.974242f, kLastDigit);
}

TEST_F(RecallExampleTest, TheAnswerIsAsOnThePageAndSaysWhy) {
  const RecallResults found = Recall(2);
  ASSERT_EQ(found.hits.size(), 4u);
  struct Expected {
    MemoryId id;
    float score, similarity, activation;
    std::uint32_t hops;
    MemoryId via;
  };
  const Expected expected[] = {{1, 4.0f, 1.0f, 1.0f, 0, kEngine},
                               {2, 1.261327f, 0.6f, 0.220442f, 2, kBabbage},
                               {3, 0.834325f, 0.8f, 0.011442f, 0, 3},
                               {4, 0.28f, 0.28f, 0.0f, 0, 4}};
  for (std::size_t i = 0; i < 4; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(found.hits[i].id, expected[i].id);
    EXPECT_NEAR(found.hits[i].score, expected[i].score, kLastDigit);
    EXPECT_NEAR(found.hits[i].similarity, expected[i].similarity, kLastDigit);
    EXPECT_NEAR(found.hits[i].activation, expected[i].activation, kLastDigit);
    EXPECT_FLOAT_EQ(found.hits[i].strength, 0.5f);  // a day, the half-life, after the Put
    EXPECT_EQ(found.hits[i].hops, expected[i].hops);
    EXPECT_EQ(found.hits[i].via, expected[i].via);
  }
  const std::vector<PathStep>& path = found.hits[1].path;
  ASSERT_EQ(path.size(), 3u);
  EXPECT_EQ(path[0].id, 1u);
  EXPECT_EQ(path[1].id, kBabbage);
  EXPECT_EQ(path[1].weight, 1.0f);
  EXPECT_EQ(path[2].id, 2u);
  EXPECT_EQ(path[2].weight, 1.0f);
  EXPECT_TRUE(found.hits[3].path.empty());
}

TEST_F(RecallExampleTest, MemoriesWithoutAnEmbeddingRankWhenAsked) {
  options_.include_bare = true;
  const RecallResults found = Recall(2);
  ASSERT_EQ(found.hits.size(), 6u);
  EXPECT_EQ(found.hits[1].id, kEngine);
  EXPECT_NEAR(found.hits[1].activation, 0.701754f, kLastDigit);
  EXPECT_NEAR(found.hits[1].score, 2.105263f, 3 * kLastDigit);
  EXPECT_TRUE(std::isnan(found.hits[1].similarity));
  EXPECT_EQ(found.hits[2].id, kBabbage);
  EXPECT_NEAR(found.hits[2].score, 1.556064f, 3 * kLastDigit);
}

TEST_F(RecallExampleTest, StrengthJoinsWhenItHasAWeight) {
  WriteOptions day_later;
  day_later.now_unix_seconds = kDay;
  WriteBatch batch;
  batch.Reinforce(3, 1.0f);
  ASSERT_TRUE(store_->Write(day_later, batch).ok());
  options_.strength_weight = 0.5f;
  const RecallResults found = Recall(2);
  ASSERT_EQ(found.hits.size(), 4u);
  EXPECT_EQ(found.hits[1].id, 3u);
  EXPECT_FLOAT_EQ(found.hits[1].strength, 2.0f);
  EXPECT_NEAR(found.hits[1].score, 1.834325f, kLastDigit);
  EXPECT_EQ(found.hits[2].id, 2u);
  EXPECT_FLOAT_EQ(found.hits[2].strength, 0.5f);
  EXPECT_NEAR(found.hits[2].score, 1.511327f, kLastDigit);
}

TEST_F(RecallExampleTest, SpreadingHasTheSameBitsOnEveryLevelSealedOrNot) {
  const auto here = Activations(10);
  EXPECT_EQ(here.size(), 5u);
  ASSERT_TRUE(store_->Seal().ok());
  EXPECT_EQ(store_->Stats().edge_changes, 0u);
  EXPECT_EQ(Activations(10), here);
  for (const KernelInfo& kernels : Kernels()) {
    if (!kernels.usable) continue;
    SCOPED_TRACE(kernels.name);
    Make(kernels.name);
    EXPECT_EQ(store_->Stats().kernel, kernels.name);
    EXPECT_EQ(Activations(10), here);
    ASSERT_TRUE(store_->Seal().ok());
    EXPECT_EQ(Activations(10), here);
  }
}

}  // namespace
}  // namespace engram

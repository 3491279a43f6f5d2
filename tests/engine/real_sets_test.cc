// On real embeddings the certified scan gives the plain one's ids and score bits: for all kernels
// and k, after deletes and upserts, alone and in batches.
#include <gtest/gtest.h>

#include "tests/engine/certified_store.h"
#include "tests/support/musique.h"
#include "tests/support/scale.h"

namespace engram::engine {
namespace {

struct Set {
  const char* name;
  const char* queries;
  std::uint32_t dimension;
};

class RealSets : public ::testing::TestWithParam<Set> {};

TEST_P(RealSets, AnswersAreThePlainScans) {
  const Set& set = GetParam();
  const std::string folder = testing::DataFolder(set.name);
  if (folder.empty()) {
    GTEST_SKIP() << "the set " << set.name
                 << " is not part of the repository: set ENGRAM_DATA to the folder that has it";
  }
  const unsigned seed = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_SEED", 61));
  std::printf("seed %u\n", seed);
  Random random(seed);
  const auto vectors_of = [&](const std::string& file) {
    const std::vector<float> all = testing::ReadHalves(folder + "/" + file);
    std::vector<Vector> vectors;
    for (std::size_t at = 0; at + set.dimension <= all.size(); at += set.dimension) {
      vectors.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(at),
                           all.begin() + static_cast<std::ptrdiff_t>(at + set.dimension));
    }
    return vectors;
  };
  const std::vector<Vector> base = vectors_of("base.f16");
  ASSERT_GT(base.size(), 100'000u);
  TestStore store(set.dimension, Metric::kCosine, 5120);
  store.PutAll(base);
  store.Seal();
  for (std::size_t i = 0; i < base.size(); ++i) {
    if (random() % 16 == 0) store.Delete(i);
    if (random() % 64 == 0) store.Put(i, base[random() % base.size()]);
  }
  store.Write();
  const auto view = store.view();
  ASSERT_LT(view->live_rows(), base.size());

  std::vector<Vector> asked = vectors_of(set.queries);
  std::shuffle(asked.begin(), asked.end(), random);
  const bool is_long = testing::FromEnvironment("ENGRAM_LONG", 0) != 0;
  asked.resize(is_long ? asked.size() : 5);
  const Queries queries(asked);
  Tally tally;
  for (const engram_kernels* table : UsableTables()) {
    for (const std::uint32_t k : {1u, 10u, 100u, 1000u}) {
      SearchOptions options;
      options.k = k;
      Compare(*view, *table, Metric::kCosine, options, 2, queries.all(), tally);
      Compare(*view, *table, Metric::kCosine, options, 1, queries.one(0), tally);
      if (::testing::Test::HasFailure()) return;
    }
  }
  std::printf("%zu queries compared, of which %zu gave up their codes\n", tally.queries,
              tally.given_up);
  EXPECT_LT(tally.given_up, tally.queries / 4);
}

INSTANTIATE_TEST_SUITE_P(All, RealSets,
                         ::testing::Values(Set{"glove-100d", "queries.f16", 100},
                                           Set{"wordnet-minilm", "queries.dev.f16", 384}),
                         [](const auto& given) {
                           return std::string(given.param.dimension == 100 ? "Glove" : "WordNet");
                         });

}  // namespace
}  // namespace engram::engine

// Answers and what is stored do not depend on how the caller's thread rounds, nor on whether it
// takes denormals for zeros; and the thread has its mode back after each call.
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <random>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "engram/store.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 96;
constexpr std::size_t kRows = 20000;

// Rounds upwards and, where the CPU can be told to, flushes denormals; until it goes.
class OddMode {
 public:
  OddMode() {
    std::fegetenv(&before_);
    std::fesetround(FE_UPWARD);
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
  }
  ~OddMode() { std::fesetenv(&before_); }
  OddMode(const OddMode&) = delete;
  OddMode& operator=(const OddMode&) = delete;

  bool IsStillSo() const {
#if defined(__SSE__)
    if ((_mm_getcsr() & 0x8040) != 0x8040) return false;
#endif
    return std::fegetround() == FE_UPWARD;
  }

 private:
  std::fenv_t before_;
};

class FloatMode : public ::testing::TestWithParam<Metric> {
 protected:
  FloatMode() {
    constexpr unsigned kSeed = 9;
    std::printf("seed %u\n", kSeed);
    std::mt19937 random(kSeed);
    std::normal_distribution<float> normal;
    vectors_.resize(kRows * kDimension);
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      // They fall, so that a rotation is worth while; products of the small ones are denormal.
      const auto j = static_cast<float>(i % kDimension);
      vectors_[i] = normal(random) * (i % 7 == 0 ? 1e-20f : std::exp(-j / 12));
    }
    options_.dimension = kDimension;
    options_.metric = GetParam();
    options_.rows_per_block = 1024;
    options_.create_if_missing = true;
    options_.search_threads = 3;
  }

  absl::Span<const float> Row(std::size_t i) const {
    return absl::MakeConstSpan(vectors_).subspan(i * kDimension, kDimension);
  }
  void Fill(Store& store) const {
    WriteBatch batch;
    for (std::size_t i = 0; i < kRows; ++i) batch.Put(i, Row(i), "");
    ASSERT_TRUE(store.Write({}, batch).ok());
    ASSERT_TRUE(store.Seal().ok());
    WriteBatch edges;
    for (std::size_t i = 0; i < 1000; ++i) {
      edges.PutEdge({.from = i, .to = i * 7 % 1000, .weight = 0.5f + static_cast<float>(i % 13)});
    }
    ASSERT_TRUE(store.Write({}, edges).ok());
  }
  struct Answers {
    std::vector<Hit> hits;
    std::vector<std::pair<MemoryId, float>> recalled;
  };
  void Ask(const Store& store, Answers* answers) const {
    ASSERT_EQ(store.Stats().coded_rows, kRows);
    for (const std::size_t query : {std::size_t{3}, kRows / 2}) {
      for (const bool plain : {false, true}) {
        SearchOptions search;
        search.plain = plain;
        const auto found = store.Search(search, Row(query));
        ASSERT_TRUE(found.ok()) << found.status();
        ASSERT_EQ(found->info.path, plain ? SearchPath::kPlainScan : SearchPath::kCertifiedScan);
        answers->hits.insert(answers->hits.end(), found->hits.begin(), found->hits.end());
      }
      RecallOptions options;
      options.strength.now_unix_seconds = 4102444800;
      const auto recalled = store.Recall(options, Row(query));
      ASSERT_TRUE(recalled.ok()) << recalled.status();
      for (const auto& one : recalled->hits) answers->recalled.emplace_back(one.id, one.score);
    }
  }

  testing::TempDir dir_;
  StoreOptions options_;
  std::vector<float> vectors_;
};

TEST_P(FloatMode, OfTheCallerChangesNothing) {
  Answers expected;
  {
    const auto store = Store::Open(options_, dir_ / "plain");
    ASSERT_TRUE(store.ok()) << store.status();
    Fill(**store);
    Ask(**store, &expected);
  }
  const OddMode odd;
  ASSERT_TRUE(odd.IsStillSo());
#if defined(__SSE__)
  const volatile float tiny = 1e-20f;
  ASSERT_EQ(tiny * tiny, 0.0f) << "denormals are not flushed";
#endif
  const auto store = Store::Open(options_, dir_ / "odd");
  ASSERT_TRUE(store.ok()) << store.status();
  Fill(**store);
  EXPECT_TRUE(odd.IsStillSo());
  Answers found;
  Ask(**store, &found);
  EXPECT_TRUE(odd.IsStillSo());
  ASSERT_EQ(found.hits.size(), expected.hits.size());
  for (std::size_t i = 0; i < found.hits.size(); ++i) {
    EXPECT_EQ(found.hits[i].id, expected.hits[i].id) << i;
    EXPECT_EQ(found.hits[i].score, expected.hits[i].score) << i;
  }
  EXPECT_EQ(found.recalled, expected.recalled);
  const auto report = (*store)->Verify({});  // codes the rows again
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
}

INSTANTIATE_TEST_SUITE_P(Metrics, FloatMode,
                         ::testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2Squared));

}  // namespace
}  // namespace engram

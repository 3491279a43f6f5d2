// What the certified scan says of itself, what it leaves to the plain one, and what a deadline
// stops.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "engine/exact_search.h"
#include "tests/engine/certified_store.h"

namespace engram::engine {
namespace {

using Clock = std::chrono::steady_clock;

// More than half of the rows stay candidates: the plain scan answers.
TEST(CertifiedInfo, LeavesToThePlainScanWhatCodesDoNotRuleOut) {
  constexpr unsigned kSeed = 46;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kDot, 8192);
  const std::vector<Vector> rows(40000, Normals(8, random));
  store.PutAll(rows);
  store.Seal();
  const Queries queries({rows[0], Normals(8, random)});
  SearchOptions options;
  const SearchJob job{*store.view(), *UsableTables().front(), Metric::kDot, options, 1, Pool(),
                      queries.all()};
  const auto found = CertifiedSearch(job);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE((*found)[0].given_up);
  EXPECT_FALSE((*found)[0].results.info.exact);
  const auto exact = ExactSearch(*store.view(), *UsableTables().front(), Metric::kDot, options, 1,
                                 Pool(), queries.all());
  const auto plain = PlainSearch(job);
  ASSERT_TRUE(exact.ok() && plain.ok());
  for (std::size_t q = 0; q < 2; ++q) {
    ExpectSameHits((*exact)[q].hits, (*plain)[q].hits);
    EXPECT_TRUE((*exact)[q].info.exact);
  }
  EXPECT_EQ((*exact)[0].info.path, SearchPath::kPlainScan);
}

TEST(CertifiedInfo, FindsNothingWhereAllRowsAreDead) {
  constexpr unsigned kSeed = 47;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kDot);
  std::vector<Vector> rows;
  for (int i = 0; i < 2000; ++i) rows.push_back(Normals(8, random));
  store.PutAll(rows);
  store.Seal();
  for (std::size_t i = 0; i < rows.size(); ++i) store.Delete(i);
  store.Write();
  ASSERT_EQ(store.view()->live_rows(), 0u);
  Tally tally;
  SearchOptions options;
  const Queries queries({rows[0]});
  Compare(*store.view(), *UsableTables().front(), Metric::kDot, options, 2, queries.all(), tally);
  const auto found = ExactSearch(*store.view(), *UsableTables().front(), Metric::kDot, options, 2,
                                 Pool(), queries.all());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE((*found)[0].hits.empty());
}

// Without checksums nothing is promised.
TEST(CertifiedInfo, IsNotExactWithoutChecksums) {
  constexpr unsigned kSeed = 48;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kL2Squared);
  std::vector<Vector> rows;
  for (int i = 0; i < 2000; ++i) rows.push_back(Normals(8, random));
  store.PutAll(rows);
  store.Seal();
  SearchOptions options;
  options.verify_checksums = false;
  Tally tally;
  Compare(*store.view(), *UsableTables().front(), Metric::kL2Squared, options, 1,
          Queries({rows[0]}).all(), tally);
}

// The codes of a store of another metric say nothing of this one.
TEST(CertifiedInfo, ScoresRowsWhoseCodesAreOfAnotherMetric) {
  constexpr unsigned kSeed = 49;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const Metric metric : {Metric::kCosine, Metric::kDot}) {
    TestStore store(8, metric);
    std::vector<Vector> rows;
    for (int i = 0; i < 2000; ++i) {
      rows.push_back(Scaled(Normals(8, random), std::pow(10, i % 20 - 10)));
    }
    store.PutAll(rows);
    store.Seal();
    for (const Metric asked : kMetrics) {
      const Queries queries({rows[5], Normals(8, random)});
      SearchOptions options;
      const SearchJob job{*store.view(), *UsableTables().front(), asked, options, 1, Pool(),
                          queries.all()};
      const auto found = CertifiedSearch(job);
      const auto plain = PlainSearch(job);
      ASSERT_TRUE(found.ok() && plain.ok());
      for (std::size_t q = 0; q < 2; ++q) {
        ASSERT_FALSE((*found)[q].given_up);
        ExpectSameHits((*found)[q].results.hits, (*plain)[q].hits);
      }
    }
  }
}

// Kernels that outlast the deadline in their first call.
struct SlowKernels {
  static inline Clock::time_point deadline;
  static inline std::atomic<std::size_t> estimates = 0, scans = 0, dots = 0;
  static inline const engram_kernels* real = nullptr;

  static void Estimate(const engram_code_query* query, const std::uint8_t* superblocks,
                       const float* norms, std::size_t count, float* out) {
    ++estimates;
    std::this_thread::sleep_until(deadline);
    real->estimate(query, superblocks, norms, count, out);
  }
  static void Dot(const float* query, const float* rows, std::size_t count, std::size_t dimension,
                  std::size_t pitch, float* out) {
    dots += count;
    std::this_thread::sleep_until(deadline);
    real->dot(query, rows, count, dimension, pitch, out);
  }
  // Only that of the plain scan, which scores many rows at a time.
  static void DotOfMany(const float* query, const float* rows, std::size_t count,
                        std::size_t dimension, std::size_t pitch, float* out) {
    if (count > 1) std::this_thread::sleep_until(deadline);
    real->dot(query, rows, count, dimension, pitch, out);
  }
  static std::size_t Scan(const engram_code_query* query, const std::uint8_t* superblocks,
                          const float* norms, std::size_t count, std::uint32_t* rows, float* bounds,
                          std::size_t found) {
    ++scans;
    std::this_thread::sleep_until(deadline);
    return real->scan(query, superblocks, norms, count, rows, bounds, found);
  }
  static void Start(std::chrono::milliseconds time) {
    real = UsableTables().front();
    estimates = scans = dots = 0;
    deadline = Clock::now() + time;
  }
};

class CertifiedDeadlines : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kDimension = 16;
  static constexpr std::size_t kRows = 20000;

  CertifiedDeadlines() : store_(kDimension, Metric::kDot, 1024) {
    Random random(50);
    for (std::size_t i = 0; i < kRows; ++i) rows_.push_back(Normals(kDimension, random));
    store_.PutAll(rows_);
    store_.Seal();
    options_.k = 3;
  }

  // Two rows that are never sealed.
  void AddTail() { store_.PutAll({rows_[8], rows_[9]}, kRows); }

  std::vector<SearchResults> Search(const engram_kernels& kernels, absl::Span<const Query> queries,
                                    std::uint32_t threads) {
    const auto view = store_.view();
    options_.deadline = SlowKernels::deadline;
    auto found = ExactSearch(*view, kernels, Metric::kDot, options_, threads, Pool(), queries);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : std::vector<SearchResults>();
  }

  // As Search(), by the certified scan with as many threads as there are.
  std::vector<CertifiedResults> SearchCertified(const engram_kernels& kernels,
                                                absl::Span<const Query> queries,
                                                std::uint32_t threads) {
    const auto view = store_.view();
    options_.deadline = SlowKernels::deadline;
    auto found = CertifiedSearch(
        {*view, kernels, Metric::kDot, options_, threads, Pool(), queries, /*bytes_per_thread=*/1});
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : std::vector<CertifiedResults>();
  }

  // What was found are rows with their scores.
  void ExpectTrueHits(const SearchResults& results, const Query& query) {
    SearchOptions options;
    options.k = kRows + 2;
    const auto view = store_.view();
    const auto all = PlainSearch(
        {*view, *UsableTables().front(), Metric::kDot, options, 1, Pool(), {&query, 1}});
    ASSERT_TRUE(all.ok()) << all.status();
    std::map<MemoryId, float> scores;
    for (const Hit& hit : (*all)[0].hits) scores[hit.id] = hit.score;
    for (const Hit& hit : results.hits) EXPECT_EQ(hit.score, scores.at(hit.id));
    EXPECT_TRUE(std::is_sorted(results.hits.begin(), results.hits.end(), Better));
  }

  TestStore store_;
  std::vector<Vector> rows_;
  SearchOptions options_;
};

TEST_F(CertifiedDeadlines, OneInThePastScoresNothing) {
  SlowKernels::Start(std::chrono::milliseconds(-1));
  engram_kernels kernels = *UsableTables().front();
  kernels.estimate = &SlowKernels::Estimate;
  kernels.scan = &SlowKernels::Scan;
  const Queries one({rows_[0]});
  const std::vector<Query> queries(20000, one.all()[0]);
  for (const bool with_tail : {false, true}) {
    if (with_tail) AddTail();
    const auto results = Search(kernels, queries, 3);
    ASSERT_EQ(results.size(), queries.size());
    for (const SearchResults& result : results) {
      ASSERT_TRUE(result.info.truncated);
      ASSERT_FALSE(result.info.exact);
      ASSERT_EQ(result.info.rows_scored, 0u);
      ASSERT_TRUE(result.hits.empty());
    }
  }
  EXPECT_EQ(SlowKernels::estimates, 0u);
  EXPECT_EQ(SlowKernels::scans, 0u);
}

TEST_F(CertifiedDeadlines, OneThatPassesInTheSampleStopsALargeBatch) {
  SlowKernels::Start(std::chrono::milliseconds(300));
  engram_kernels kernels = *UsableTables().front();
  kernels.estimate = &SlowKernels::Estimate;
  kernels.scan = &SlowKernels::Scan;
  AddTail();
  const Queries query({rows_[0]});
  const std::vector<Query> queries(2000, query.all()[0]);
  const auto results = Search(kernels, queries, 1);
  // Of 64 rows each.
  EXPECT_GE(SlowKernels::estimates, 1u);
  EXPECT_LE(SlowKernels::estimates, 300u);
  EXPECT_EQ(SlowKernels::scans, 0u);
  for (const SearchResults& one : results) {
    ASSERT_TRUE(one.info.truncated);
    ASSERT_FALSE(one.info.exact);
    ASSERT_LE(one.info.rows_rescored, one.info.rows_scored);
  }
  ExpectTrueHits(results[0], queries[0]);
  ExpectTrueHits(results[1999], queries[1999]);
}

// Codes rule out nothing of thousands of nearly equal rows, and the plain scan does not get far.
TEST(CertifiedInfo, WhatWasFoundBeforeGivingUpIsKeptWhenTimeIsUp) {
  constexpr unsigned kSeed = 54;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kDot, 8192);
  const Vector one = Normals(8, random);
  std::vector<Vector> rows;
  std::uniform_real_distribution<double> norm(1, 1.0005);
  for (int i = 0; i < 40000; ++i) rows.push_back(Scaled(one, norm(random)));
  std::vector<MemoryId> best;
  for (const std::size_t i : {4000, 4001, 4002}) {
    rows[i] = Scaled(rows[i], 2);
    best.push_back(TestStore::IdOf(i));
  }
  store.PutAll(rows);
  store.Seal();
  SlowKernels::Start(std::chrono::milliseconds(400));
  engram_kernels kernels = *UsableTables().front();
  kernels.dot = &SlowKernels::DotOfMany;
  SearchOptions options;
  options.deadline = SlowKernels::deadline;
  const Queries query({rows[0]});
  const auto found =
      ExactSearch(*store.view(), kernels, Metric::kDot, options, 1, Pool(), query.all());
  ASSERT_TRUE(found.ok()) << found.status();
  const SearchResults& results = (*found)[0];
  EXPECT_EQ(results.info.path, SearchPath::kPlainScan);
  EXPECT_TRUE(results.info.truncated);
  EXPECT_FALSE(results.info.exact);
  EXPECT_LT(results.info.rows_scored, 4000u);
  ASSERT_EQ(results.hits.size(), 10u);
  EXPECT_TRUE(std::is_sorted(results.hits.begin(), results.hits.end(), Better));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(std::count(best.begin(), best.end(), results.hits[i].id), 1) << i;
  }
  std::set<MemoryId> ids;
  for (const Hit& hit : results.hits) ids.insert(hit.id);
  EXPECT_EQ(ids.size(), results.hits.size());
}

TEST_F(CertifiedDeadlines, OneThatPassesInTheScanLeavesTrueHits) {
  AddTail();
  const Queries queries({rows_[0], rows_[1], rows_[2], rows_[3]});
  for (const std::uint32_t threads : {1u, 3u}) {
    SlowKernels::Start(std::chrono::milliseconds(300));
    engram_kernels kernels = *UsableTables().front();
    kernels.scan = &SlowKernels::Scan;
    const auto found = SearchCertified(kernels, queries.all(), threads);
    // Some 100,000 floats' worth at most of the 320,000 for each query, in each thread.
    EXPECT_GE(SlowKernels::scans, 1u);
    EXPECT_LE(SlowKernels::scans, 16u * threads);
    ASSERT_EQ(found.size(), 4u);
    for (std::size_t q = 0; q < 4; ++q) {
      const SearchResults& results = found[q].results;
      EXPECT_FALSE(found[q].given_up);
      EXPECT_TRUE(results.info.truncated);
      EXPECT_FALSE(results.info.exact);
      EXPECT_EQ(results.info.path, SearchPath::kCertifiedScan);
      EXPECT_LT(results.info.rows_scored, kRows);
      EXPECT_LE(results.info.rows_rescored, results.info.rows_scored);
      EXPECT_LE(results.hits.size(), 3u);
      EXPECT_FALSE(results.hits.empty());
      ExpectTrueHits(results, queries.all()[q]);
    }
  }
}

// Many hits want many rows scored, in the sample too.
TEST_F(CertifiedDeadlines, OneThatPassesWhereRowsAreScoredStopsThat) {
  options_.k = kRows / 16;
  SlowKernels::Start(std::chrono::milliseconds(300));
  engram_kernels kernels = *UsableTables().front();
  kernels.dot = &SlowKernels::Dot;
  const Queries queries({rows_[0], rows_[1]});
  const auto results = Search(kernels, queries.all(), 1);
  EXPECT_GE(SlowKernels::dots, 1u);
  // 2^17 floats of rows, each of which counts as 80; the sample has 2 k of them.
  EXPECT_LE(SlowKernels::dots, 1700u);
  ASSERT_EQ(results.size(), 2u);
  for (std::size_t q = 0; q < 2; ++q) {
    EXPECT_TRUE(results[q].info.truncated);
    EXPECT_FALSE(results[q].info.exact);
    ExpectTrueHits(results[q], queries.all()[q]);
  }
}

TEST_F(CertifiedDeadlines, OneThatDoesNotPassChangesNothing) {
  SlowKernels::Start(std::chrono::hours(1));
  AddTail();
  const Queries queries({rows_[0], rows_[1]});
  for (const SearchResults& one : Search(*UsableTables().front(), queries.all(), 1)) {
    EXPECT_EQ(one.info.path, SearchPath::kCertifiedScan);
    EXPECT_TRUE(one.info.exact);
    EXPECT_FALSE(one.info.truncated);
    EXPECT_EQ(one.info.rows_scored, kRows + 2);
    EXPECT_EQ(one.hits.size(), 3u);
  }
}

}  // namespace
}  // namespace engram::engine

// Searches of random stores against brute force in double: every metric, ties, bounds,
// threads and batches, over imported blocks, sealed blocks, a tail and deleted rows.
// ENGRAM_MODEL_SEED=N runs that seed alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>

#include "engram/engram.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using Vector = std::vector<float>;

struct Scored {
  MemoryId id = 0;
  double score = 0.0;
};

class SearchModel {
 public:
  SearchModel(unsigned seed, Metric metric) : random_(seed), metric_(metric) {
    dimension_ = 1 + static_cast<std::uint32_t>(random_() % 300);
    // Small whole numbers make ties of vectors that differ; all sums of them are exact.
    whole_ = metric != Metric::kCosine && random_() % 2 == 0;
    for (int i = 0; i < 20; ++i) common_.push_back(Fresh());
    StoreOptions options;
    options.dimension = dimension_;
    options.metric = metric;
    options.create_if_missing = true;
    options.rows_per_block = 64 * (1 + static_cast<std::uint32_t>(random_() % 8));
    options.search_threads = 4;
    auto store = Store::Open(options, dir_ / "s");
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void Fill() {
    // Above a MiB of new memories are written as blocks at once.
    const std::size_t bulk = (std::size_t{5} << 18) / dimension_ + 2000;
    Import(std::min<std::size_t>(bulk, 20000));
    EXPECT_GT(store_->Stats().blocks, 0u);
    EXPECT_EQ(store_->Stats().tail_rows, 0u);
    Put(1000);
    DeleteSome();
    ASSERT_TRUE(store_->Seal().ok());
    if (random_() % 2 == 0) {
      ASSERT_TRUE(store_->Compact({.min_dead_fraction = 0.1, .progress = {}}).ok());
    }
    Put(500);
    DeleteSome();
    EXPECT_GT(store_->Stats().tail_rows, 0u);
    EXPECT_GT(store_->Stats().dead_rows, 0u);
  }

  void CheckSearches() {
    std::vector<float> together;
    std::vector<Vector> queries;
    for (int i = 0; i < 5; ++i) {
      queries.push_back(Any());
      together.insert(together.end(), queries.back().begin(), queries.back().end());
    }
    SearchOptions options;
    options.k = PickK();
    if (random_() % 2 == 0) {
      const std::vector<Scored> best = BruteForce(queries[0]);
      options.min_score = static_cast<float>(best[random_() % best.size()].score);
    }
    const auto batch = store_->SearchBatch(
        options, {.data = together.data(), .rows = queries.size(), .dimension = dimension_});
    ASSERT_TRUE(batch.ok()) << batch.status();
    ASSERT_EQ(batch->size(), queries.size());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      SCOPED_TRACE("query " + std::to_string(q));
      CheckAnswer(options, queries[q], (*batch)[q]);
      for (std::uint32_t threads = 1; threads <= 4; ++threads) {
        options.threads = threads;
        const auto alone = store_->Search(options, queries[q]);
        ASSERT_TRUE(alone.ok()) << alone.status();
        ExpectSameBits(alone->hits, (*batch)[q].hits);
      }
      options.threads = 0;
    }
  }

 private:
  Vector Fresh() {
    std::normal_distribution<float> normal;
    Vector vector(dimension_);
    for (float& value : vector) value = whole_ ? std::round(2 * normal(random_)) : normal(random_);
    vector[0] += vector[0] == 0.0f ? 1.0f : 0.0f;
    return vector;
  }
  Vector Any() { return random_() % 3 == 0 ? common_[random_() % common_.size()] : Fresh(); }

  void Import(std::size_t count) {
    std::size_t given = 0;
    const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (given == count) return false;
      const MemoryId id = given++ * 7;
      *row = {.id = id, .vector = model_[id] = Any(), .payload = {}, .keys = {}};
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
  }

  // New memories, and new vectors of old ones.
  void Put(std::size_t count) {
    WriteBatch batch;
    for (std::size_t i = 0; i < count; ++i) {
      const MemoryId id = random_() % 40000;
      batch.Put(id, model_[id] = Any());
    }
    const absl::Status written = store_->Write({}, batch);
    ASSERT_TRUE(written.ok()) << written;
  }

  void DeleteSome() {
    WriteBatch batch;
    const std::uint64_t one_of = 2 + random_() % 20;
    std::erase_if(model_, [&](const auto& memory) {
      const bool dies = random_() % one_of == 0;
      if (dies) batch.Delete(memory.first);
      return dies;
    });
    const absl::Status written = store_->Write({}, batch);
    ASSERT_TRUE(written.ok()) << written;
  }

  std::uint32_t PickK() {
    switch (random_() % 4) {
      case 0: return 1 + static_cast<std::uint32_t>(random_() % 20);
      case 1: return static_cast<std::uint32_t>(model_.size());
      case 2: return 100000;
      default: return 1 + static_cast<std::uint32_t>(random_() % model_.size());
    }
  }

  double Score(const Vector& a, const Vector& b) const {
    double ab = 0, aa = 0, bb = 0, apart = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ab += double{a[i]} * b[i];
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
      apart += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    }
    if (metric_ == Metric::kDot) return ab;
    return metric_ == Metric::kCosine ? ab / std::sqrt(aa * bb) : -apart;
  }

  std::vector<Scored> BruteForce(const Vector& query) const {
    std::vector<Scored> all;
    for (const auto& [id, vector] : model_) all.push_back({id, Score(query, vector)});
    std::sort(all.begin(), all.end(), [](const Scored& a, const Scored& b) {
      return a.score > b.score || (a.score == b.score && a.id < b.id);
    });
    return all;
  }

  // By how much f32 may miss a score.
  double Tolerance() const {
    if (whole_) return 0.0;
    return (metric_ == Metric::kCosine ? 1.0 : 4.0 * dimension_) * 1e-6;
  }

  // Scores that f32 tells apart come in the order of double, and equal vectors by id.
  void CheckAnswer(const SearchOptions& options, const Vector& query, const SearchResults& found) {
    const std::vector<Scored> expected = BruteForce(query);
    const double bound = options.min_score.value_or(-INFINITY), tolerance = Tolerance();
    const auto reach = [&](double least) {
      return static_cast<std::size_t>(std::count_if(
          expected.begin(), expected.end(), [&](const Scored& one) { return one.score >= least; }));
    };
    EXPECT_EQ(found.info.rows_in_store, model_.size());
    EXPECT_GE(found.info.rows_scored, model_.size());
    EXPECT_TRUE(found.info.exact);
    EXPECT_FALSE(found.info.truncated);
    ASSERT_GE(found.hits.size(), std::min<std::size_t>(options.k, reach(bound + tolerance)));
    ASSERT_LE(found.hits.size(), std::min<std::size_t>(options.k, reach(bound - tolerance)));
    for (std::size_t i = 0; i < found.hits.size(); ++i) {
      const Hit& hit = found.hits[i];
      ASSERT_TRUE(model_.contains(hit.id)) << hit.id;
      ASSERT_NEAR(hit.score, Score(query, model_.at(hit.id)), tolerance);
      ASSERT_NEAR(hit.score, expected[i].score, tolerance) << "rank " << i;
      if (whole_) {
        ASSERT_EQ(hit.id, expected[i].id) << "rank " << i;
      }
      if (i == 0) continue;
      const Hit& last = found.hits[i - 1];
      ASSERT_TRUE(last.score > hit.score || (last.score == hit.score && last.id < hit.id));
    }
    std::map<MemoryId, float> scores;
    for (const Hit& hit : found.hits) scores[hit.id] = hit.score;
    EXPECT_EQ(scores.size(), found.hits.size()) << "an id came twice";
    std::map<Vector, float> of_vector;
    for (const auto& [id, score] : scores) {
      const auto [it, is_first] = of_vector.emplace(model_.at(id), score);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(it->second), std::bit_cast<std::uint32_t>(score))
          << "equal vectors, unequal scores";
      ties_ += is_first ? 0 : 1;
    }
  }

  static void ExpectSameBits(const std::vector<Hit>& a, const std::vector<Hit>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].id, b[i].id) << "rank " << i;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(a[i].score), std::bit_cast<std::uint32_t>(b[i].score));
    }
  }

 public:
  std::size_t ties() const { return ties_; }

 private:
  testing::TempDir dir_;
  std::mt19937_64 random_;
  const Metric metric_;
  std::uint32_t dimension_ = 0;
  bool whole_ = false;
  std::vector<Vector> common_;  // which many memories share
  std::unique_ptr<Store> store_;
  std::map<MemoryId, Vector> model_;
  std::size_t ties_ = 0;
};

class SearchModelTest : public ::testing::TestWithParam<Metric> {};

TEST_P(SearchModelTest, SearchIsBruteForce) {
  const auto only = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_MODEL_SEED", 0));
  const std::vector<unsigned> seeds =
      only == 0 ? std::vector<unsigned>{1, 2, 3, 4} : std::vector<unsigned>{only};
  for (const unsigned seed : seeds) {
    std::printf("seed %u\n", seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    SearchModel model(seed, GetParam());
    model.Fill();
    for (int round = 0; round < 6 && !HasFailure(); ++round) model.CheckSearches();
    EXPECT_GT(model.ties(), 0u);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, SearchModelTest,
                         ::testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2Squared),
                         [](const auto& metric) {
                           const int number = static_cast<int>(metric.param);
                           return std::string(number == 1 ? "Cosine" : number == 2 ? "Dot" : "L2");
                         });

}  // namespace
}  // namespace engram

// Scores of vectors of every size that a store takes, against the formulas in long double:
// f32 holds neither the squares of large norms nor those of small ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engram/engram.h"
#include "kernels/dispatch.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using Vector = std::vector<float>;

constexpr float kMost = std::numeric_limits<float>::max();

std::unique_ptr<Store> OpenStore(const std::string& path, std::size_t dimension, Metric metric,
                                 const std::string& kernels = "") {
  StoreOptions options;
  options.dimension = static_cast<std::uint32_t>(dimension);
  options.metric = metric;
  options.create_if_missing = true;
  options.kernels = kernels;
  auto store = Store::Open(options, path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Puts `vectors` as ids 0, 1, ... and searches for all of them.
std::vector<Hit> Hits(Metric metric, const std::vector<Vector>& vectors, const Vector& query) {
  testing::TempDir dir;
  const auto store = OpenStore(dir / "s", query.size(), metric);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const absl::Status put = store->Put({}, i, vectors[i]);
    EXPECT_TRUE(put.ok()) << put;
  }
  const auto found = store->Search({}, query);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? found->hits : std::vector<Hit>();
}

void ExpectHits(const std::vector<Hit>& found, const std::vector<Hit>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].id, expected[i].id) << "rank " << i;
    EXPECT_FLOAT_EQ(found[i].score, expected[i].score) << "rank " << i;
  }
}

TEST(Scores, CosineOfLargeAndSmallNormsIsRight) {
  const std::vector<Vector> vectors = {{0, 1e20f},       {1e20f, 0}, {-1e-37f, 0},
                                       {1e-23f, 1e-23f}, {3, 4},     {3e38f, 0}};
  const float half = std::sqrt(0.5f);
  for (const float size : {1e20f, 1e-23f, 3e38f, 2e-38f}) {
    SCOPED_TRACE(size);
    ExpectHits(Hits(Metric::kCosine, vectors, {size, 0}),
               {{1, 1}, {5, 1}, {3, half}, {4, 0.6f}, {0, 0}, {2, -1}});
  }
}

TEST(Scores, DotAndL2AreFiniteAndSaturate) {
  const std::vector<Vector> vectors = {
      {-1e20f, 0}, {2e38f, -2e38f}, {1e20f, 0}, {1e30f, 0}, {1, 2}};
  ExpectHits(Hits(Metric::kDot, vectors, {1e20f, 1e20f}),
             {{2, kMost}, {3, kMost}, {4, 3e20f}, {1, 0}, {0, -kMost}});
  // Products that overflow and cancel are summed as they are.
  ExpectHits(Hits(Metric::kDot, {{2e38f, -2e38f}, {2e38f, -1e38f}}, {2, 2}), {{1, 2e38f}, {0, 0}});
  ExpectHits(Hits(Metric::kL2Squared, vectors, {1e19f, 0}),
             {{4, -1e38f}, {0, -kMost}, {1, -kMost}, {2, -kMost}, {3, -kMost}});
  // Each square is lost in f32; their sum is not.
  const Vector small(1000, 1e-23f), zero(1000, 0);
  ExpectHits(Hits(Metric::kDot, {zero, small}, small), {{1, 1e-43f}, {0, 0}});
  ExpectHits(Hits(Metric::kL2Squared, {zero, small}, small), {{1, 0}, {0, -1e-43f}});
}

struct Reference {
  double score = 0.0;
  double tolerance = 0.0;
};

Reference ReferenceOf(Metric metric, const Vector& a, const Vector& b) {
  long double ab = 0, aa = 0, bb = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const long double x = a[i], y = b[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
    apart += (x - y) * (x - y);
  }
  const long double norms = std::sqrt(aa) * std::sqrt(bb);
  const long double exact = metric == Metric::kDot      ? ab
                            : metric == Metric::kCosine ? ab / norms
                                                        : -apart;
  const long double size = metric == Metric::kDot ? norms : metric == Metric::kCosine ? 1 : apart;
  const long double most = kMost;
  return {static_cast<double>(std::clamp(exact, -most, most)),
          static_cast<double>(std::min(size, most) * 1e-6L + 3e-45L)};
}

TEST(Scores, AreRightForVectorsOfEverySizeWithAllKernels) {
  constexpr unsigned kSeed = 17;
  std::printf("seed %u\n", kSeed);
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-120, 121);
  const auto any = [&](std::size_t dimension) {
    Vector vector(dimension);
    const int size = exponent(random);
    for (float& value : vector) value = std::ldexp(normal(random), size);
    if (std::all_of(vector.begin(), vector.end(), [](float v) { return std::abs(v) < 1e-37f; })) {
      vector[0] = 1.0f;
    }
    return vector;
  };
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (!choice.usable) continue;
    for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2Squared}) {
      for (const std::size_t dimension : {1u, 2u, 31u, 100u}) {
        SCOPED_TRACE(choice.table->name);
        testing::TempDir dir;
        const auto store = OpenStore(dir / "s", dimension, metric, choice.table->name);
        std::vector<Vector> vectors;
        WriteBatch batch;
        for (MemoryId id = 0; id < 300; ++id) {
          batch.Put(id, vectors.emplace_back(any(dimension)));
        }
        ASSERT_TRUE(store->Write({}, batch).ok());
        SearchOptions options;
        options.k = 300;
        for (int round = 0; round < 10; ++round) {
          const Vector query = round % 2 == 0 ? any(dimension) : vectors[random() % 300];
          const auto found = store->Search(options, query);
          ASSERT_TRUE(found.ok()) << found.status();
          ASSERT_EQ(found->hits.size(), 300u);
          for (const Hit& hit : found->hits) {
            const Reference reference = ReferenceOf(metric, query, vectors[hit.id]);
            ASSERT_TRUE(std::isfinite(hit.score));
            ASSERT_NEAR(hit.score, reference.score, reference.tolerance)
                << "metric " << static_cast<int>(metric) << ", id " << hit.id;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace engram

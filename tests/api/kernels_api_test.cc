// The C entries of engram/kernels.h, against double and at their edges.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "engram/kernels.h"

extern "C" float engram_test_cosine_in_c(const float* a, const float* b, size_t length);

namespace {

TEST(CEntries, SimilarityIsTheCosine) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  for (const std::size_t length : {1, 3, 100, 384}) {
    constexpr std::size_t kCount = 17;
    std::vector<float> query(length), rows(kCount * length), scores(kCount, 2.0f);
    for (float& value : query) value = normal(random);
    for (float& value : rows) value = normal(random);
    engram_vector_similarity(query.data(), rows.data(), scores.data(), length, kCount);
    for (std::size_t r = 0; r < kCount; ++r) {
      double dot = 0, qq = 0, xx = 0;
      for (std::size_t i = 0; i < length; ++i) {
        const double q = query[i], x = rows[r * length + i];
        dot += q * x;
        qq += q * q;
        xx += x * x;
      }
      EXPECT_NEAR(scores[r], dot / std::sqrt(qq * xx), 2e-6) << length;
    }
    EXPECT_EQ(engram_test_cosine_in_c(query.data(), rows.data(), length), scores[0]);
  }
}

TEST(CEntries, SimilarityDefinesItsEdges) {
  const float query[] = {1.0f, 1.0f};
  const float rows[] = {0.0f, 0.0f, NAN, 1.0f, 3e38f, 3e38f, 1.0f, 1.0f};
  float scores[4];
  engram_vector_similarity(query, rows, scores, 2, 4);
  EXPECT_EQ(scores[0], 0.0f);
  EXPECT_EQ(scores[1], 0.0f);
  EXPECT_EQ(scores[2], 0.0f);
  EXPECT_NEAR(scores[3], 1.0f, 1e-6);
  EXPECT_LE(scores[3], 1.0f);
  engram_vector_similarity(query, rows, scores, 0, 4);
  EXPECT_EQ(scores[3], 0.0f);
}

TEST(CEntries, SpreadingAddsWhatEveryEdgeCarries) {
  // 0 -> 1 (0.5), 0 -> 2 (0.25), 2 -> 2 (1), 2 -> 0 (0.125); 1 has no edge.
  const uint32_t offsets[] = {0, 2, 2, 4}, targets[] = {1, 2, 2, 0};
  const float weights[] = {0.5f, 0.25f, 1.0f, 0.125f}, activation[] = {1.0f, 7.0f, 2.0f};
  float next[] = {1.0f, 0.0f, 0.0f};
  engram_spread_activation(offsets, targets, weights, 3, activation, next);
  EXPECT_EQ(next[0], 1.25f);
  EXPECT_EQ(next[1], 0.5f);
  EXPECT_EQ(next[2], 2.25f);
}

TEST(CEntries, DecayHalvesEveryHalfLife) {
  float strengths[] = {8.0f, 8.0f, 8.0f, 8.0f, 8.0f};
  const float ages[] = {0.0f, 10.0f, 30.0f, -5.0f, NAN};
  engram_apply_decay(strengths, ages, strengths, 5, 10.0f);
  EXPECT_EQ(strengths[0], 8.0f);
  EXPECT_EQ(strengths[1], 4.0f);
  EXPECT_EQ(strengths[2], 1.0f);
  EXPECT_EQ(strengths[3], 8.0f);
  EXPECT_EQ(strengths[4], 0.0f);
  for (const float half_life : {0.0f, -1.0f, NAN, INFINITY}) {
    float out[5];
    engram_apply_decay(strengths, ages, out, 5, half_life);
    EXPECT_EQ(out[1], 4.0f) << half_life;
  }
}

}  // namespace

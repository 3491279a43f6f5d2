#include "engine/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/vectors.h"

namespace engram::engine {
namespace {

using storage::RowSlice;

// A sum of up to kMaxDimension products that each lost what lies below the smallest f32 is
// off by less than 2^-133: beside this that is less than f32 rounds away.
constexpr float kLeast = 0x1p-100f;
constexpr float kMost = std::numeric_limits<float>::max();
// Marks a score to be made in double.
constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// All three make scores of what the kernel said. Return: false when some are kNone. They take
// no branch by row where they can, so that compilers find them vectors.

bool CosineScores(const Query& query, const float* norms, std::size_t count, float* scores) {
  int lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float norm = query.norm * norms[i];
    const int sound = (norm >= kLeast) & (norm <= kMost) & (std::abs(scores[i]) <= kMost);
    const float score = std::clamp(scores[i] / norm, -1.0f, 1.0f);
    scores[i] = sound != 0 ? score : kNone;
    lost |= sound ^ 1;
  }
  return lost == 0;
}

bool DotScores(const Query& query, const float* norms, std::size_t count, float* scores) {
  int odd = 0;
  for (std::size_t i = 0; i < count; ++i) {
    odd |= ((std::abs(scores[i]) >= kLeast) & (std::abs(scores[i]) <= kMost)) ^ 1;
  }
  if (odd == 0) return true;
  bool all = true;
  for (std::size_t i = 0; i < count; ++i) {
    const float size = std::abs(scores[i]);
    // A sum of zero, which is ordinary, is told by the norms from one that got lost.
    const bool sound =
        size < kLeast ? query.norm == 0.0f || norms[i] == 0.0f || query.norm * norms[i] >= kLeast
                      : size <= kMost;
    if (sound) continue;
    scores[i] = kNone;
    all = false;
  }
  return all;
}

bool L2Scores(std::size_t count, float* scores) {
  int lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int sound = (scores[i] >= kLeast) & (scores[i] <= kMost);
    scores[i] = sound != 0 ? -scores[i] : kNone;
    lost |= sound ^ 1;
  }
  return lost == 0;
}

float Saturated(double score, double most) {
  // NaN comes of bytes alone that no Put wrote, and counts as the worst.
  if (!(score >= -most)) return static_cast<float>(-most);
  return static_cast<float>(std::min(score, most));
}

float ScoreInDouble(Metric metric, absl::Span<const float> query, absl::Span<const float> row) {
  switch (metric) {
    case Metric::kCosine: return Saturated(Dot(query, row) / (Norm(query) * Norm(row)), 1.0);
    case Metric::kDot: return Saturated(Dot(query, row), kMost);
    case Metric::kL2Squared: break;
  }
  return Saturated(-L2Squared(query, row), kMost);
}

}  // namespace

void ScoreRows(const engram_kernels& kernels, Metric metric, const Query& query,
               const RowSlice& slice, std::size_t begin, std::size_t count, float* scores) {
  const std::size_t dimension = query.vector.size();
  const float* rows = slice.embeddings + begin * dimension;
  const float* norms = slice.norms + begin;
  engram_dot_kernel* kernel = metric == Metric::kL2Squared ? kernels.l2_squared : kernels.dot;
  kernel(query.vector.data(), rows, count, dimension, dimension, scores);
  const bool all = metric == Metric::kCosine ? CosineScores(query, norms, count, scores)
                   : metric == Metric::kDot  ? DotScores(query, norms, count, scores)
                                             : L2Scores(count, scores);
  if (all) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isnan(scores[i])) continue;
    const auto row = absl::MakeConstSpan(rows + i * dimension, dimension);
    scores[i] = ScoreInDouble(metric, query.vector, row);
  }
}

float ScoreRow(const engram_kernels& kernels, Metric metric, const Query& query,
               const RowSlice& slice, std::uint32_t index) {
  float score = 0.0f;
  ScoreRows(kernels, metric, query, slice, index, 1, &score);
  return score;
}

}  // namespace engram::engine

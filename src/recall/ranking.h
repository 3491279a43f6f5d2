// The formulas of recall around the spreading: what seeds start with, and how
// similarity, activation and strength become one score. docs/recall.md derives them.
#ifndef ENGRAM_RECALL_RANKING_H_
#define ENGRAM_RECALL_RANKING_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "engram/options.h"
#include "engram/types.h"

namespace engram::recall {

// Returns: the activation of each seed, of the scores that made them seeds.
std::vector<double> SeedActivations(absl::Span<const float> scores, float sharpness);

// Returns: the activation of a memory that is named, of so many edges out of it.
double NamedActivation(const RecallOptions& options, std::uint32_t degree);

// How a similarity becomes a term of the score: divided by the best for cosine and dot
// where that is above zero, else its place between the least and the best.
struct SimilarityScale {
  float best = 0.0f;
  float least = 0.0f;
  bool by_ratio = false;

  static SimilarityScale ByRatio(float best) { return {best, 0.0f, true}; }
  static SimilarityScale ByPlace(float least, float best) { return {best, least, false}; }
  // NaN gives 0; what all have alike gives 1.
  float Term(float similarity) const;
};

// Returns: the score, never NaN; every part finite but the similarity, which may be NaN.
float BlendedScore(const RecallOptions& options, const SimilarityScale& scale, float similarity,
                   float activation, float strength);

}  // namespace engram::recall

#endif  // ENGRAM_RECALL_RANKING_H_

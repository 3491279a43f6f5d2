#include "recall/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace engram::recall {

std::vector<double> SeedActivations(absl::Span<const float> scores, float sharpness) {
  std::vector<double> activations(scores.size(), 1.0);
  if (scores.empty()) return activations;
  const auto [least, most] = std::minmax_element(scores.begin(), scores.end());
  // In double: the difference of two f32 may exceed the largest.
  const double range = double{*most} - double{*least};
  if (!(range > 0.0) || !std::isfinite(range)) return activations;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    activations[i] = std::pow((double{scores[i]} - double{*least}) / range, double{sharpness});
  }
  return activations;
}

double NamedActivation(const RecallOptions& options, std::uint32_t degree) {
  return double{options.named_weight} *
         std::pow(std::max<double>(degree, 1.0), -double{options.named_fan_exponent});
}

float SimilarityScale::Term(float similarity) const {
  if (!std::isfinite(similarity)) return 0.0f;
  if (by_ratio) return similarity / best;
  const double range = double{best} - double{least};
  return range > 0.0 ? static_cast<float>((double{similarity} - double{least}) / range) : 1.0f;
}

float BlendedScore(const RecallOptions& options, const SimilarityScale& scale, float similarity,
                   float activation, float strength) {
  float score = scale.Term(similarity) + options.activation_weight * activation;
  if (options.strength_weight != 0.0f) score += options.strength_weight * strength;
  // Weights near the end of f32 can make two infinities that cancel; an order has no place for NaN.
  return std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
}

}  // namespace engram::recall

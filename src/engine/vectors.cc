#include "engine/vectors.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace engram::engine {

namespace {

// The sum of term(a[i], b[i]) in one order, whatever the compiler.
template <typename Term>
double SumOver(absl::Span<const float> a, absl::Span<const float> b, Term term) {
  constexpr std::size_t kSums = 8;
  double sums[kSums] = {};
  for (std::size_t i = 0; i < a.size(); ++i) sums[i % kSums] += term(double{a[i]}, double{b[i]});
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

double Dot(absl::Span<const float> a, absl::Span<const float> b) {
  return SumOver(a, b, [](double x, double y) { return x * y; });
}

double L2Squared(absl::Span<const float> a, absl::Span<const float> b) {
  return SumOver(a, b, [](double x, double y) { return (x - y) * (x - y); });
}

double Norm(absl::Span<const float> vector) { return std::sqrt(Dot(vector, vector)); }

absl::StatusOr<float> CheckVector(std::string_view whose, absl::Span<const float> vector,
                                  std::uint32_t dimension, Metric metric) {
  if (vector.size() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the vector has %d values, and the store's dimension is %d", whose,
                        vector.size(), dimension));
  }
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: value %d of the vector is %f, not a finite number", whose, i,
                          static_cast<double>(vector[i])));
    }
  }
  const double norm = Norm(vector);
  if (norm == 0.0) {
    if (metric != Metric::kCosine) return 0.0f;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the vector is zero, which has no cosine", whose));
  }
  if (norm > std::numeric_limits<float>::max() || norm < std::numeric_limits<float>::min()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the vector's norm is %g, and must be a normal f32", whose, norm));
  }
  return static_cast<float>(norm);
}

}  // namespace engram::engine

// What makes a vector a good one: its length, its values, its norm; and the sums over
// vectors that need more than f32.
#ifndef ENGRAM_ENGINE_VECTORS_H_
#define ENGRAM_ENGINE_VECTORS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engram/types.h"

namespace engram::engine {

// Summed in double in a fixed order, so that every machine gets the same bits; finite
// values give a finite sum. Precondition: vectors of one length.
double Dot(absl::Span<const float> a, absl::Span<const float> b);
double L2Squared(absl::Span<const float> a, absl::Span<const float> b);

// The Euclidean norm, summed likewise. Precondition: finite values.
double Norm(absl::Span<const float> vector);

// Returns: the norm as it is stored. `whose` begins the message of an error:
// kInvalidArgument for a wrong length, a value that is not finite, a zero vector under
// kCosine, and a norm that f32 cannot hold.
absl::StatusOr<float> CheckVector(std::string_view whose, absl::Span<const float> vector,
                                  std::uint32_t dimension, Metric metric);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_VECTORS_H_

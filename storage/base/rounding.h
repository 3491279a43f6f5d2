// From double to f32: whatever the value, and in one direction, which is how a bound stays one.
#ifndef ENGRAM_STORAGE_BASE_ROUNDING_H_
#define ENGRAM_STORAGE_BASE_ROUNDING_H_

#include <cmath>
#include <limits>

namespace engram::storage {

// Returns: the nearest f32, which beyond the largest is infinity: C++ leaves that cast undefined.
inline float ToFloat(double value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  if (value > kMost) return std::numeric_limits<float>::infinity();
  if (value < -kMost) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(value);
}

// Returns: the least f32 that is not below `value`.
inline float RoundUp(double value) {
  const float rounded = ToFloat(value);
  return double{rounded} < value ? std::nextafter(rounded, std::numeric_limits<float>::infinity())
                                 : rounded;
}

// Returns: the largest f32 that is not above `value`.
inline float RoundDown(double value) { return -RoundUp(-value); }

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_ROUNDING_H_

// From double to f32 in one direction: how a bound stays one.
#ifndef ENGRAM_STORAGE_BASE_ROUNDING_H_
#define ENGRAM_STORAGE_BASE_ROUNDING_H_

#include <cmath>
#include <limits>

namespace engram::storage {

// Returns: the least f32 that is not below `value`.
inline float RoundUp(double value) {
  const auto rounded = static_cast<float>(value);
  return double{rounded} < value ? std::nextafter(rounded, std::numeric_limits<float>::infinity())
                                 : rounded;
}

// Returns: the largest f32 that is not above `value`.
inline float RoundDown(double value) { return -RoundUp(-value); }

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_ROUNDING_H_

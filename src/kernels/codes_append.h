// The rows that passed, one by one: for the levels that cannot compress a vector. C headers only.
#ifndef ENGRAM_KERNELS_CODES_APPEND_H_
#define ENGRAM_KERNELS_CODES_APPEND_H_

#include <stddef.h>
#include <stdint.h>

namespace {

inline size_t AppendEach(const float* bounds, unsigned bits, uint32_t first, uint32_t* rows,
                         float* out, size_t found) {
  for (; bits != 0; bits &= bits - 1) {
    const unsigned lane = (unsigned)__builtin_ctz(bits);
    rows[found] = first + lane;
    out[found++] = bounds[lane];
  }
  return found;
}

}  // namespace

#endif  // ENGRAM_KERNELS_CODES_APPEND_H_

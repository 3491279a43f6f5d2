// What codes.cc asks of a level, in plain code: for CPUs that none of its siblings knows, and for
// baseline where there is no least instruction set of vectors. C headers only.
#ifndef ENGRAM_KERNELS_CODES_PLAIN_H_
#define ENGRAM_KERNELS_CODES_PLAIN_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codes_append.h"

namespace {

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef Ints Passed;

inline Floats IntsToFloats(Ints ints) { return __builtin_convertvector(ints, Floats); }

inline Floats BytesToFloats(const uint8_t* bytes) {
  return Floats{(float)bytes[0], (float)bytes[1], (float)bytes[2], (float)bytes[3]};
}

inline Passed AtLeast(Floats bounds, float threshold) { return bounds >= (Floats{} + threshold); }

inline unsigned Bits(Passed passed) {
  return (passed[0] & 1u) | (passed[1] & 2u) | (passed[2] & 4u) | (passed[3] & 8u);
}

inline size_t Append(Floats bounds, unsigned bits, uint32_t first, uint32_t* rows, float* out,
                     size_t found) {
  float each[4];
  memcpy(each, &bounds, sizeof each);
  return AppendEach(each, bits, first, rows, out, found);
}

// A row's eight codes are the nibbles of one little-endian word.
inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[16]) {
  for (Ints& sum : sums) sum = Ints{};
  for (size_t g = 0; g < groups; ++g) {
    const int8_t* q = query + 8 * g;
    for (size_t v = 0; v < 16; ++v) {
      Ints words;
      memcpy(&words, codes + 256 * g + 16 * v, sizeof words);
      for (int b = 0; b < 4; ++b) {
        sums[v] += ((words >> (8 * b)) & 15) * q[b] + ((words >> (8 * b + 4)) & 15) * q[b + 4];
      }
    }
  }
}

constexpr size_t kStep = 16;
typedef Ints Products;

inline Products AddProducts(Products sum, const int16_t* query, const int8_t* row) {
  for (size_t j = 0; j < kStep; ++j) sum[j % 4] += query[j] * row[j];
  return sum;
}

inline int32_t Total(Products sum) { return (sum[0] + sum[1]) + (sum[2] + sum[3]); }

}  // namespace

#endif  // ENGRAM_KERNELS_CODES_PLAIN_H_

// What codes.cc asks of a level, for v3: 8 rows to a vector, all 64 in one pass of int16 sums.
// C headers only.
#ifndef ENGRAM_KERNELS_CODES_AVX2_H_
#define ENGRAM_KERNELS_CODES_AVX2_H_

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codes_append.h"

namespace {

typedef float Floats __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef Ints Passed;

inline Floats IntsToFloats(Ints ints) { return (Floats)_mm256_cvtepi32_ps((__m256i)ints); }

inline Floats BytesToFloats(const uint8_t* bytes) {
  const __m128i loaded = _mm_loadl_epi64((const __m128i*)bytes);
  return (Floats)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(loaded));
}

inline Passed AtLeast(Floats bounds, float threshold) {
  return (Passed)_mm256_cmp_ps((__m256)bounds, _mm256_set1_ps(threshold), _CMP_GE_OQ);
}

inline unsigned Bits(Passed passed) { return (unsigned)_mm256_movemask_ps((__m256)passed); }

inline size_t Append(Floats bounds, unsigned bits, uint32_t first, uint32_t* rows, float* out,
                     size_t found) {
  float each[8];
  memcpy(each, &bounds, sizeof each);
  return AppendEach(each, bits, first, rows, out, found);
}

// Four codes of the query in every lane.
inline __m256i Repeat(const int8_t* query) {
  int32_t four;
  memcpy(&four, query, sizeof four);
  return _mm256_set1_epi32(four);
}

inline __m256i LoadCodes(const uint8_t* from) {
  __m256i codes = _mm256_loadu_si256((const __m256i*)from);
  // Else the load is folded into both uses, and done twice.
  asm("" : "+x"(codes));
  return codes;
}

inline __m256i AddGroup(__m256i pairs, __m256i both, __m256i query_low, __m256i query_high) {
  const __m256i bits = _mm256_set1_epi8(0x0F);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), bits);
  const __m256i sum =
      _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_and_si256(both, bits), query_low),
                       _mm256_maddubs_epi16(high, query_high));
  return _mm256_add_epi16(pairs, sum);
}

inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[8]) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (Ints& sum : sums) sum = Ints{};
  for (size_t g = 0; g < groups;) {
    // Four groups of at most 4 * 15 * 127 each are what an int16 holds.
    const size_t end = g + 4 < groups ? g + 4 : groups;
    __m256i pairs[8] = {};
    for (; g < end; ++g) {
      const __m256i query_low = Repeat(query + 8 * g), query_high = Repeat(query + 8 * g + 4);
#pragma GCC unroll 8
      for (size_t v = 0; v < 8; ++v) {
        pairs[v] = AddGroup(pairs[v], LoadCodes(codes + 256 * g + 32 * v), query_low, query_high);
      }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < 8; ++v) sums[v] += (Ints)_mm256_madd_epi16(pairs[v], ones);
  }
}

constexpr size_t kStep = 16;
typedef Ints Products;

inline Products AddProducts(Products sum, const int16_t* query, const int8_t* row) {
  const __m256i codes = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)row));
  return sum + (Products)_mm256_madd_epi16(codes, _mm256_loadu_si256((const __m256i*)query));
}

inline int32_t Total(Products sum) {
  const __m256i all = (__m256i)sum;
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  half = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 1);
}

}  // namespace

#endif  // ENGRAM_KERNELS_CODES_AVX2_H_

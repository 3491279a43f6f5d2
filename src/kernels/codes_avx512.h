// What codes.cc asks of a level, for v4 and v4vnni: sums of 512-bit vectors, 16 rows to each,
// that stay in registers for a whole superblock. C headers only.
#ifndef ENGRAM_KERNELS_CODES_AVX512_H_
#define ENGRAM_KERNELS_CODES_AVX512_H_

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef __mmask16 Passed;

inline Floats IntsToFloats(Ints ints) { return (Floats)_mm512_cvtepi32_ps((__m512i)ints); }

inline Floats BytesToFloats(const uint8_t* bytes) {
  const __m128i loaded = _mm_loadu_si128((const __m128i*)bytes);
  return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(loaded));
}

inline Passed AtLeast(Floats bounds, float threshold) {
  return _mm512_cmp_ps_mask((__m512)bounds, _mm512_set1_ps(threshold), _CMP_GE_OQ);
}

inline unsigned Bits(Passed passed) { return passed; }

// Compressed in a register and stored whole: a store that compresses is slow where it is
// microcode, and the contract leaves room behind the last row.
inline size_t Append(Floats bounds, unsigned bits, uint32_t first, uint32_t* rows, float* out,
                     size_t found) {
  const __mmask16 mask = (__mmask16)bits;
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)first));
  _mm512_storeu_si512(rows + found, _mm512_maskz_compress_epi32(mask, numbers));
  _mm512_storeu_ps(out + found, _mm512_maskz_compress_ps(mask, (__m512)bounds));
  return found + (unsigned)__builtin_popcount(bits);
}

// Four codes of the query in every lane.
inline __m512i Repeat(const int8_t* query) {
  int32_t four;
  memcpy(&four, query, sizeof four);
  return _mm512_set1_epi32(four);
}

// How far ahead codes are asked for: what a CPU fetches by itself ends with its page, and codes
// that lie in memory are then waited for at the start of each.
constexpr size_t kAheadOfCodes = 8192;

inline __m512i LoadCodes(const uint8_t* from) {
  __builtin_prefetch(from + kAheadOfCodes);
  __m512i codes = _mm512_loadu_si512(from);
  // Else the load is folded into both uses, and done twice.
  asm("" : "+v"(codes));
  return codes;
}

#if defined(__AVX512VNNI__)

inline void AddDot(__m512i& sum, __m512i codes, __m512i query) {
  // For the intrinsic, GCC gives the sum another register and moves it in every turn of the loop.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(query));
}

inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[4]) {
  const __m512i low_bits = _mm512_set1_epi8(0x0F), high_bits = _mm512_set1_epi8((char)0xF0);
  // The high codes are counted sixteenfold, which no int32 overflows at 8192 groups.
  __m512i low[4] = {}, high[4] = {};
  for (size_t g = 0; g < groups; ++g) {
    const __m512i query_low = Repeat(query + 8 * g), query_high = Repeat(query + 8 * g + 4);
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; ++v) {
      const __m512i both = LoadCodes(codes + 256 * g + 64 * v);
      AddDot(low[v], _mm512_and_si512(both, low_bits), query_low);
      AddDot(high[v], _mm512_and_si512(both, high_bits), query_high);
    }
  }
#pragma GCC unroll 4
  for (size_t v = 0; v < 4; ++v) {
    sums[v] = (Ints)_mm512_add_epi32(low[v], _mm512_srai_epi32(high[v], 4));
  }
}

#else

inline __m512i AddGroup(__m512i pairs, __m512i both, __m512i query_low, __m512i query_high) {
  const __m512i bits = _mm512_set1_epi8(0x0F);
  const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), bits);
  const __m512i sum =
      _mm512_add_epi16(_mm512_maddubs_epi16(_mm512_and_si512(both, bits), query_low),
                       _mm512_maddubs_epi16(high, query_high));
  return _mm512_add_epi16(pairs, sum);
}

inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[4]) {
  const __m512i ones = _mm512_set1_epi16(1);
  __m512i total[4] = {};
  for (size_t g = 0; g < groups;) {
    // Four groups of at most 4 * 15 * 127 each are what an int16 holds.
    const size_t end = g + 4 < groups ? g + 4 : groups;
    __m512i pairs[4] = {};
    for (; g < end; ++g) {
      const __m512i query_low = Repeat(query + 8 * g), query_high = Repeat(query + 8 * g + 4);
#pragma GCC unroll 4
      for (size_t v = 0; v < 4; ++v) {
        pairs[v] = AddGroup(pairs[v], LoadCodes(codes + 256 * g + 64 * v), query_low, query_high);
      }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; ++v) {
      total[v] = _mm512_add_epi32(total[v], _mm512_madd_epi16(pairs[v], ones));
    }
  }
#pragma GCC unroll 4
  for (size_t v = 0; v < 4; ++v) sums[v] = (Ints)total[v];
}

#endif

constexpr size_t kStep = 32;
typedef Ints Products;

inline Products AddProducts(Products sum, const int16_t* query, const int8_t* row) {
  const __m512i codes = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)row));
  const __m512i wide = _mm512_loadu_si512(query);
#if defined(__AVX512VNNI__)
  return (Products)_mm512_dpwssd_epi32((__m512i)sum, codes, wide);
#else
  return sum + (Products)_mm512_madd_epi16(codes, wide);
#endif
}

inline int32_t Total(Products sum) { return _mm512_reduce_add_epi32((__m512i)sum); }

}  // namespace

#endif  // ENGRAM_KERNELS_CODES_AVX512_H_

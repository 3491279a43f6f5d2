// What codes.cc asks of a level, for v2 and baseline on x86-64: 4 rows to a vector. There are too
// few registers for 64 rows, so a run of four groups is gone through by 16 rows, while it is in the
// nearest cache. C headers only.
#ifndef ENGRAM_KERNELS_CODES_SSE_H_
#define ENGRAM_KERNELS_CODES_SSE_H_

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codes_append.h"

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

namespace {

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef Ints Passed;

inline Floats IntsToFloats(Ints ints) { return (Floats)_mm_cvtepi32_ps((__m128i)ints); }

inline Floats BytesToFloats(const uint8_t* bytes) {
  int32_t four;
  memcpy(&four, bytes, sizeof four);
  const __m128i zero = _mm_setzero_si128();
  const __m128i wide = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), zero);
  return (Floats)_mm_cvtepi32_ps(_mm_unpacklo_epi16(wide, zero));
}

inline Passed AtLeast(Floats bounds, float threshold) {
  return (Passed)_mm_cmpge_ps((__m128)bounds, _mm_set1_ps(threshold));
}

inline unsigned Bits(Passed passed) { return (unsigned)_mm_movemask_ps((__m128)passed); }

inline size_t Append(Floats bounds, unsigned bits, uint32_t first, uint32_t* rows, float* out,
                     size_t found) {
  float each[4];
  memcpy(each, &bounds, sizeof each);
  return AppendEach(each, bits, first, rows, out, found);
}

// The query of up to four groups in the form that one vector of codes is multiplied by.
constexpr size_t kRun = 4;

#if defined(__SSSE3__)

struct RunQuery {
  __m128i low[kRun], high[kRun];

  void Set(size_t g, const int8_t* query) {
    const __m128i eight = _mm_loadl_epi64((const __m128i*)query);
    low[g] = _mm_shuffle_epi32(eight, 0x00);
    high[g] = _mm_shuffle_epi32(eight, 0x55);
  }
  // int16 sums, of four groups of at most 4 * 15 * 127 each.
  __m128i Add(__m128i pairs, size_t g, __m128i both) const {
    const __m128i bits = _mm_set1_epi8(0x0F);
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(both, 4), bits);
    const __m128i sum = _mm_add_epi16(_mm_maddubs_epi16(_mm_and_si128(both, bits), low[g]),
                                      _mm_maddubs_epi16(upper, high[g]));
    return _mm_add_epi16(pairs, sum);
  }
  static Ints Fold(__m128i pairs) { return (Ints)_mm_madd_epi16(pairs, _mm_set1_epi16(1)); }
};

#else

// Without products of bytes: the nibbles of a 16-bit word are dimensions b, b + 4, b + 1, b + 5,
// where b is 0 in a lane's first word and 2 in its second.
struct RunQuery {
  __m128i nibble[kRun][4];

  void Set(size_t g, const int8_t* query) {
    const __m128i eight = _mm_loadl_epi64((const __m128i*)query);
    __m128i wide = _mm_unpacklo_epi8(eight, _mm_cmplt_epi8(eight, _mm_setzero_si128()));
    wide = _mm_shufflelo_epi16(wide, _MM_SHUFFLE(3, 1, 2, 0));
    wide = _mm_shufflehi_epi16(wide, _MM_SHUFFLE(3, 1, 2, 0));
    nibble[g][0] = _mm_shuffle_epi32(wide, 0x00);
    nibble[g][1] = _mm_shuffle_epi32(wide, 0xAA);
    nibble[g][2] = _mm_shuffle_epi32(wide, 0x55);
    nibble[g][3] = _mm_shuffle_epi32(wide, 0xFF);
  }
  __m128i Add(__m128i sum, size_t g, __m128i words) const {
    const __m128i bits = _mm_set1_epi16(0x0F);
    const __m128i first = _mm_and_si128(words, bits);
    const __m128i second = _mm_and_si128(_mm_srli_epi16(words, 4), bits);
    const __m128i third = _mm_and_si128(_mm_srli_epi16(words, 8), bits);
    const __m128i fourth = _mm_srli_epi16(words, 12);
    const __m128i left =
        _mm_add_epi32(_mm_madd_epi16(first, nibble[g][0]), _mm_madd_epi16(second, nibble[g][1]));
    const __m128i right =
        _mm_add_epi32(_mm_madd_epi16(third, nibble[g][2]), _mm_madd_epi16(fourth, nibble[g][3]));
    return _mm_add_epi32(sum, _mm_add_epi32(left, right));
  }
  static Ints Fold(__m128i sum) { return (Ints)sum; }
};

#endif

inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[16]) {
  for (Ints& sum : sums) sum = Ints{};
  for (size_t g = 0; g < groups; g += kRun) {
    const size_t run = g + kRun < groups ? kRun : groups - g;
    RunQuery of_run;
    for (size_t i = 0; i < run; ++i) of_run.Set(i, query + 8 * (g + i));
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      __m128i part[4] = {};
      for (size_t i = 0; i < run; ++i) {
        const uint8_t* at = codes + 256 * (g + i) + 64 * quarter;
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; ++v) {
          part[v] = of_run.Add(part[v], i, _mm_loadu_si128((const __m128i*)(at + 16 * v)));
        }
      }
#pragma GCC unroll 4
      for (size_t v = 0; v < 4; ++v) sums[4 * quarter + v] += RunQuery::Fold(part[v]);
    }
  }
}

constexpr size_t kStep = 16;
typedef Ints Products;

inline Products AddProducts(Products sum, const int16_t* query, const int8_t* row) {
  const __m128i codes = _mm_loadu_si128((const __m128i*)row);
  const __m128i signs = _mm_cmplt_epi8(codes, _mm_setzero_si128());
  const __m128i low = _mm_loadu_si128((const __m128i*)query);
  const __m128i high = _mm_loadu_si128((const __m128i*)(query + 8));
  return sum + (Products)_mm_madd_epi16(_mm_unpacklo_epi8(codes, signs), low) +
         (Products)_mm_madd_epi16(_mm_unpackhi_epi8(codes, signs), high);
}

inline int32_t Total(Products sum) { return (sum[0] + sum[1]) + (sum[2] + sum[3]); }

}  // namespace

#endif  // ENGRAM_KERNELS_CODES_SSE_H_

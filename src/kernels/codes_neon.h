// What codes.cc asks of a level, for neon and dotprod: 4 rows to a vector. C headers only.
#ifndef ENGRAM_KERNELS_CODES_NEON_H_
#define ENGRAM_KERNELS_CODES_NEON_H_

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codes_append.h"

namespace {

typedef float32x4_t Floats;
typedef int32x4_t Ints;
typedef uint32x4_t Passed;

inline Floats IntsToFloats(Ints ints) { return vcvtq_f32_s32(ints); }

inline Floats BytesToFloats(const uint8_t* bytes) {
  uint32_t four;
  memcpy(&four, bytes, sizeof four);
  const uint16x8_t wide = vmovl_u8(vcreate_u8(four));
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
}

inline Passed AtLeast(Floats bounds, float threshold) {
  return vcgeq_f32(bounds, vdupq_n_f32(threshold));
}

inline unsigned Bits(Passed passed) {
  const uint32x4_t weights = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(passed, weights));
}

inline size_t Append(Floats bounds, unsigned bits, uint32_t first, uint32_t* rows, float* out,
                     size_t found) {
  float each[4];
  memcpy(each, &bounds, sizeof each);
  return AppendEach(each, bits, first, rows, out, found);
}

// Four codes of the query in every lane.
inline int8x16_t Repeat(const int8_t* query) {
  int32_t four;
  memcpy(&four, query, sizeof four);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

inline int8x16_t Low(uint8x16_t both) {
  return vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(0x0F)));
}

inline int8x16_t High(uint8x16_t both) { return vreinterpretq_s8_u8(vshrq_n_u8(both, 4)); }

#if defined(__ARM_FEATURE_DOTPROD)

inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[16]) {
  Ints total[16] = {};
  for (size_t g = 0; g < groups; ++g) {
    const int8x16_t query_low = Repeat(query + 8 * g), query_high = Repeat(query + 8 * g + 4);
#pragma GCC unroll 16
    for (size_t v = 0; v < 16; ++v) {
      const uint8x16_t both = vld1q_u8(codes + 256 * g + 16 * v);
      total[v] = vdotq_s32(total[v], Low(both), query_low);
      total[v] = vdotq_s32(total[v], High(both), query_high);
    }
  }
#pragma GCC unroll 16
  for (size_t v = 0; v < 16; ++v) sums[v] = total[v];
}

#else

// int16 sums: four groups of at most 2 * 15 * 127 each, and two of them added.
struct Pair {
  int16x8_t first, second;

  void Add(int8x16_t codes, int8x16_t query) {
    first = vmlal_s8(first, vget_low_s8(codes), vget_low_s8(query));
    second = vmlal_high_s8(second, codes, query);
  }
  Ints AddTo(Ints sum) const { return vpadalq_s16(sum, vpaddq_s16(first, second)); }
};

// A run of four groups is gone through by 16 rows, whose sums then stay in registers.
inline void SumCodes(const int8_t* query, size_t groups, const uint8_t* codes, Ints (&sums)[16]) {
  for (Ints& sum : sums) sum = vdupq_n_s32(0);
  for (size_t g = 0; g < groups; g += 4) {
    const size_t end = g + 4 < groups ? g + 4 : groups;
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      Pair part[4] = {};
      for (size_t i = g; i < end; ++i) {
        const int8x16_t query_low = Repeat(query + 8 * i), query_high = Repeat(query + 8 * i + 4);
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; ++v) {
          const uint8x16_t both = vld1q_u8(codes + 256 * i + 64 * quarter + 16 * v);
          part[v].Add(Low(both), query_low);
          part[v].Add(High(both), query_high);
        }
      }
#pragma GCC unroll 4
      for (size_t v = 0; v < 4; ++v) {
        sums[4 * quarter + v] = part[v].AddTo(sums[4 * quarter + v]);
      }
    }
  }
}

#endif

constexpr size_t kStep = 16;
typedef Ints Products;

inline Products AddProducts(Products sum, const int16_t* query, const int8_t* row) {
  const int8x16_t codes = vld1q_s8(row);
  const int16x8_t low = vmovl_s8(vget_low_s8(codes)), high = vmovl_high_s8(codes);
  const int16x8_t query_low = vld1q_s16(query), query_high = vld1q_s16(query + 8);
  sum = vmlal_s16(sum, vget_low_s16(low), vget_low_s16(query_low));
  sum = vmlal_high_s16(sum, low, query_low);
  sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(query_high));
  return vmlal_high_s16(sum, high, query_high);
}

inline int32_t Total(Products sum) { return vaddvq_s32(sum); }

}  // namespace

#endif  // ENGRAM_KERNELS_CODES_NEON_H_

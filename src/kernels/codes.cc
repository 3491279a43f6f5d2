// Rows of codes held against a query: the bounds of superblocks, the rows that reach a
// threshold, and exact sums of 8-bit codes. Compiled once per level; the level's header gives
// the integer sums and the few operations of vectors that no language has. C headers only.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "level.h"

#if defined(__AVX512BW__)
#include "codes_avx512.h"
#elif defined(__AVX2__)
#include "codes_avx2.h"
#elif defined(__SSE2__)
#include "codes_sse.h"
#elif defined(__ARM_NEON) && ENGRAM_KERNEL_FMA  // every aarch64 CPU has it; baseline does without
#include "codes_neon.h"
#else
#include "codes_plain.h"
#endif

namespace {

constexpr size_t kRows = ENGRAM_SUPERBLOCK_ROWS;
constexpr size_t kLanes = ENGRAM_KERNEL_LANES;
constexpr size_t kVectors = kRows / kLanes;

// What lies behind the groups of a superblock.
constexpr size_t kGroupBytes = 256;
constexpr size_t kResiduals = kRows * sizeof(float);
constexpr size_t kTails = kResiduals + kRows;
constexpr size_t kTrailerBytes = kTails + kRows;

inline Floats Load(const void* from) {
  Floats floats;
  memcpy(&floats, from, sizeof floats);
  return floats;
}

// The order of abi.h. `norms`: of the superblock's first row.
template <bool kNorms>
inline void Bound(const engram_code_query& query, const uint8_t* superblock, const float* norms,
                  Floats (&bounds)[kVectors]) {
  Ints sums[kVectors];
  SumCodes(query.query, query.groups, superblock, sums);
  const uint8_t* trailer = superblock + query.groups * kGroupBytes;
#pragma GCC unroll 16
  for (size_t v = 0; v < kVectors; ++v) {
    const size_t row = v * kLanes;
    const Floats scale = Load(trailer + row * sizeof(float));
    const Floats residual = BytesToFloats(trailer + kResiduals + row) * query.residual;
    const Floats tail = BytesToFloats(trailer + kTails + row) * query.tail;
    const Floats sum = IntsToFloats(sums[v] + sums[v] - query.bias);
    bounds[v] = scale * ((sum + residual) + tail);
    if constexpr (kNorms) {
      const Floats norm = Load(norms + row);
      bounds[v] = bounds[v] - (norm * norm) * query.norm;
    }
  }
}

template <bool kNorms>
inline void Estimate(const engram_code_query& query, const uint8_t* superblocks, const float* norms,
                     size_t count, float* out) {
  const size_t pitch = query.groups * kGroupBytes + kTrailerBytes;
  for (size_t i = 0; i < count; ++i) {
    Floats bounds[kVectors];
    Bound<kNorms>(query, superblocks + i * pitch, kNorms ? norms + i * kRows : nullptr, bounds);
    memcpy(out + i * kRows, bounds, sizeof bounds);
  }
}

template <bool kNorms>
inline size_t Scan(const engram_code_query& query, const uint8_t* superblocks, const float* norms,
                   size_t count, uint32_t* rows, float* out, size_t found) {
  const size_t pitch = query.groups * kGroupBytes + kTrailerBytes;
  for (size_t i = 0; i < count; ++i) {
    Floats bounds[kVectors];
    Bound<kNorms>(query, superblocks + i * pitch, kNorms ? norms + i * kRows : nullptr, bounds);
    Passed passed[kVectors], any = passed[0] = AtLeast(bounds[0], query.threshold);
#pragma GCC unroll 16
    for (size_t v = 1; v < kVectors; ++v) {
      passed[v] = AtLeast(bounds[v], query.threshold);
      any = any | passed[v];
    }
    if (__builtin_expect(Bits(any) == 0, 1)) continue;
    for (size_t v = 0; v < kVectors; ++v) {
      const uint32_t first = (uint32_t)(i * kRows + v * kLanes);
      found = Append(bounds[v], Bits(passed[v]), first, rows, out, found);
    }
  }
  return found;
}

// The products of one row, less the codes at its end that fill no step; those are the last of
// the step at `tail`, against a query that is zero for what was counted before.
inline int32_t SumRow(const int16_t* query, const int8_t* row, size_t dimension,
                      const int16_t* query_tail, const int8_t* tail) {
  Products a = {}, b = {}, c = {}, d = {};
  size_t j = 0;
  for (; j + 4 * kStep <= dimension; j += 4 * kStep) {
    a = AddProducts(a, query + j, row + j);
    b = AddProducts(b, query + j + kStep, row + j + kStep);
    c = AddProducts(c, query + j + 2 * kStep, row + j + 2 * kStep);
    d = AddProducts(d, query + j + 3 * kStep, row + j + 3 * kStep);
  }
  for (; j + kStep <= dimension; j += kStep) a = AddProducts(a, query + j, row + j);
  if (j < dimension) b = AddProducts(b, query_tail, tail);
  return Total((a + b) + (c + d));
}

// How many places of `which` a row is asked for ahead, and how much of it.
constexpr size_t kAhead = 16, kAskedBytes = 1024, kLine = 64;

inline void Ask(const int8_t* row, size_t dimension) {
  const size_t end = dimension < kAskedBytes ? dimension : kAskedBytes;
  for (size_t j = 0; j < end; j += kLine) __builtin_prefetch(row + j);
  __builtin_prefetch(row + end - 1);
}

}  // namespace

extern "C" {

void ENGRAM_KERNEL(estimate)(const engram_code_query* query, const uint8_t* superblocks,
                             const float* norms, size_t count, float* out) {
  if (norms == nullptr) return Estimate<false>(*query, superblocks, norms, count, out);
  Estimate<true>(*query, superblocks, norms, count, out);
}

size_t ENGRAM_KERNEL(scan)(const engram_code_query* query, const uint8_t* superblocks,
                           const float* norms, size_t count, uint32_t* rows, float* bounds,
                           size_t found) {
  if (norms == nullptr) return Scan<false>(*query, superblocks, norms, count, rows, bounds, found);
  return Scan<true>(*query, superblocks, norms, count, rows, bounds, found);
}

void ENGRAM_KERNEL(fine)(const int16_t* query, const int8_t* rows, size_t pitch, size_t dimension,
                         const uint32_t* which, size_t count, int32_t* out) {
  const size_t rest = dimension % kStep;
  int16_t query_tail[kStep] = {};
  memcpy(query_tail + kStep - rest, query + dimension - rest, rest * sizeof(int16_t));
  for (size_t i = 0; i < kAhead && i < count; ++i) Ask(rows + which[i] * pitch, dimension);
  for (size_t i = 0; i < count; ++i) {
    const int8_t* row = rows + which[i] * pitch;
    if (i + kAhead < count) Ask(rows + which[i + kAhead] * pitch, dimension);
    // Nothing before a short row may be read.
    int8_t copy[kStep] = {};
    if (dimension < kStep) memcpy(copy + kStep - dimension, row, dimension);
    const int8_t* tail = dimension < kStep ? copy : row + dimension - kStep;
    out[i] = SumRow(query, row, dimension, query_tail, tail);
  }
}

}  // extern "C"

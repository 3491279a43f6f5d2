// Dot product and squared L2 distance over a block of rows, one row at a time
// with several independent accumulators of the level's own vector width.
// Compiled once per level: the macros ENGRAM_KERNEL_* say which. C headers only,
// so that no shared inline function is emitted with a higher instruction set.
#include <stddef.h>
#include <string.h>

#include "level.h"

namespace {

constexpr size_t kLanes = ENGRAM_KERNEL_LANES;
constexpr size_t kAccumulators = ENGRAM_KERNEL_ACCUMULATORS;
constexpr size_t kStep = kLanes * kAccumulators;

typedef float Vector __attribute__((vector_size(ENGRAM_KERNEL_LANES * 4)));

inline Vector Load(const float* from) {
  Vector vector;
  memcpy(&vector, from, sizeof vector);
  return vector;
}

typedef int Mask __attribute__((vector_size(ENGRAM_KERNEL_LANES * 4)));

// The last floats of a row that fill no vector, taken as the vector that ends with
// the row, less the lanes that were counted before.
struct Tail {
  size_t floats;
  Mask keep;
};

inline Tail TailOf(size_t dimension) {
  Tail tail = {dimension % kLanes, {}};
  for (size_t l = 0; l < kLanes; ++l) tail.keep[l] = l >= kLanes - tail.floats ? -1 : 0;
  return tail;
}

// kShort: the row is shorter than a vector, and nothing before it may be read.
template <bool kShort>
inline Vector LoadTail(const float* row, size_t dimension, const Tail& tail) {
  if constexpr (kShort) {
    float floats[kLanes] = {};
    memcpy(floats + kLanes - dimension, row, dimension * sizeof(float));
    return Load(floats);
  }
  return (Vector)((Mask)Load(row + dimension - kLanes) & tail.keep);
}

struct Dot {
  static Vector Add(Vector sum, Vector a, Vector b) { return sum + a * b; }
};
struct L2 {
  static Vector Add(Vector sum, Vector a, Vector b) {
    const Vector difference = a - b;
    return sum + difference * difference;
  }
};

// Adds the upper half of the first 2 * `half` lanes to the lower.
inline Vector Fold(Vector sum, size_t half) {
  Vector upper;
  for (size_t l = 0; l < kLanes; ++l) upper[l] = sum[(l + half) % kLanes];
  return sum + upper;
}

// The partial sums, as a tree of members and no array: what is not indexed stays in
// registers, whatever a compiler makes of loops.
template <size_t kCount>
struct Sums {
  static constexpr size_t kHalf = kCount / 2;
  Sums<kHalf> low, high;

  // Adds the first kWhole of the kCount vectors at a and b.
  template <typename Op, size_t kWhole>
  void Add(const float* a, const float* b) {
    low.template Add<Op, (kWhole < kHalf ? kWhole : kHalf)>(a, b);
    high.template Add<Op, (kWhole < kHalf ? 0 : kWhole - kHalf)>(a + kHalf * kLanes,
                                                                 b + kHalf * kLanes);
  }
  template <typename Op>
  void AddToLast(Vector a, Vector b) {
    high.template AddToLast<Op>(a, b);
  }
  void Join(const Sums& other) {
    low.Join(other.low);
    high.Join(other.high);
  }
  float Total() {
    low.Join(high);
    return low.Total();
  }
};

template <>
struct Sums<1> {
  Vector sum = {};

  template <typename Op, size_t kWhole>
  void Add(const float* a, const float* b) {
    if constexpr (kWhole > 0) sum = Op::Add(sum, Load(a), Load(b));
  }
  template <typename Op>
  void AddToLast(Vector a, Vector b) {
    sum = Op::Add(sum, a, b);
  }
  void Join(const Sums& other) { sum = sum + other.sum; }
  float Total() {
    Vector total = sum;
#pragma GCC unroll 8
    for (size_t half = kLanes / 2; half > 0; half /= 2) total = Fold(total, half);
    return total[0];
  }
};

// kWhole vectors follow the unrolled steps.
template <typename Op, size_t kWhole, bool kShort>
inline float ScoreRow(const float* query, Vector query_tail, const float* row, size_t dimension,
                      const Tail& tail) {
  Sums<kAccumulators> sums;
  size_t i = 0;
  for (; i + kStep <= dimension; i += kStep) {
    sums.template Add<Op, kAccumulators>(query + i, row + i);
  }
  sums.template Add<Op, kWhole>(query + i, row + i);
  if (tail.floats > 0) {
    sums.template AddToLast<Op>(query_tail, LoadTail<kShort>(row, dimension, tail));
  }
  return sums.Total();
}

template <typename Op, size_t kWhole, bool kShort>
void ScoreRowsOf(const float* query, const float* rows, size_t count, size_t dimension,
                 size_t pitch, float* out) {
  const Tail tail = TailOf(dimension);
  const Vector query_tail = LoadTail<kShort>(query, dimension, tail);
  for (size_t i = 0; i < count; ++i) {
    out[i] = ScoreRow<Op, kWhole, kShort>(query, query_tail, rows + i * pitch, dimension, tail);
  }
}

template <typename Op, size_t kWhole = 0>
void ScoreRows(const float* query, const float* rows, size_t count, size_t dimension, size_t pitch,
               float* out) {
  if constexpr (kWhole < kAccumulators) {
    if (dimension < kLanes) {
      return ScoreRowsOf<Op, 0, true>(query, rows, count, dimension, pitch, out);
    }
    if (dimension % kStep / kLanes == kWhole) {
      return ScoreRowsOf<Op, kWhole, false>(query, rows, count, dimension, pitch, out);
    }
    ScoreRows<Op, kWhole + 1>(query, rows, count, dimension, pitch, out);
  }
}

}  // namespace

extern "C" {

void ENGRAM_KERNEL(dot)(const float* query, const float* rows, size_t count, size_t dimension,
                        size_t pitch, float* out) {
  ScoreRows<Dot>(query, rows, count, dimension, pitch, out);
}

void ENGRAM_KERNEL(l2_squared)(const float* query, const float* rows, size_t count,
                               size_t dimension, size_t pitch, float* out) {
  ScoreRows<L2>(query, rows, count, dimension, pitch, out);
}

}  // extern "C"

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

inline Vector LoadTail(const float* row, size_t dimension, const Tail& tail) {
  Vector vector = {};
  if (dimension >= kLanes) {
    vector = Load(row + dimension - kLanes);
  } else {
    // Nothing lies before the row that may be read.
    for (size_t i = 0; i < dimension; ++i) vector[kLanes - dimension + i] = row[i];
  }
  return (Vector)((Mask)vector & tail.keep);
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
inline Vector Fold(Vector sum, int half) {
  Mask order = {};
  for (size_t l = 0; l < kLanes; ++l) order[l] = (int)(l + half) % (int)kLanes;
  return sum + __builtin_shuffle(sum, order);
}

inline float Reduce(Vector* sums) {
  for (size_t half = kAccumulators / 2; half > 0; half /= 2) {
    for (size_t a = 0; a < half; ++a) sums[a] = sums[a] + sums[a + half];
  }
  Vector sum = sums[0];
#pragma GCC unroll 8
  for (size_t half = kLanes / 2; half > 0; half /= 2) sum = Fold(sum, (int)half);
  return sum[0];
}

template <typename Op>
inline float ScoreRow(const float* query, Vector query_tail, const float* row, size_t dimension,
                      const Tail& tail) {
  Vector sums[kAccumulators] = {};
  size_t i = 0;
  for (; i + kStep <= dimension; i += kStep) {
    for (size_t a = 0; a < kAccumulators; ++a) {
      sums[a] = Op::Add(sums[a], Load(query + i + a * kLanes), Load(row + i + a * kLanes));
    }
  }
  // Unrolled, so that the sums stay in registers.
#pragma GCC unroll 8
  for (size_t a = 0; a + 1 < kAccumulators; ++a) {
    if (i + kLanes > dimension) break;
    sums[a] = Op::Add(sums[a], Load(query + i), Load(row + i));
    i += kLanes;
  }
  if (tail.floats > 0) {
    sums[kAccumulators - 1] =
        Op::Add(sums[kAccumulators - 1], query_tail, LoadTail(row, dimension, tail));
  }
  return Reduce(sums);
}

template <typename Op>
void ScoreRows(const float* query, const float* rows, size_t count, size_t dimension, size_t pitch,
               float* out) {
  const Tail tail = TailOf(dimension);
  const Vector query_tail = LoadTail(query, dimension, tail);
  for (size_t i = 0; i < count; ++i) {
    out[i] = ScoreRow<Op>(query, query_tail, rows + i * pitch, dimension, tail);
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

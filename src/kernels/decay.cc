// strength * 2^-(age / half_life) over arrays, with 2^x by a polynomial: the
// library's exp2f is neither vectorised nor equal between systems. No product is
// fused, so that all levels and both languages give equal bits. C headers only.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "level.h"

namespace {

constexpr size_t kLanes = ENGRAM_KERNEL_LANES;
typedef float Vector __attribute__((vector_size(ENGRAM_KERNEL_LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(ENGRAM_KERNEL_LANES * 4)));

// 2^f = 1 + f P(f) on [-1/2, 1/2]: a fit at Chebyshev nodes, within 0.09 x 2^-24 before
// rounding; zig/kernels/decay.zig holds the same bits.
constexpr float kExp2[] = {0x1.62e430p-1f, 0x1.ebfbe0p-3f,  0x1.c6af6cp-5f,
                           0x1.3b2a1cp-7f, 0x1.5f0896p-10f, 0x1.444004p-13f};
// Added and taken away again, it rounds to the nearest integer, ties to even.
constexpr float kRound = 0x1.8p23f;
// Below it both halves of the exponent would leave the normal range.
constexpr float kLeastExponent = -252.0f;

inline Vector All(float value) { return Vector{} + value; }

inline Vector PowerOfTwo(Ints exponent) { return (Vector)((exponent + 127) << 23); }

inline Vector Decay(Vector strength, Vector age, float half_life) {
  // A NaN age compares false, here and below, and is taken for an endless one.
  const Vector t = age / half_life;
  const Vector x = (t <= 0.0f) ? All(0.0f) : -t;
  const Ints alive = x >= kLeastExponent;
  const Vector bounded = alive ? x : All(0.0f);
  const Vector shifted = bounded + kRound;
  const Vector f = bounded - (shifted - kRound);
  const Ints n = (Ints)shifted - (Ints)All(kRound);
  Vector p = All(kExp2[5]);
  for (int i = 4; i >= 0; --i) p = p * f + kExp2[i];
  p = p * f + 1.0f;
  // In two halves, so that a great strength may still be seen where 2^x alone is no
  // normal number; the first goes to p, so that nothing overflows on the way.
  const Ints half = n >> 1;
  const Vector decayed = strength * (p * PowerOfTwo(half)) * PowerOfTwo(n - half);
  return alive ? decayed : All(0.0f);
}

}  // namespace

extern "C" void ENGRAM_KERNEL(decay)(const float* strength, const float* age, size_t count,
                                     float half_life, float* out) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Vector s, a;
    memcpy(&s, strength + i, sizeof s);
    memcpy(&a, age + i, sizeof a);
    const Vector decayed = Decay(s, a, half_life);
    memcpy(out + i, &decayed, sizeof decayed);
  }
  if (i == count) return;
  Vector s = {}, a = {};
  memcpy(&s, strength + i, (count - i) * sizeof(float));
  memcpy(&a, age + i, (count - i) * sizeof(float));
  const Vector decayed = Decay(s, a, half_life);
  memcpy(out + i, &decayed, (count - i) * sizeof(float));
}

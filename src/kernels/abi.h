/* The contract between the engine and its compute kernels, in C.
 *
 * Pointers, lengths and pitch are arguments; nothing is inferred, nothing is
 * allocated, and no call can fail. Every kernel is compiled once per level of
 * instruction set and reached only through its level's table.
 *
 * Order of summation: element i of a row belongs to partial sum i % (lanes x
 * accumulators), but the last (dimension % lanes) elements belong to the last
 * lanes of the last accumulator; the partial sums are then added by halving:
 * accumulator a with a + A/2, ..., lane l with l + L/2, .... A score depends on the values alone,
 * never on where a row lies. Tables with equal lanes, accumulators and fma are
 * one class and give equal bits. */
#ifndef ENGRAM_KERNELS_ABI_H_
#define ENGRAM_KERNELS_ABI_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Scores `count` rows of `dimension` floats, row i at rows + i * pitch, against
 * `query`; out has room for `count`. Any alignment. */
typedef void engram_dot_kernel(const float* query, const float* rows, size_t count,
                               size_t dimension, size_t pitch, float* out);

typedef struct engram_kernels {
  const char* name;      /* "cpp-v3" */
  unsigned lanes;
  unsigned accumulators;
  int fma;               /* products are added unrounded */
  engram_dot_kernel* dot;         /* sum of q[i] * x[i] */
  engram_dot_kernel* l2_squared;  /* sum of (q[i] - x[i])^2 */
} engram_kernels;

#ifdef __cplusplus
}
#endif

#endif /* ENGRAM_KERNELS_ABI_H_ */

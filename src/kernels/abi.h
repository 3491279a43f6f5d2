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
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Scores `count` rows of `dimension` floats, row i at rows + i * pitch, against
 * `query`; out has room for `count`. Any alignment. */
typedef void engram_dot_kernel(const float* query, const float* rows, size_t count,
                               size_t dimension, size_t pitch, float* out);

/* The edges of `count` nodes in a row, the first of which is `first_node`: node
 * first_node + i has edges offsets[i] up to offsets[i + 1], which ascend; edge e
 * goes to (in a transpose: comes from) node targets[e] with weights[e]. */
typedef struct engram_edges {
  const uint32_t* offsets; /* count + 1 of them */
  const uint32_t* targets;
  const float* weights;
  uint32_t first_node;
  uint32_t count;
} engram_edges;

/* The three forms of a spreading step. `activation` and `next` are by node, of
 * all nodes, and do not overlap. A product is rounded before it is added, in
 * every table, so that all tables give equal bits for one form.
 *
 * Push: for each node s of the run in ascending order whose activation is not
 * zero, and each of its edges in order, next[target] += activation[s] * weight. */
typedef void engram_push_kernel(const engram_edges* edges, const float* activation, float* next);

/* Pull, over a transpose: next[t] += (p0 + p2) + (p1 + p3), where edge j of
 * node t, counted from 0, adds activation[source] * weight to p(j % 4). */
typedef void engram_pull_kernel(const engram_edges* edges, const float* activation, float* next);

/* Frontier: push from the `active_count` nodes of `active` alone, in that order;
 * all lie in the run. A target t with seen[t] == 0 gets seen[t] = 1 and
 * is appended to `touched`, which holds touched_count nodes and has room for
 * every node and one more. Returns the new touched_count. Same bits as push when `active`
 * ascends and holds every node that is not zero. */
typedef size_t engram_frontier_kernel(const engram_edges* edges, const uint32_t* active,
                                      size_t active_count, const float* activation, float* next,
                                      uint8_t* seen, uint32_t* touched, size_t touched_count);

/* out[i] = strength[i] * 2^-t, t = age[i] / half_life rounded to f32, within 4 ulp
 * where t <= 252 and the result is normal; zero where t > 252. Ages below zero
 * count as zero, a NaN age gives zero. `half_life` is positive and finite, in the unit of
 * the ages; strengths are finite. out may be strength. All tables give equal bits. */
typedef void engram_decay_kernel(const float* strength, const float* age, size_t count,
                                 float half_life, float* out);

/* Rows as 4-bit codes in superblocks of 64 (storage/format/code_format.h): a superblock is
 * `groups` groups of 8 code dimensions, then 64 f32 scales s, 64 u8 residuals e, 64 u8 tails t.
 * Byte 256 g + 4 r + b holds of row r dimension 8 g + b in its low four bits and 8 g + 4 + b in
 * its high ones; a code c stands for 2 c - 15. Superblocks follow one another without a gap and
 * are 64-byte aligned. */
enum { ENGRAM_SUPERBLOCK_ROWS = 64 };

/* A query to be held against superblocks. With J = sum of query[j] * (2 c[j] - 15), which
 * is exact, the bound of a row is
 *
 *   s * ((J + e * residual) + t * tail) - (n * n) * norm
 *
 * in f32, J, e and t converted to it, every operation rounded in just this order and none fused,
 * so that all tables give equal bits. n is the row's entry of `norms`; without norms the last
 * subtraction is left out. */
typedef struct engram_code_query {
  const int8_t* query; /* 8 * groups codes in [-127, 127] */
  uint32_t groups;     /* at most 8192 */
  int32_t bias;        /* 15 * the sum of query */
  float residual;
  float tail;
  float norm;
  float threshold;
} engram_code_query;

/* Writes the bounds of all 64 * count rows to `out`. `norms` is null or has as many entries. */
typedef void engram_estimate_kernel(const engram_code_query* query, const uint8_t* superblocks,
                                    const float* norms, size_t count, float* out);

/* Appends each row whose bound is at least `threshold` (NaN is not), in ascending order: its
 * number, counted from the first superblock's first row, to `rows`, its bound to `bounds`. Both
 * hold `found` entries and have room for 64 * count + 16 more. Returns the new found. */
typedef size_t engram_scan_kernel(const engram_code_query* query, const uint8_t* superblocks,
                                  const float* norms, size_t count, uint32_t* rows, float* bounds,
                                  size_t found);

/* out[i] = sum of query[j] * rows[which[i] * pitch + j] over `dimension` signed 8-bit codes, which
 * is exact: no sum of any of the products exceeds an int32. Any alignment. */
typedef void engram_fine_kernel(const int16_t* query, const int8_t* rows, size_t pitch,
                                size_t dimension, const uint32_t* which, size_t count,
                                int32_t* out);

typedef struct engram_kernels {
  const char* name; /* "cpp-v3" */
  unsigned lanes;   /* this, accumulators and fma say the class of dot and l2_squared */
  unsigned accumulators;
  int fma;                       /* products are added unrounded */
  engram_dot_kernel* dot;        /* sum of q[i] * x[i] */
  engram_dot_kernel* l2_squared; /* sum of (q[i] - x[i])^2 */
  engram_push_kernel* push;
  engram_pull_kernel* pull;
  engram_frontier_kernel* frontier;
  engram_decay_kernel* decay;
  engram_estimate_kernel* estimate;
  engram_scan_kernel* scan;
  engram_fine_kernel* fine;
} engram_kernels;

#ifdef __cplusplus
}
#endif

#endif /* ENGRAM_KERNELS_ABI_H_ */

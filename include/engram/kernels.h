/* Engram: the compute kernels by themselves, in C, for callers who keep their own
 * arrays. A store needs none of this; it uses the same kernels on mapped blocks.
 *
 * Each function runs on the best kernels that this CPU has, or on those that the
 * environment variable ENGRAM_KERNELS names ("cpp-v3"); a name that is unknown
 * or not usable here counts as unset. The choice is made once in a process.
 *
 * All functions: thread-safe; they allocate nothing, keep no pointer and cannot
 * fail. Arrays belong to the caller and need the alignment of their type only;
 * an output may not overlap an input unless that is said. */
#ifndef ENGRAM_KERNELS_H_
#define ENGRAM_KERNELS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* scores[i] = cosine of `query` and candidate i:
 *
 *     q.c / (|q| |c|), clamped to [-1, 1]
 *
 * query: query_len floats. candidates: num_candidates rows of query_len floats,
 * one after another. scores: room for num_candidates floats.
 * A zero vector, and one with a NaN, has cosine 0 with everything; so has one whose
 * norm or products overflow f32. query_len 0 gives zeros. */
void engram_vector_similarity(const float* query, const float* candidates, float* scores,
                              size_t query_len, size_t num_candidates);

/* One step of spreading activation over a graph in compressed sparse rows:
 *
 *     next[targets[e]] += activation[s] * weights[e]   for every edge e of every node s
 *
 * offsets: num_nodes + 1 ascending numbers, the first 0; the edges of node s are
 * offsets[s] up to offsets[s + 1]. targets and weights: offsets[num_nodes] each, every
 * target below num_nodes. activation, next: num_nodes floats each; next is added to, so
 * that a caller starts it at zero, or at a restart vector. Nodes whose activation
 * is zero cost no more than a look at it. */
void engram_spread_activation(const uint32_t* offsets, const uint32_t* targets,
                              const float* weights, uint32_t num_nodes, const float* activation,
                              float* next);

/* strengths_out[i] = strengths[i] * 2^(-ages[i] / half_life), within 4 units in the last
 * place where the result is normal.
 *
 * strengths, ages, strengths_out: count floats each; strengths_out may be strengths.
 * Ages and half_life are in one unit, whichever. An age below zero counts as zero, a
 * NaN age as endless: it gives zero. Half-lives that are zero, negative, NaN or
 * infinite forget nothing: the strengths are copied. */
void engram_apply_decay(const float* strengths, const float* ages, float* strengths_out,
                        size_t count, float half_life);

#ifdef __cplusplus
}
#endif

#endif /* ENGRAM_KERNELS_H_ */

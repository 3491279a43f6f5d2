/* How the kernels of one level name each other: every file of the level is
 * compiled with ENGRAM_KERNEL_LEVEL, and ENGRAM_KERNEL(dot) is dot's symbol there. */
#ifndef ENGRAM_KERNELS_LEVEL_H_
#define ENGRAM_KERNELS_LEVEL_H_

#include "abi.h"

#define ENGRAM_KERNEL_JOIN(name, level) engram_##name##_cpp_##level
#define ENGRAM_KERNEL_EXPAND(name, level) ENGRAM_KERNEL_JOIN(name, level)
#define ENGRAM_KERNEL(name) ENGRAM_KERNEL_EXPAND(name, ENGRAM_KERNEL_LEVEL)

/* Not seen outside a shared library that holds them. */
#pragma GCC visibility push(hidden)
#ifdef __cplusplus
extern "C" {
#endif
engram_dot_kernel ENGRAM_KERNEL(dot);
engram_dot_kernel ENGRAM_KERNEL(l2_squared);
engram_push_kernel ENGRAM_KERNEL(push);
engram_pull_kernel ENGRAM_KERNEL(pull);
engram_frontier_kernel ENGRAM_KERNEL(frontier);
engram_decay_kernel ENGRAM_KERNEL(decay);
engram_estimate_kernel ENGRAM_KERNEL(estimate);
engram_scan_kernel ENGRAM_KERNEL(scan);
engram_fine_kernel ENGRAM_KERNEL(fine);
extern const engram_kernels ENGRAM_KERNEL(kernels);
#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif /* ENGRAM_KERNELS_LEVEL_H_ */

// The level's table: the one symbol of it that dispatch knows.
#include "level.h"

const engram_kernels ENGRAM_KERNEL(kernels) = {
    ENGRAM_KERNEL_NAME,   ENGRAM_KERNEL_LANES,     ENGRAM_KERNEL_ACCUMULATORS,
    ENGRAM_KERNEL_FMA,    ENGRAM_KERNEL(dot),      ENGRAM_KERNEL(l2_squared),
    ENGRAM_KERNEL(push),  ENGRAM_KERNEL(pull),     ENGRAM_KERNEL(frontier),
    ENGRAM_KERNEL(decay), ENGRAM_KERNEL(estimate), ENGRAM_KERNEL(scan),
    ENGRAM_KERNEL(fine),
};

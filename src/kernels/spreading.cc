// One step of spreading activation over a run of edges, in three forms: push
// from every node, pull over a transpose, push from a frontier. abi.h fixes the
// order of every sum and that no product is fused, so that all levels and both
// languages give equal bits. C headers only.
#include <stddef.h>
#include <stdint.h>

#include "level.h"

namespace {

// How many edges ahead a node's activation is asked for: its place is random in
// an array that may exceed the cache.
constexpr size_t kAhead = 24;

}  // namespace

extern "C" {

void ENGRAM_KERNEL(push)(const engram_edges* edges, const float* activation, float* next) {
  const uint32_t* offsets = edges->offsets;
  const uint32_t* targets = edges->targets;
  const float* weights = edges->weights;
  const size_t last = offsets[edges->count];
  for (size_t i = 0; i < edges->count; ++i) {
    const float source = activation[edges->first_node + i];
    if (source == 0.0f) continue;
    for (size_t e = offsets[i]; e < offsets[i + 1]; ++e) {
      if (e + kAhead < last) __builtin_prefetch(&next[targets[e + kAhead]], 1);
      next[targets[e]] += source * weights[e];
    }
  }
}

void ENGRAM_KERNEL(pull)(const engram_edges* edges, const float* activation, float* next) {
  const uint32_t* offsets = edges->offsets;
  const uint32_t* sources = edges->targets;
  const float* weights = edges->weights;
  const size_t last = offsets[edges->count];
  for (size_t i = 0; i < edges->count; ++i) {
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    size_t e = offsets[i];
    const size_t end = offsets[i + 1];
    for (; e + 4 <= end; e += 4) {
      if (e + kAhead + 4 <= last) {
        for (size_t j = 0; j < 4; ++j) __builtin_prefetch(&activation[sources[e + kAhead + j]]);
      }
      for (size_t j = 0; j < 4; ++j) sums[j] += activation[sources[e + j]] * weights[e + j];
    }
    for (size_t j = 0; e < end; ++e, ++j) sums[j] += activation[sources[e]] * weights[e];
    next[edges->first_node + i] += (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
}

size_t ENGRAM_KERNEL(frontier)(const engram_edges* edges, const uint32_t* active,
                               size_t active_count, const float* activation, float* next,
                               uint8_t* seen, uint32_t* touched, size_t touched_count) {
  for (size_t i = 0; i < active_count; ++i) {
    const float source = activation[active[i]];
    const size_t node = active[i] - edges->first_node;
    for (size_t e = edges->offsets[node]; e < edges->offsets[node + 1]; ++e) {
      const uint32_t target = edges->targets[e];
      next[target] += source * edges->weights[e];
      // Written whether or not it is new: which of the two is hard to foresee.
      touched[touched_count] = target;
      touched_count += seen[target] == 0;
      seen[target] = 1;
    }
  }
  return touched_count;
}

}  // extern "C"

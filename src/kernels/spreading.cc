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
    size_t e = offsets[i];
    const size_t end = offsets[i + 1];
    if (end + kAhead <= last) {
      for (size_t k = e; k < end; ++k) __builtin_prefetch(&activation[sources[k + kAhead]]);
    }
    float p0 = 0.0f, p1 = 0.0f, p2 = 0.0f, p3 = 0.0f;
    for (; e + 4 <= end; e += 4) {
      p0 += activation[sources[e]] * weights[e];
      p1 += activation[sources[e + 1]] * weights[e + 1];
      p2 += activation[sources[e + 2]] * weights[e + 2];
      p3 += activation[sources[e + 3]] * weights[e + 3];
    }
    if (e < end) p0 += activation[sources[e]] * weights[e];
    if (e + 1 < end) p1 += activation[sources[e + 1]] * weights[e + 1];
    if (e + 2 < end) p2 += activation[sources[e + 2]] * weights[e + 2];
    next[edges->first_node + i] += (p0 + p2) + (p1 + p3);
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

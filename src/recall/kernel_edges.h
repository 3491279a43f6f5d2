// Edges of the store as the kernels take them: pointers, and nothing copied. And what keeps
// their sums finite.
#ifndef ENGRAM_RECALL_KERNEL_EDGES_H_
#define ENGRAM_RECALL_KERNEL_EDGES_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/abi.h"
#include "storage/mapped_edges.h"

namespace engram::recall {

// The edges out of one node. They live as long as what `span` points into.
struct OneNode {
  OneNode(const storage::EdgeSpan& span, std::uint32_t begin, std::uint32_t end, std::uint32_t node)
      : offsets{0, end - begin},
        edges{offsets, span.targets + begin, span.weights + begin, node, 1} {}
  OneNode(const OneNode&) = delete;
  OneNode& operator=(const OneNode&) = delete;

  std::uint32_t offsets[2];
  engram_edges edges;
};

inline engram_edges EdgesOf(const storage::EdgeRun& run) {
  return {run.offsets, run.targets, run.weights, run.block.first_node, run.block.nodes};
}

// Weights may be so large, or their sum so small, that a quotient or a sum is more than f32
// holds: an infinity would be NaN on the next edge of weight zero.
inline float Finite(float value) { return std::min(value, std::numeric_limits<float>::max()); }

}  // namespace engram::recall

#endif  // ENGRAM_RECALL_KERNEL_EDGES_H_

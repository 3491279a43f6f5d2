// All edges at one moment: the sealed ones, and over them the lists of those nodes
// that have changed since.
//
// A node that any change touched has its whole list in the overlay, in the order the
// sealed columns keep, so that a seal moves lists from one place to the other and
// changes no bit of any answer.
#ifndef ENGRAM_STORAGE_EDGE_GRAPH_H_
#define ENGRAM_STORAGE_EDGE_GRAPH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/edge_log.h"
#include "storage/mapped_edges.h"

namespace engram::storage {

// Edges of many nodes in memory, one list after another. Immutable once lists point into it.
struct EdgeArena {
  explicit EdgeArena(std::size_t edges)
      : targets(new std::uint32_t[edges]),
        types(new std::uint32_t[edges]),
        weights(new float[edges]) {}

  std::unique_ptr<std::uint32_t[]> targets, types;
  std::unique_ptr<float[]> weights;
};

// The edges out of one node: where they are in an arena.
struct NodeEdges {
  EdgeSpan span;
  std::shared_ptr<const EdgeArena> arena;
};

// Pairs (target, source), ascending.
using SourcePairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

struct EdgeOverlay {
  EdgeOverlay() = default;
  EdgeOverlay(const EdgeOverlay& other)
      : lists(other.lists), added(other.added), edges(other.edges) {}
  EdgeOverlay& operator=(const EdgeOverlay&) = delete;

  absl::flat_hash_map<std::uint32_t, NodeEdges> lists;
  // The edges that were put since the seal, by where they lead; some may be gone. Few
  // runs, each more than twice as long as the next.
  std::vector<std::shared_ptr<const SourcePairs>> added;
  std::uint64_t edges = 0;  // with those of the sealed blocks that still count
  // Graphs that have it: without any it may grow where it is.
  mutable std::atomic<int> graphs{0};

  void Add(SourcePairs pairs);
  // Appends the sources of edges to `target` that were put since the seal.
  void AppendAdded(std::uint32_t target, std::vector<std::uint32_t>* sources) const;
};

// Immutable and thread-safe.
class EdgeGraph {
 public:
  EdgeGraph(std::shared_ptr<const MappedEdges> base, std::shared_ptr<const EdgeOverlay> overlay)
      : base_(std::move(base)), overlay_(std::move(overlay)) {
    overlay_->graphs.fetch_add(1, std::memory_order_relaxed);
  }
  ~EdgeGraph() { overlay_->graphs.fetch_sub(1, std::memory_order_release); }
  EdgeGraph(const EdgeGraph&) = delete;
  EdgeGraph& operator=(const EdgeGraph&) = delete;

  // Returns: the edges out of `node`; they live as long as the graph.
  EdgeSpan Out(std::uint32_t node) const;
  // Returns: nodes among which are all with an edge to `node`, in any order, maybe twice.
  std::vector<std::uint32_t> MaybeSources(std::uint32_t node) const;
  // Returns: the nodes with an edge to `node`, ascending.
  std::vector<std::uint32_t> Sources(std::uint32_t node) const;
  // Returns: how many MaybeSources(node) gives.
  std::size_t MostSources(std::uint32_t node) const;
  std::uint64_t edges() const { return overlay_->edges; }

  const MappedEdges& base() const { return *base_; }
  const EdgeOverlay& overlay() const { return *overlay_; }

 private:
  std::shared_ptr<const MappedEdges> base_;
  std::shared_ptr<const EdgeOverlay> overlay_;
};

// Makes graphs, each from the one before where that is possible. Thread-safe.
class EdgeGraphs {
 public:
  // Returns: the graph of `base` and `log`. Errors: those of MappedEdges::Check.
  absl::StatusOr<std::shared_ptr<const EdgeGraph>> Get(std::shared_ptr<const MappedEdges> base,
                                                       const EdgeLogView& log, bool verify);

  // Lets go of what is kept for the next graph, and so of the mapping it is over. From now on
  // nothing is kept that is sealed less far than up to event `sealed`.
  void Clear(std::uint64_t sealed);

 private:
  absl::Mutex mutex_;
  std::shared_ptr<const MappedEdges> base_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<EdgeOverlay> overlay_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t base_next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t end_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_EDGE_GRAPH_H_

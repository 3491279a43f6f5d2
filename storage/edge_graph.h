// All edges at one moment: the sealed ones, and over them the lists of those nodes
// that have changed since.
//
// A node that any change touched has its whole list in the overlay, in the order the
// sealed columns keep, so that a seal moves lists from one place to the other and
// changes no bit of any answer.
#ifndef ENGRAM_STORAGE_EDGE_GRAPH_H_
#define ENGRAM_STORAGE_EDGE_GRAPH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/edge_log.h"
#include "storage/heap_bytes.h"
#include "storage/mapped_edges.h"

namespace engram::storage {

// Edges of many nodes in memory, one list after another. Immutable once lists point into it.
struct EdgeArena {
  EdgeArena(std::size_t edges, const HeapTotal& total)
      : targets(new std::uint32_t[edges]),
        types(new std::uint32_t[edges]),
        weights(new float[edges]),
        bytes(total, edges * (2 * sizeof(std::uint32_t) + sizeof(float))) {}

  std::unique_ptr<std::uint32_t[]> targets, types;
  std::unique_ptr<float[]> weights;
  HeapBytes bytes;
};

// The edges out of one node: where they are in an arena.
struct NodeEdges {
  EdgeSpan span;
  std::shared_ptr<const EdgeArena> arena;
};

// Lists by node. Copies share their parts, so that a change costs the parts it touches and
// takes nothing away from who reads what was before.
class EdgeLists {
 public:
  // Returns: the list of `node`, or null.
  const NodeEdges* Find(std::uint32_t node) const {
    if (size_ == 0) return nullptr;
    const Part* part = parts_[node % kParts].get();
    if (part == nullptr) return nullptr;
    const auto found = part->lists.find(node);
    return found == part->lists.end() ? nullptr : &found->second;
  }
  bool contains(std::uint32_t node) const { return Find(node) != nullptr; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Calls `use(node)` for every node that has a list, in any order.
  template <typename Use>
  void ForEachNode(Use use) const {
    for (const auto& part : parts_) {
      if (part == nullptr) continue;
      for (const auto& [node, list] : part->lists) use(node);
    }
  }

  // Gives nodes these lists in place of what they have. No node comes twice.
  void Set(std::vector<std::pair<std::uint32_t, NodeEdges>> changed, const HeapTotal& total);

 private:
  static constexpr std::uint32_t kParts = 1024;
  struct Part {
    absl::flat_hash_map<std::uint32_t, NodeEdges> lists;
    HeapBytes bytes;
  };

  std::vector<std::shared_ptr<const Part>> parts_;  // none, or kParts
  std::size_t size_ = 0;
};

// Pairs (target, source), ascending, none twice.
using SourcePairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
struct SourceRun {
  SourceRun(SourcePairs pairs_in, const HeapTotal& total)
      : pairs(std::move(pairs_in)), bytes(total, pairs.capacity() * sizeof(pairs[0])) {}

  SourcePairs pairs;
  HeapBytes bytes;
};

// Immutable and thread-safe once a graph has it; copies share what it is made of.
struct EdgeOverlay {
  EdgeLists lists;
  // The edges that were put since the seal, by where they lead; some may be gone. Few
  // runs, each more than twice as long as the next.
  std::vector<std::shared_ptr<const SourceRun>> added;
  std::uint64_t edges = 0;  // with those of the sealed blocks that still count

  void Add(SourcePairs pairs, const HeapTotal& total);
  // Appends the sources of edges to `target` that were put since the seal.
  void AppendAdded(std::uint32_t target, std::vector<std::uint32_t>* sources) const;
};

// Immutable and thread-safe.
class EdgeGraph {
 public:
  EdgeGraph(std::shared_ptr<const MappedEdges> base, std::shared_ptr<const EdgeOverlay> overlay)
      : base_(std::move(base)), overlay_(std::move(overlay)) {}
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

// Makes graphs, each from one before where that is possible. Thread-safe; nobody waits while
// another makes one.
class EdgeGraphs {
 public:
  // Returns: the graph of `base` and `log`. Errors: those of MappedEdges::Check.
  absl::StatusOr<std::shared_ptr<const EdgeGraph>> Get(std::shared_ptr<const MappedEdges> base,
                                                       const EdgeLogView& log, bool verify);

  // Lets go of what is kept for other graphs, and so of the mapping it is over. From now on
  // nothing is kept that is sealed less far than up to event `sealed`.
  void Clear(std::uint64_t sealed);

  // Returns: what all graphs hold in memory beside the mapping, those that readers have included.
  std::uint64_t heap_bytes() const { return total_->load(std::memory_order_relaxed); }
  // Returns: how many events were applied to make graphs, all in all.
  std::uint64_t applied() const { return applied_.load(std::memory_order_relaxed); }

 private:
  // An overlay with all events below `end`.
  struct Kept {
    std::shared_ptr<const MappedEdges> base;
    std::shared_ptr<const EdgeOverlay> overlay;
    std::uint64_t end = 0;
  };
  Kept Nearest(const std::shared_ptr<const MappedEdges>& base, const EdgeLogView& log);
  void Keep(const Kept& made);

  const HeapTotal total_ = NewHeapTotal();
  std::atomic<std::uint64_t> applied_{0};
  absl::Mutex mutex_;                               // held to look at what is kept, no longer
  std::vector<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // over one base, the one used last in front
  std::uint64_t sealed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_EDGE_GRAPH_H_

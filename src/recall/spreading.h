// Spreading activation: steps along the edges of a graph, from a few nodes while
// few are active and over all of it when many are.
//
// The sources of a step are taken in one order that depends on graph and seeds alone,
// so that answers have the same bits on every machine of a level, in both
// languages, and before and after a seal.
#ifndef ENGRAM_RECALL_SPREADING_H_
#define ENGRAM_RECALL_SPREADING_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "engram/options.h"
#include "engram/types.h"
#include "kernels/abi.h"
#include "storage/edge_graph.h"

namespace engram::recall {

struct NodeSeed {
  std::uint32_t node = 0;
  double activation = 0.0;  // finite and not negative
};

// The arrays of one spreading, by node. They are as long as there are nodes, and so are
// used again, cleaned where they were touched.
struct SpreadArrays {
  static constexpr std::uint16_t kNotReached = 0xffff;

  std::vector<float> activation, next, passed;  // passed: what an edge of weight 1 carries
  std::vector<std::uint8_t> seen;
  std::vector<std::uint16_t> hops;
  std::vector<std::uint16_t> first_passed;  // the step, only where paths are asked for
  std::vector<std::uint32_t> touched;       // whose activation may not be zero
  std::vector<std::uint32_t> next_touched;  // room for all nodes and one more
  std::vector<std::uint32_t> active;        // whose `passed` may not be zero
  std::vector<std::uint32_t> reached;       // that have hops
  std::uint64_t counted_bytes = 0;          // for the pool they were taken from

  void Grow(std::size_t nodes);
  void Clean();
  std::uint64_t HeapBytes() const;
};

// Arrays that nobody uses now, as far as they are worth their memory. Thread-safe.
class SpreadArraysPool {
 public:
  // Keeps arrays of `most_bytes` together; above that one, so that spreadings in turn need not
  // make theirs anew.
  explicit SpreadArraysPool(std::uint64_t most_bytes = std::uint64_t{256} << 20)
      : most_bytes_(most_bytes) {}

  std::unique_ptr<SpreadArrays> Take(std::size_t nodes);
  void Give(std::unique_ptr<SpreadArrays> arrays);

  // Returns: what kept arrays hold, and those that were taken held when they were.
  std::uint64_t heap_bytes() const;

 private:
  const std::uint64_t most_bytes_;
  mutable absl::Mutex mutex_;
  std::vector<std::unique_ptr<SpreadArrays>> free_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t free_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t taken_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One spreading and what it found. Belongs to one thread; used once.
class Spreading {
 public:
  // All of these outlive it. `options` were checked; nodes of seeds are below `nodes`.
  Spreading(const storage::EdgeGraph& graph, const engram_kernels& kernels,
            const SpreadOptions& options, std::uint32_t nodes, SpreadArraysPool& pool);
  ~Spreading();
  Spreading(const Spreading&) = delete;
  Spreading& operator=(const Spreading&) = delete;

  using Deadline = std::optional<std::chrono::steady_clock::time_point>;
  void Run(absl::Span<const NodeSeed> seeds, const Deadline& deadline);

  // Returns: how many edges of the wanted types leave `node`.
  std::uint32_t Degree(std::uint32_t node) const { return WantedFan(graph_.Out(node)).edges; }

  // The rest is for after Run().

  const SpreadInfo& info() const { return info_; }
  // Returns: the nodes with activation above zero, in no order that means anything.
  absl::Span<const std::uint32_t> nodes() const { return arrays_->touched; }
  float activation(std::uint32_t node) const { return arrays_->activation[node]; }
  // Returns: the fewest edges from a seed; 0 where nothing arrived.
  std::uint32_t hops(std::uint32_t node) const;
  // Returns: the node whose edges gave most in the last step, the first of those that gave as
  // much; `node` itself where none did.
  std::uint32_t Via(std::uint32_t node) const;

  struct Step {
    std::uint32_t node = 0;
    float weight = 0.0f;
    std::uint32_t type = 0;
  };
  // Returns: the way by which activation first came from a seed, the seed first; of several the
  // predecessor that gives most. Empty where nothing arrived. For options that `explain`.
  std::vector<Step> Path(std::uint32_t node) const;

 private:
  void Seed(absl::Span<const NodeSeed> seeds);
  void ChooseActive();
  void CutActive();
  void SetPassed();
  void NotePassed(std::uint32_t node);
  void TakeStep(std::uint32_t step);
  std::size_t TouchSeeds();
  std::size_t PassFromActive(std::size_t touched);
  std::size_t PassAlong(const storage::EdgeSpan& edges, std::uint32_t node, std::size_t touched);
  void BecomeCurrent(std::size_t touched, std::uint32_t step);

  // spreading_dense.cc: steps over all nodes, which keep no lists.
  bool ChooseAmongAll();
  void TakeDenseStep(std::uint32_t step);
  void PassFromAll();
  void PassFromRun(const storage::EdgeRun& run, absl::Span<const std::uint32_t> overlaid);
  void ChooseOverlaid(float damping, std::uint64_t* edges);
  void NoteReached(std::uint32_t begin, std::uint32_t end);
  void FindOverlaid();
  void BecomeSparse();

  bool IsOverlaid(std::uint32_t node) const;
  bool IsWanted(std::uint32_t type) const;
  // The edges out of a node that count, and the sum of their weights.
  struct Fan {
    std::uint32_t edges = 0;
    float sum = 0.0f;
  };
  // `*run` is null or the run that was looked at last.
  Fan FanOf(std::uint32_t node, const storage::EdgeRun** run) const;
  Fan WantedFan(const storage::EdgeSpan& edges) const;
  // Returns: what activation is divided by on its way out; 0: nothing goes out.
  float Divisor(const Fan& fan) const;

  // What one edge, the strongest, and all edges of one node to another give.
  struct Gift {
    float all = 0.0f;
    Step strongest;
  };
  Gift GiftOf(std::uint32_t source, std::uint32_t node, float passed) const;
  // The best of `sources`, ties to the first; `passed` gives what each passes along an edge of
  // weight 1.
  template <typename Passed>
  Gift BestGift(absl::Span<const std::uint32_t> sources, std::uint32_t node, Passed passed) const;

  const storage::EdgeGraph& graph_;
  const engram_kernels& kernels_;
  const SpreadOptions& options_;
  const std::uint32_t nodes_;
  SpreadArraysPool& pool_;
  std::unique_ptr<SpreadArrays> arrays_;
  std::vector<NodeSeed> restart_;        // the seeds, by node, their sum 1
  std::vector<std::uint32_t> overlaid_;  // ascending, once a dense step needs them
  std::uint64_t active_nodes_ = 0, active_edges_ = 0;
  // Any node may have activation or pass it on, `next` holds what was before, and the lists of
  // touched and active nodes are empty.
  bool everywhere_ = false;
  bool noted_ = true;          // NoteReached() was called for all nodes since the last dense step
  std::uint32_t arrived_ = 0;  // the last dense step
  std::uint32_t step_ = 0;     // that is being taken
  SpreadInfo info_;
};

}  // namespace engram::recall

#endif  // ENGRAM_RECALL_SPREADING_H_

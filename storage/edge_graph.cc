#include "storage/edge_graph.h"

#include <algorithm>
#include <utility>

#include "storage/base/status.h"

namespace engram::storage {
namespace {

// A list of more edges than this has an arena of its own.
constexpr std::size_t kLongList = 256;

// So many overlays are kept for graphs to start from: the newest, and those of views that
// were asked last.
constexpr std::size_t kMostKept = 3;

// What one event does to the edges out of `from`.
struct Step {
  enum class Kind : std::uint8_t {
    kPut,
    kDelete,
    kForget,  // no edge to `target` is left
    kClear,   // no edge is left at all
  };
  std::uint32_t from, target, type;
  float weight;
  Kind kind;
};

EdgeSpan BaseSpan(const MappedEdges& base, std::uint32_t node) {
  const EdgeRun* run = base.Find(node);
  return run == nullptr ? EdgeSpan{} : run->Out(node);
}

// Merges the edges of one node with steps. Its vectors are used for node after node.
class NodeMerger {
 public:
  // `steps` are the node's, in their order; they are sorted. Writes what is left to `arena`
  // from `at` on and returns how many edges those are.
  std::uint32_t Merge(const EdgeSpan& before, absl::Span<Step> steps, EdgeArena& arena,
                      std::size_t at) {
    const bool cleared = CutAtClear(steps);
    std::stable_sort(steps.begin(), steps.end(),
                     [](const Step& a, const Step& b) { return a.target < b.target; });
    hidden_.clear();
    fresh_.clear();
    for (std::size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
      while (end < steps.size() && steps[end].target == steps[begin].target) ++end;
      Settle(steps.subspan(begin, end - begin));
    }
    std::sort(fresh_.begin(), fresh_.end(), [](const Edge& a, const Edge& b) {
      return std::pair(a.type, a.target) < std::pair(b.type, b.target);
    });
    const std::size_t first = at;
    auto next = fresh_.begin();
    for (std::uint32_t i = 0; i < (cleared ? 0 : before.size); ++i) {
      const Edge edge{before.type(i), before.targets[i], before.weights[i]};
      if (IsHidden(edge)) continue;
      while (next != fresh_.end() &&
             std::pair(next->type, next->target) < std::pair(edge.type, edge.target)) {
        Append(*next++, arena, at++);
      }
      Append(edge, arena, at++);
    }
    while (next != fresh_.end()) Append(*next++, arena, at++);
    return static_cast<std::uint32_t>(at - first);
  }

 private:
  struct Edge {
    std::uint32_t type, target;
    float weight;
  };
  // An edge that is not what it was before; with `all`, every edge to the target.
  struct Hidden {
    std::uint32_t target, type;
    bool all;
  };

  static void Append(const Edge& edge, EdgeArena& arena, std::size_t at) {
    arena.targets[at] = edge.target;
    arena.types[at] = edge.type;
    arena.weights[at] = edge.weight;
  }

  // Takes away the steps up to the last clear. Returns: whether there was one.
  static bool CutAtClear(absl::Span<Step>& steps) {
    for (std::size_t i = steps.size(); i > 0; --i) {
      if (steps[i - 1].kind != Step::Kind::kClear) continue;
      steps.remove_prefix(i);
      return true;
    }
    return false;
  }

  // `steps` are to one target, in their order: what was last said of each type counts.
  void Settle(absl::Span<const Step> steps) {
    bool forgotten = false;
    const std::size_t mine = hidden_.size();
    for (std::size_t i = steps.size(); i > 0; --i) {
      const Step& step = steps[i - 1];
      if (step.kind == Step::Kind::kForget) {
        forgotten = true;
        break;
      }
      const bool known =
          std::any_of(hidden_.begin() + static_cast<std::ptrdiff_t>(mine), hidden_.end(),
                      [&](const Hidden& h) { return h.type == step.type; });
      if (known) continue;
      hidden_.push_back({step.target, step.type, false});
      if (step.kind == Step::Kind::kPut) fresh_.push_back({step.type, step.target, step.weight});
    }
    if (forgotten) hidden_.push_back({steps[0].target, 0, true});
  }

  bool IsHidden(const Edge& edge) const {
    auto it = std::lower_bound(
        hidden_.begin(), hidden_.end(), edge.target,
        [](const Hidden& hidden, std::uint32_t target) { return hidden.target < target; });
    for (; it != hidden_.end() && it->target == edge.target; ++it) {
      if (it->all || it->type == edge.type) return true;
    }
    return false;
  }

  std::vector<Hidden> hidden_;  // by target
  std::vector<Edge> fresh_;
};

class Applier {
 public:
  Applier(const MappedEdges& base, EdgeOverlay& overlay, const HeapTotal& total)
      : base_(base), overlay_(overlay), total_(total) {}

  void Apply(const EdgeEvent& event) {
    switch (event.kind) {
      case EdgeEvent::Kind::kPut:
        steps_.push_back({event.from, event.to, event.type, event.weight, Step::Kind::kPut});
        added_.emplace_back(event.to, event.from);
        break;
      case EdgeEvent::Kind::kDelete:
        steps_.push_back({event.from, event.to, event.type, 0.0f, Step::Kind::kDelete});
        break;
      case EdgeEvent::Kind::kForget: Forget(event.from); break;
    }
  }

  void Finish() {
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const Step& a, const Step& b) { return a.from < b.from; });
    std::size_t most = 0;
    ForEachNode(
        [&](std::uint32_t node, absl::Span<Step> steps) { most += Now(node).size + steps.size(); });
    const auto shared = std::make_shared<EdgeArena>(most, total_);
    std::vector<std::pair<std::uint32_t, NodeEdges>> changed;
    NodeMerger merger;
    std::size_t used = 0;
    ForEachNode([&](std::uint32_t node, absl::Span<Step> steps) {
      const EdgeSpan before = Now(node);
      // The next change of a long list should not leave it behind for the sake of others.
      const bool alone = IsLong(before, steps);
      const auto arena =
          alone ? std::make_shared<EdgeArena>(before.size + steps.size(), total_) : shared;
      const std::size_t at = alone ? 0 : used;
      const std::uint32_t size = merger.Merge(before, steps, *arena, at);
      overlay_.edges = overlay_.edges - before.size + size;
      const EdgeSpan after = {.targets = arena->targets.get() + at,
                              .weights = arena->weights.get() + at,
                              .types = arena->types.get() + at,
                              .type_bytes = sizeof(std::uint32_t),
                              .size = size,
                              .sum = SumOfWeights({arena->weights.get() + at, size})};
      changed.emplace_back(node, NodeEdges{.span = after, .arena = arena});
      if (!alone) used += size;
    });
    overlay_.lists.Set(std::move(changed), total_);
    AddSources();
  }

 private:
  template <typename Use>
  void ForEachNode(Use use) {
    const absl::Span<Step> steps = absl::MakeSpan(steps_);
    for (std::size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
      while (end < steps.size() && steps[end].from == steps[begin].from) ++end;
      use(steps[begin].from, steps.subspan(begin, end - begin));
    }
  }

  static bool IsLong(const EdgeSpan& before, absl::Span<const Step> steps) {
    return before.size + steps.size() > kLongList;
  }

  EdgeSpan Now(std::uint32_t node) const {
    const NodeEdges* known = overlay_.lists.Find(node);
    return known == nullptr ? BaseSpan(base_, node) : known->span;
  }

  void AddSources() {
    std::sort(added_.begin(), added_.end());
    added_.erase(std::unique(added_.begin(), added_.end()), added_.end());
    if (!added_.empty()) overlay_.Add(std::exchange(added_, {}), total_);
  }

  void Forget(std::uint32_t node) {
    AddSources();  // so that what was put before is seen
    std::vector<std::uint32_t> sources;
    if (const EdgeRun* run = base_.Find(node); run != nullptr) {
      sources.assign(run->Sources(node).begin(), run->Sources(node).end());
    }
    overlay_.AppendAdded(node, &sources);
    steps_.push_back({node, 0, 0, 0.0f, Step::Kind::kClear});
    for (const std::uint32_t source : sources) {
      steps_.push_back({source, node, 0, 0.0f, Step::Kind::kForget});
    }
  }

  const MappedEdges& base_;
  EdgeOverlay& overlay_;
  const HeapTotal& total_;
  std::vector<Step> steps_;
  SourcePairs added_;
};

}  // namespace

void EdgeLists::Set(std::vector<std::pair<std::uint32_t, NodeEdges>> changed,
                    const HeapTotal& total) {
  if (changed.empty()) return;
  if (parts_.empty()) parts_.resize(kParts);
  std::vector<std::shared_ptr<Part>> own(kParts);
  for (auto& [node, list] : changed) {
    std::shared_ptr<Part>& part = own[node % kParts];
    if (part == nullptr) {
      part = std::make_shared<Part>();
      if (const auto& before = parts_[node % kParts]; before != nullptr) {
        part->lists = before->lists;
      }
    }
    size_ += part->lists.insert_or_assign(node, std::move(list)).second ? 1 : 0;
  }
  for (std::uint32_t i = 0; i < kParts; ++i) {
    if (own[i] == nullptr) continue;
    const std::size_t slot = sizeof(std::pair<std::uint32_t, NodeEdges>) + 1;
    own[i]->bytes = HeapBytes(total, sizeof(Part) + own[i]->lists.capacity() * slot);
    parts_[i] = std::move(own[i]);
  }
}

void EdgeOverlay::Add(SourcePairs pairs, const HeapTotal& total) {
  while (!added.empty() && added.back()->pairs.size() <= 2 * pairs.size()) {
    const SourcePairs& before = added.back()->pairs;
    SourcePairs merged(before.size() + pairs.size());
    std::merge(before.begin(), before.end(), pairs.begin(), pairs.end(), merged.begin());
    merged.erase(std::unique(merged.begin(), merged.end()), merged.end());
    pairs = std::move(merged);
    added.pop_back();
  }
  added.push_back(std::make_shared<const SourceRun>(std::move(pairs), total));
}

void EdgeOverlay::AppendAdded(std::uint32_t target, std::vector<std::uint32_t>* sources) const {
  for (const auto& run : added) {
    auto it =
        std::lower_bound(run->pairs.begin(), run->pairs.end(), std::pair(target, std::uint32_t{0}));
    for (; it != run->pairs.end() && it->first == target; ++it) sources->push_back(it->second);
  }
}

EdgeSpan EdgeGraph::Out(std::uint32_t node) const {
  const NodeEdges* changed = overlay_->lists.Find(node);
  return changed != nullptr ? changed->span : BaseSpan(*base_, node);
}

std::vector<std::uint32_t> EdgeGraph::MaybeSources(std::uint32_t node) const {
  std::vector<std::uint32_t> candidates;
  if (const EdgeRun* run = base_->Find(node); run != nullptr) {
    const auto sealed = run->Sources(node);
    candidates.assign(sealed.begin(), sealed.end());
  }
  overlay_->AppendAdded(node, &candidates);
  return candidates;
}

std::vector<std::uint32_t> EdgeGraph::Sources(std::uint32_t node) const {
  std::vector<std::uint32_t> candidates = MaybeSources(node);
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  // What was put once, or sealed, may be gone.
  std::erase_if(candidates, [&](std::uint32_t source) {
    const EdgeSpan span = Out(source);
    for (std::uint32_t i = 0; i < span.size; i = span.EndOfType(i)) {
      if (span.Find(span.type(i), node) < span.size) return false;
    }
    return true;
  });
  return candidates;
}

std::size_t EdgeGraph::MostSources(std::uint32_t node) const {
  const EdgeRun* run = base_->Find(node);
  std::vector<std::uint32_t> added;
  overlay_->AppendAdded(node, &added);
  return (run == nullptr ? 0 : run->Sources(node).size()) + added.size();
}

absl::StatusOr<std::shared_ptr<const EdgeGraph>> EdgeGraphs::Get(
    std::shared_ptr<const MappedEdges> base, const EdgeLogView& log, bool verify) {
  ENGRAM_RETURN_IF_ERROR(base->Check(verify));
  Kept made = Nearest(base, log);
  if (made.end < log.end() || made.overlay == nullptr) {
    const auto overlay = made.overlay != nullptr ? std::make_shared<EdgeOverlay>(*made.overlay)
                                                 : std::make_shared<EdgeOverlay>();
    if (made.overlay == nullptr) overlay->edges = base->catalog().edges();
    Applier applier(*base, *overlay, total_);
    for (std::uint64_t i = made.end; i < log.end(); ++i) applier.Apply(log.event(i));
    applier.Finish();
    applied_.fetch_add(log.end() - made.end, std::memory_order_relaxed);
    made.overlay = overlay;
    made.end = log.end();
  }
  Keep(made);
  return std::make_shared<const EdgeGraph>(std::move(made.base), std::move(made.overlay));
}

// Returns: the kept overlay that lacks the fewest events of `log`; without one, a null that
// lacks them all.
EdgeGraphs::Kept EdgeGraphs::Nearest(const std::shared_ptr<const MappedEdges>& base,
                                     const EdgeLogView& log) {
  Kept nearest{.base = base, .overlay = nullptr, .end = log.first()};
  absl::MutexLock lock(&mutex_);
  for (const Kept& kept : kept_) {
    if (kept.base != base || kept.end > log.end()) continue;
    if (nearest.overlay == nullptr || kept.end > nearest.end) nearest = kept;
  }
  return nearest;
}

void EdgeGraphs::Keep(const Kept& made) {
  std::vector<Kept> dropped;  // freed when nobody waits for it
  absl::MutexLock lock(&mutex_);
  const std::uint64_t sealed = made.base->catalog().next_event;
  if (sealed < sealed_) return;
  if (sealed > sealed_) dropped.swap(kept_);
  sealed_ = sealed;
  std::uint64_t newest = made.end;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    newest = std::max(newest, kept_[i].end);
    if (kept_[i].end != made.end) continue;
    dropped.push_back(std::move(kept_[i]));
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(i--));
  }
  kept_.insert(kept_.begin(), made);
  if (kept_.size() <= kMostKept) return;
  const auto last = kept_.back().end == newest ? kept_.end() - 2 : kept_.end() - 1;
  dropped.push_back(std::move(*last));
  kept_.erase(last);
}

void EdgeGraphs::Clear(std::uint64_t sealed) {
  std::vector<Kept> dropped;
  absl::MutexLock lock(&mutex_);
  dropped.swap(kept_);
  sealed_ = sealed;
}

}  // namespace engram::storage

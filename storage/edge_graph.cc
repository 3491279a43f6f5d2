#include "storage/edge_graph.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/base/status.h"

namespace engram::storage {
namespace {

// What a run of events does to the edges out of one node, in their order.
struct Delta {
  struct Step {
    EdgeEvent::Kind kind;  // kForget: nothing of before leads to `target`
    std::uint32_t target, type;
    float weight;
  };
  bool cleared = false;  // nothing of before is left
  std::vector<Step> steps;
};

EdgeSpan BaseSpan(const MappedEdges& base, std::uint32_t node) {
  const EdgeRun* run = base.Find(node);
  return run == nullptr ? EdgeSpan{} : run->Out(node);
}

// What is left to say of one target when all steps are done.
struct Outcome {
  bool forgotten = false;  // edges of before are gone, but for `types`
  std::vector<std::pair<std::uint32_t, std::optional<float>>> types;  // nullopt: no such edge

  void Set(std::uint32_t type, std::optional<float> weight) {
    for (auto& [known, value] : types) {
      if (known != type) continue;
      value = weight;
      return;
    }
    types.emplace_back(type, weight);
  }
  bool Hides(std::uint32_t type) const {
    return forgotten || std::any_of(types.begin(), types.end(),
                                    [&](const auto& known) { return known.first == type; });
  }
};

// `steps` are the node's, by target and then in their order.
absl::flat_hash_map<std::uint32_t, Outcome> OutcomesOf(const std::vector<Delta::Step>& steps) {
  absl::flat_hash_map<std::uint32_t, Outcome> outcomes;
  for (const Delta::Step& step : steps) {
    Outcome& outcome = outcomes[step.target];
    if (step.kind == EdgeEvent::Kind::kForget) {
      outcome = {.forgotten = true, .types = {}};
    } else if (step.kind == EdgeEvent::Kind::kPut) {
      outcome.Set(step.type, step.weight);
    } else {
      outcome.Set(step.type, std::nullopt);
    }
  }
  return outcomes;
}

bool Before(const OutEdge& a, const OutEdge& b) {
  return std::pair(a.type, a.target) < std::pair(b.type, b.target);
}

std::shared_ptr<const NodeEdges> Merge(const EdgeSpan& before, const Delta& delta) {
  const auto outcomes = OutcomesOf(delta.steps);
  std::vector<OutEdge> fresh;
  for (const auto& [target, outcome] : outcomes) {
    for (const auto& [type, weight] : outcome.types) {
      if (weight.has_value()) fresh.push_back({type, target, *weight});
    }
  }
  std::sort(fresh.begin(), fresh.end(), Before);
  std::vector<OutEdge> kept;
  kept.reserve(before.size);
  for (std::uint32_t i = 0; i < (delta.cleared ? 0 : before.size); ++i) {
    const OutEdge edge{before.type(i), before.targets[i], before.weights[i]};
    const auto found = outcomes.find(edge.target);
    if (found == outcomes.end() || !found->second.Hides(edge.type)) kept.push_back(edge);
  }
  std::vector<OutEdge> all(kept.size() + fresh.size());
  std::merge(kept.begin(), kept.end(), fresh.begin(), fresh.end(), all.begin(), Before);
  return std::make_shared<const NodeEdges>(all);
}

class Applier {
 public:
  Applier(const MappedEdges& base, EdgeOverlay& overlay) : base_(base), overlay_(overlay) {}

  void Apply(const EdgeEvent& event) {
    if (event.kind == EdgeEvent::Kind::kForget) return Forget(event.from);
    deltas_[event.from].steps.push_back({event.kind, event.to, event.type, event.weight});
    if (event.kind == EdgeEvent::Kind::kPut) {
      std::vector<std::uint32_t>& sources = overlay_.sources[event.to];
      if (sources.empty() || sources.back() != event.from) sources.push_back(event.from);
    }
  }

  void Finish() {
    for (const auto& [node, delta] : deltas_) {
      auto& list = overlay_.lists[node];
      const EdgeSpan before = list == nullptr ? BaseSpan(base_, node) : list->span();
      auto merged = Merge(before, delta);
      overlay_.edges = overlay_.edges - before.size + merged->span().size;
      list = std::move(merged);
    }
  }

 private:
  void Forget(std::uint32_t node) {
    deltas_[node] = {.cleared = true, .steps = {}};
    const auto forget_in = [&](std::uint32_t source) {
      deltas_[source].steps.push_back({EdgeEvent::Kind::kForget, node, 0, 0.0f});
    };
    if (const EdgeRun* run = base_.Find(node); run != nullptr) {
      for (const std::uint32_t source : run->Sources(node)) forget_in(source);
    }
    const auto found = overlay_.sources.find(node);
    if (found == overlay_.sources.end()) return;
    for (const std::uint32_t source : found->second) forget_in(source);
    overlay_.sources.erase(found);
  }

  const MappedEdges& base_;
  EdgeOverlay& overlay_;
  absl::flat_hash_map<std::uint32_t, Delta> deltas_;
};

}  // namespace

NodeEdges::NodeEdges(const std::vector<OutEdge>& edges)
    : targets_and_types_(new std::uint32_t[2 * edges.size()]), weights_(new float[edges.size()]) {
  std::uint32_t* types = targets_and_types_.get() + edges.size();
  for (std::size_t i = 0; i < edges.size(); ++i) {
    targets_and_types_[i] = edges[i].target;
    types[i] = edges[i].type;
    weights_[i] = edges[i].weight;
  }
  span_ = {.targets = targets_and_types_.get(),
           .weights = weights_.get(),
           .types = types,
           .type_bytes = sizeof(std::uint32_t),
           .size = static_cast<std::uint32_t>(edges.size()),
           .sum = SumOfWeights({weights_.get(), edges.size()})};
}

EdgeSpan EdgeGraph::Out(std::uint32_t node) const {
  const auto changed = overlay_->lists.find(node);
  if (changed != overlay_->lists.end()) return changed->second->span();
  return BaseSpan(*base_, node);
}

std::vector<std::uint32_t> EdgeGraph::MaybeSources(std::uint32_t node) const {
  std::vector<std::uint32_t> candidates;
  if (const EdgeRun* run = base_->Find(node); run != nullptr) {
    const auto sealed = run->Sources(node);
    candidates.assign(sealed.begin(), sealed.end());
  }
  const auto added = overlay_->sources.find(node);
  if (added != overlay_->sources.end()) {
    candidates.insert(candidates.end(), added->second.begin(), added->second.end());
  }
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
  const auto added = overlay_->sources.find(node);
  return (run == nullptr ? 0 : run->Sources(node).size()) +
         (added == overlay_->sources.end() ? 0 : added->second.size());
}

absl::StatusOr<std::shared_ptr<const EdgeGraph>> EdgeGraphs::Get(
    std::shared_ptr<const MappedEdges> base, const EdgeLogView& log, bool verify) {
  ENGRAM_RETURN_IF_ERROR(base->Check(verify));
  absl::MutexLock lock(&mutex_);
  const bool same = base_ == base;
  const bool older = base_ != nullptr && end_ > log.end();
  std::shared_ptr<EdgeOverlay> overlay;
  std::uint64_t from = log.first();
  if (same && !older) {
    const bool free = overlay_->graphs.load(std::memory_order_acquire) == 0;
    overlay = free || end_ == log.end() ? overlay_ : std::make_shared<EdgeOverlay>(*overlay_);
    from = end_;
  } else {
    overlay = std::make_shared<EdgeOverlay>();
    overlay->edges = base->catalog().edges();
  }
  if (from < log.end()) {
    Applier applier(*base, *overlay);
    for (std::uint64_t i = from; i < log.end(); ++i) applier.Apply(log.event(i));
    applier.Finish();
  }
  // Of two bases with as many events in all, the one that is sealed further stays.
  const bool behind = !same && base_ != nullptr && base->catalog().next_event < base_next_;
  if (!older && !behind) {
    base_next_ = base->catalog().next_event;
    base_ = base;
    overlay_ = overlay;
    end_ = log.end();
  }
  return std::make_shared<const EdgeGraph>(std::move(base), std::move(overlay));
}

void EdgeGraphs::Clear() {
  absl::MutexLock lock(&mutex_);
  base_.reset();
  overlay_.reset();
  end_ = base_next_ = 0;
}

}  // namespace engram::storage

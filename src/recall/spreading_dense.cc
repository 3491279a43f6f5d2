// The steps of a spreading that are taken over all nodes in their order: edges are
// read as they lie, and loops over whole arrays take the place of lists.
#include <algorithm>
#include <cmath>
#include <limits>

#include "recall/kernel_edges.h"
#include "recall/spreading.h"

namespace engram::recall {

using storage::EdgeRun;
using storage::EdgeSpan;

namespace {

struct Chosen {
  std::uint64_t nodes = 0, edges = 0;
};

// Sets what each of `count` nodes passes on; `divisor` tells by its edges and their sum.
template <typename Divisor>
Chosen SetPassedOf(const EdgeRun& run, const float* activation, float threshold, float damping,
                   float* passed, Divisor divisor) {
  Chosen chosen;
  for (std::uint32_t i = 0; i < run.block.nodes; ++i) {
    const std::uint32_t size = run.offsets[i + 1] - run.offsets[i];
    const float by = divisor(size, run.sums[i]);
    const bool active = activation[i] > 0.0f && activation[i] >= threshold;
    const float share = damping * activation[i] / by;
    passed[i] = active && by > 0.0f ? Finite(share) : 0.0f;
    chosen.nodes += active ? 1 : 0;
    chosen.edges += active && by > 0.0f ? size : 0;
  }
  return chosen;
}

}  // namespace

// Returns: false when more than max_active are active, and lists are needed to choose.
bool Spreading::ChooseAmongAll() {
  SpreadArrays& a = *arrays_;
  const float damping = options_.restart > 0.0f ? 1.0f - options_.restart : options_.hop_decay;
  const float threshold = options_.threshold;
  Chosen all;
  const auto add = [&](const Chosen& chosen) {
    all.nodes += chosen.nodes;
    all.edges += chosen.edges;
  };
  for (const EdgeRun& run : graph_.base().runs()) {
    const float* activation = a.activation.data() + run.block.first_node;
    float* passed = a.passed.data() + run.block.first_node;
    switch (options_.normalisation) {
      case Normalisation::kOutWeightSum:
        add(SetPassedOf(run, activation, threshold, damping, passed,
                        [](std::uint32_t, float sum) { return sum; }));
        break;
      case Normalisation::kSqrtDegree:
        add(SetPassedOf(run, activation, threshold, damping, passed, [](std::uint32_t size, float) {
          return std::sqrt(static_cast<float>(size));
        }));
        break;
      case Normalisation::kNone:
        add(SetPassedOf(run, activation, threshold, damping, passed,
                        [](std::uint32_t size, float) { return size > 0 ? 1.0f : 0.0f; }));
        break;
    }
  }
  for (std::uint32_t node = static_cast<std::uint32_t>(graph_.base().nodes()); node < nodes_;
       ++node) {
    a.passed[node] = 0.0f;  // without edges, or overlaid
    all.nodes += a.activation[node] > 0.0f && a.activation[node] >= threshold ? 1 : 0;
  }
  FindOverlaid();
  for (const std::uint32_t node : overlaid_) {
    const EdgeRun* run = graph_.base().Find(node);
    const bool active = a.activation[node] > 0.0f && a.activation[node] >= threshold;
    if (active && run != nullptr) {
      const Fan sealed = WantedFan(run->Out(node));
      if (Divisor(sealed) > 0.0f) all.edges -= sealed.edges;
    }
    const Fan fan = WantedFan(graph_.Out(node));
    const float divisor = Divisor(fan);
    const bool passes = active && divisor > 0.0f;
    if (passes) all.edges += fan.edges;
    a.passed[node] = passes ? Finite(damping * a.activation[node] / divisor) : 0.0f;
  }
  active_edges_ = all.edges;
  active_nodes_ = all.nodes;
  if (all.nodes > options_.max_active) return false;
  for (std::uint32_t node = 0; options_.explain && node < nodes_; ++node) NotePassed(node);
  return true;
}

void Spreading::TakeDenseStep(std::uint32_t step) {
  SpreadArrays& a = *arrays_;
  if (everywhere_) std::fill_n(a.next.begin(), nodes_, 0.0f);
  const std::size_t seeds = TouchSeeds();
  for (std::size_t i = 0; i < seeds; ++i) a.seen[a.next_touched[i]] = 0;
  PassFromAll();
  a.activation.swap(a.next);
  a.touched.clear();
  a.active.clear();
  everywhere_ = true;
  NoteReached(step);
  if (options_.restart > 0.0f) return;
  const float most = *std::max_element(a.activation.begin(), a.activation.begin() + nodes_);
  if (!(most > 1.0f)) return;
  for (std::uint32_t node = 0; node < nodes_; ++node) a.activation[node] /= most;
}

void Spreading::FindOverlaid() {
  const auto& lists = graph_.overlay().lists;
  if (overlaid_.size() == lists.size()) return;
  lists.ForEachNode([this](std::uint32_t node) { overlaid_.push_back(node); });
  std::sort(overlaid_.begin(), overlaid_.end());
}

void Spreading::PassFromAll() {
  SpreadArrays& a = *arrays_;
  FindOverlaid();
  absl::Span<const std::uint32_t> overlaid = overlaid_;
  for (const EdgeRun& run : graph_.base().runs()) {
    std::size_t inside = 0;
    while (inside < overlaid.size() && run.Holds(overlaid[inside])) ++inside;
    PassFromRun(run, overlaid.subspan(0, inside));
    overlaid.remove_prefix(inside);
  }
  for (const std::uint32_t node : overlaid) {
    const EdgeSpan edges = graph_.Out(node);
    const OneNode one(edges, 0, edges.size, node);
    kernels_.push(&one.edges, a.passed.data(), a.next.data());
  }
}

void Spreading::PassFromRun(const EdgeRun& run, absl::Span<const std::uint32_t> overlaid) {
  SpreadArrays& a = *arrays_;
  const engram_edges all = EdgesOf(run);
  std::uint32_t begin = 0;
  const auto pass_until = [&](std::uint32_t end) {
    const engram_edges part = {all.offsets + begin, all.targets, all.weights,
                               all.first_node + begin, end - begin};
    if (end > begin) kernels_.push(&part, a.passed.data(), a.next.data());
  };
  for (const std::uint32_t node : overlaid) {
    pass_until(node - all.first_node);
    const EdgeSpan edges = graph_.Out(node);
    const OneNode one(edges, 0, edges.size, node);
    kernels_.push(&one.edges, a.passed.data(), a.next.data());
    begin = node - all.first_node + 1;
  }
  pass_until(all.count);
}

void Spreading::NoteReached(std::uint32_t step) {
  SpreadArrays& a = *arrays_;
  constexpr std::uint32_t kTogether = 64;
  constexpr float kMost = std::numeric_limits<float>::max();
  int endless = 0;
  for (std::uint32_t begin = 0; begin < nodes_; begin += kTogether) {
    const std::uint32_t end = std::min(begin + kTogether, nodes_);
    int fresh = 0;  // most have been reached, or never are
    for (std::uint32_t node = begin; node < end; ++node) {
      fresh |= static_cast<int>(a.hops[node] == SpreadArrays::kNotReached) &
               static_cast<int>(a.activation[node] > 0.0f);
      endless |= static_cast<int>(a.activation[node] > kMost);
    }
    for (std::uint32_t node = begin; fresh != 0 && node < end; ++node) {
      if (a.hops[node] != SpreadArrays::kNotReached || !(a.activation[node] > 0.0f)) continue;
      a.hops[node] = static_cast<std::uint16_t>(step);
      a.reached.push_back(node);
    }
  }
  if (endless == 0) return;
  for (std::uint32_t node = 0; node < nodes_; ++node)
    a.activation[node] = Finite(a.activation[node]);
}

void Spreading::BecomeSparse() {
  SpreadArrays& a = *arrays_;
  std::fill_n(a.next.begin(), nodes_, 0.0f);
  for (std::uint32_t node = 0; node < nodes_; ++node) {
    if (a.activation[node] != 0.0f) a.touched.push_back(node);
    if (a.passed[node] != 0.0f) a.active.push_back(node);
  }
  everywhere_ = false;
}

}  // namespace engram::recall

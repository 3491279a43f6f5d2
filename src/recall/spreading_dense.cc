// The steps of a spreading that are taken over all nodes in their order: edges are
// read as they lie, and loops over whole arrays take the place of lists.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "recall/kernel_edges.h"
#include "recall/spreading.h"

namespace engram::recall {

using storage::EdgeRun;
using storage::EdgeSpan;

namespace {

// So many nodes are looked at together, that each pass over them finds in the first cache what
// the one before has read.
constexpr std::uint32_t kTogether = 1024;

constexpr float kMost = std::numeric_limits<float>::max();

std::int32_t BitsOf(float value) { return std::bit_cast<std::int32_t>(value); }

struct Chosen {
  std::uint64_t nodes = 0, edges = 0;
};

// Sets what nodes [begin, end) of a run pass on; `divisor` tells by its edges and their sum.
// Arrays begin with the run's first node.
template <typename Divisor>
void SetPassedOf(const EdgeRun& run, std::uint32_t begin, std::uint32_t end,
                 const float* activation, float threshold, float damping, float* passed,
                 Chosen& chosen, Divisor divisor) {
  const std::uint32_t* offsets = run.offsets;
  const float* sums = run.sums;
  // Numbers that are not negative are in the order of their bits: as whole numbers they are
  // compared without a jump. What is kept is as wide: a block has less than 2^32 edges.
  const std::int32_t least = std::max(BitsOf(threshold), 1);
  std::uint32_t nodes = 0, edges = 0;
  for (std::uint32_t i = begin; i < end; ++i) {
    const std::uint32_t size = offsets[i + 1] - offsets[i];
    const float by = divisor(size, sums[i]);
    const std::uint32_t active = BitsOf(activation[i]) >= least ? ~0U : 0U;
    const std::uint32_t passes = active & (BitsOf(by) > 0 ? ~0U : 0U);
    const std::int32_t share = std::min(BitsOf(damping * activation[i] / by), BitsOf(kMost));
    passed[i] = std::bit_cast<float>(static_cast<std::uint32_t>(share) & passes);
    nodes += active & 1U;
    edges += size & passes;
  }
  chosen.nodes += nodes;
  chosen.edges += edges;
}

}  // namespace

// Returns: false when more than max_active are active, and lists are needed to choose.
bool Spreading::ChooseAmongAll() {
  SpreadArrays& a = *arrays_;
  const float damping = options_.restart > 0.0f ? 1.0f - options_.restart : options_.hop_decay;
  const float threshold = options_.threshold;
  Chosen all;
  for (const EdgeRun& run : graph_.base().runs()) {
    const std::uint32_t first = run.block.first_node;
    const float* activation = a.activation.data() + first;
    float* passed = a.passed.data() + first;
    const auto set = [&](std::uint32_t begin, std::uint32_t end, auto divisor) {
      SetPassedOf(run, begin, end, activation, threshold, damping, passed, all, divisor);
    };
    for (std::uint32_t begin = 0; begin < run.block.nodes; begin += kTogether) {
      const std::uint32_t end = begin + std::min(kTogether, run.block.nodes - begin);
      NoteReached(first + begin, first + end);
      switch (options_.normalisation) {
        case Normalisation::kOutWeightSum:
          set(begin, end, [](std::uint32_t, float sum) { return sum; });
          break;
        case Normalisation::kSqrtDegree:
          set(begin, end,
              [](std::uint32_t size, float) { return std::sqrt(static_cast<float>(size)); });
          break;
        case Normalisation::kNone:
          set(begin, end, [](std::uint32_t size, float) { return size > 0 ? 1.0f : 0.0f; });
          break;
      }
      std::fill(a.next.begin() + first + begin, a.next.begin() + first + end, 0.0f);
    }
  }
  const auto sealed = static_cast<std::uint32_t>(graph_.base().nodes());
  NoteReached(sealed, nodes_);
  for (std::uint32_t node = sealed; node < nodes_; ++node) {
    a.passed[node] = a.next[node] = 0.0f;  // without edges, or overlaid
    all.nodes += a.activation[node] > 0.0f && a.activation[node] >= threshold ? 1 : 0;
  }
  noted_ = true;
  ChooseOverlaid(damping, &all.edges);
  active_edges_ = all.edges;
  active_nodes_ = all.nodes;
  if (all.nodes > options_.max_active) return false;
  for (std::uint32_t node = 0; options_.explain && node < nodes_; ++node) NotePassed(node);
  return true;
}

// Nodes whose edges are not those that are sealed.
void Spreading::ChooseOverlaid(float damping, std::uint64_t* edges) {
  SpreadArrays& a = *arrays_;
  FindOverlaid();
  for (const std::uint32_t node : overlaid_) {
    const EdgeRun* run = graph_.base().Find(node);
    const bool active = a.activation[node] > 0.0f && a.activation[node] >= options_.threshold;
    if (active && run != nullptr) {
      const Fan sealed = WantedFan(run->Out(node));
      if (Divisor(sealed) > 0.0f) *edges -= sealed.edges;
    }
    const Fan fan = WantedFan(graph_.Out(node));
    const float divisor = Divisor(fan);
    const bool passes = active && divisor > 0.0f;
    if (passes) *edges += fan.edges;
    a.passed[node] = passes ? Finite(damping * a.activation[node] / divisor) : 0.0f;
  }
}

void Spreading::TakeDenseStep(std::uint32_t step) {
  SpreadArrays& a = *arrays_;
  // Where this is not the first such step, ChooseAmongAll() has cleared `next`.
  const std::size_t seeds = TouchSeeds();
  for (std::size_t i = 0; i < seeds; ++i) a.seen[a.next_touched[i]] = 0;
  PassFromAll();
  a.activation.swap(a.next);
  a.touched.clear();
  a.active.clear();
  everywhere_ = true;
  noted_ = false;
  arrived_ = step;
  if (options_.restart > 0.0f) return;
  NoteReached(0, nodes_);
  noted_ = true;
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

// What the last dense step brought to nodes [begin, end) is made finite, and who got some for
// the first time has hops: with the next look at them, or when there is none.
void Spreading::NoteReached(std::uint32_t begin, std::uint32_t end) {
  if (noted_) return;
  SpreadArrays& a = *arrays_;
  constexpr std::uint32_t kFew = 64;
  for (; begin < end; begin += std::min(kFew, end - begin)) {
    const std::uint32_t until = begin + std::min(kFew, end - begin);
    int fresh = 0, endless = 0;  // most have been reached, or never are
    for (std::uint32_t node = begin; node < until; ++node) {
      fresh |= static_cast<int>(a.hops[node] == SpreadArrays::kNotReached) &
               static_cast<int>(BitsOf(a.activation[node]) > 0);
      endless |= static_cast<int>(BitsOf(a.activation[node]) > BitsOf(kMost));
    }
    for (std::uint32_t node = begin; (fresh | endless) != 0 && node < until; ++node) {
      a.activation[node] = Finite(a.activation[node]);
      if (a.hops[node] != SpreadArrays::kNotReached || !(a.activation[node] > 0.0f)) continue;
      a.hops[node] = static_cast<std::uint16_t>(arrived_);
      a.reached.push_back(node);
    }
  }
}

void Spreading::BecomeSparse() {
  SpreadArrays& a = *arrays_;
  NoteReached(0, nodes_);
  noted_ = true;
  std::fill_n(a.next.begin(), nodes_, 0.0f);
  for (std::uint32_t node = 0; node < nodes_; ++node) {
    if (a.activation[node] != 0.0f) a.touched.push_back(node);
    if (a.passed[node] != 0.0f) a.active.push_back(node);
  }
  everywhere_ = false;
}

}  // namespace engram::recall

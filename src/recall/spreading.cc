#include "recall/spreading.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "recall/kernel_edges.h"

namespace engram::recall {

using storage::EdgeRun;
using storage::EdgeSpan;

namespace {

// From this share of all edges on a step over all nodes in their order is taken: it
// looks at every node, and then reads the edges as they lie.
constexpr std::uint64_t kDenseShare = 4;

// What counts for the way to a node where nothing is left of it.
constexpr float kLeastActivation = 1e-30f;

// A seed among others that have 10^38 times as much would be nothing in f32, and the memory
// that was asked about not in the answer.
float ShareOfSeed(double share) {
  return static_cast<float>(std::max<double>(share, std::numeric_limits<float>::min()));
}

}  // namespace

void SpreadArrays::Grow(std::size_t nodes) {
  if (activation.size() >= nodes) return;
  activation.resize(nodes, 0.0f);
  next.resize(nodes, 0.0f);
  passed.resize(nodes, 0.0f);
  seen.resize(nodes, 0);
  hops.resize(nodes, kNotReached);
  first_passed.resize(nodes, kNotReached);
  next_touched.resize(nodes + 1);
}

void SpreadArrays::Clean() {
  for (const std::uint32_t node : active) passed[node] = 0.0f;
  for (const std::uint32_t node : touched) activation[node] = 0.0f;
  for (const std::uint32_t node : reached) hops[node] = first_passed[node] = kNotReached;
  active.clear();
  touched.clear();
  reached.clear();
}

std::uint64_t SpreadArrays::HeapBytes() const {
  const auto bytes = [](const auto& array) { return array.capacity() * sizeof(array[0]); };
  return bytes(activation) + bytes(next) + bytes(passed) + bytes(seen) + bytes(hops) +
         bytes(first_passed) + bytes(touched) + bytes(next_touched) + bytes(active) +
         bytes(reached);
}

std::unique_ptr<SpreadArrays> SpreadArraysPool::Take(std::size_t nodes) {
  std::unique_ptr<SpreadArrays> arrays;
  {
    absl::MutexLock lock(&mutex_);
    if (!free_.empty()) {
      arrays = std::move(free_.back());
      free_.pop_back();
      free_bytes_ -= arrays->counted_bytes;
    }
  }
  if (arrays == nullptr) arrays = std::make_unique<SpreadArrays>();
  arrays->Grow(nodes);
  arrays->counted_bytes = arrays->HeapBytes();
  absl::MutexLock lock(&mutex_);
  taken_bytes_ += arrays->counted_bytes;
  return arrays;
}

void SpreadArraysPool::Give(std::unique_ptr<SpreadArrays> arrays) {
  const std::uint64_t bytes = arrays->HeapBytes();  // lists may have grown
  absl::MutexLock lock(&mutex_);
  taken_bytes_ -= arrays->counted_bytes;
  if (!free_.empty() && free_bytes_ + bytes > most_bytes_) return;
  arrays->counted_bytes = bytes;
  free_bytes_ += bytes;
  free_.push_back(std::move(arrays));
}

std::uint64_t SpreadArraysPool::heap_bytes() const {
  absl::MutexLock lock(&mutex_);
  return free_bytes_ + taken_bytes_;
}

Spreading::Spreading(const storage::EdgeGraph& graph, const engram_kernels& kernels,
                     const SpreadOptions& options, std::uint32_t nodes, SpreadArraysPool& pool)
    : graph_(graph),
      kernels_(kernels),
      options_(options),
      nodes_(nodes),
      pool_(pool),
      arrays_(pool.Take(nodes)) {}

Spreading::~Spreading() {
  arrays_->Clean();
  pool_.Give(std::move(arrays_));
}

void Spreading::Run(absl::Span<const NodeSeed> seeds, const Deadline& deadline) {
  Seed(seeds);
  for (std::uint32_t step = 1; step <= options_.max_hops && !restart_.empty(); ++step) {
    if (deadline.has_value() && std::chrono::steady_clock::now() >= *deadline) {
      info_.truncated = true;
      break;
    }
    step_ = step;
    ChooseActive();
    const bool silent = active_nodes_ == 0;
    TakeStep(step);
    if (silent) break;  // every further step would give the same again
  }
  if (everywhere_) BecomeSparse();
  // What is zero is clean already.
  std::erase_if(arrays_->touched,
                [this](std::uint32_t node) { return !(activation(node) > 0.0f); });
  info_.memories = arrays_->touched.size();
}

void Spreading::Seed(absl::Span<const NodeSeed> seeds) {
  restart_.assign(seeds.begin(), seeds.end());
  std::sort(restart_.begin(), restart_.end(), [](const NodeSeed& a, const NodeSeed& b) {
    return std::pair(a.node, a.activation) < std::pair(b.node, b.activation);
  });
  std::size_t kept = 0;
  for (const NodeSeed& seed : restart_) {
    if (kept > 0 && restart_[kept - 1].node == seed.node) {
      restart_[kept - 1].activation += seed.activation;
    } else {
      restart_[kept++] = seed;
    }
  }
  restart_.resize(kept);
  std::erase_if(restart_, [](const NodeSeed& seed) { return !(seed.activation > 0.0); });
  double sum = 0.0;
  for (const NodeSeed& seed : restart_) sum += seed.activation;
  SpreadArrays& a = *arrays_;
  for (NodeSeed& seed : restart_) {
    seed.activation /= sum;
    a.activation[seed.node] = ShareOfSeed(seed.activation);
    a.hops[seed.node] = 0;
    a.touched.push_back(seed.node);
    a.reached.push_back(seed.node);
  }
}

void Spreading::ChooseActive() {
  if (everywhere_) {
    if (ChooseAmongAll()) return;
    BecomeSparse();
  }
  SpreadArrays& a = *arrays_;
  for (const std::uint32_t node : a.active) a.passed[node] = 0.0f;
  a.active.clear();
  for (const std::uint32_t node : a.touched) {
    const float activation = a.activation[node];
    if (activation > 0.0f && activation >= options_.threshold) a.active.push_back(node);
  }
  if (a.active.size() > options_.max_active) CutActive();
  active_nodes_ = a.active.size();
  SetPassed();
}

void Spreading::CutActive() {
  SpreadArrays& a = *arrays_;
  info_.truncated = true;
  const auto end = a.active.begin() + options_.max_active;
  std::nth_element(a.active.begin(), end, a.active.end(), [&](std::uint32_t x, std::uint32_t y) {
    return a.activation[x] > a.activation[y] || (a.activation[x] == a.activation[y] && x < y);
  });
  a.active.erase(end, a.active.end());
  // What nth_element leaves is in no order that all libraries share.
  std::sort(a.active.begin(), a.active.end());
}

void Spreading::SetPassed() {
  SpreadArrays& a = *arrays_;
  const float damping = options_.restart > 0.0f ? 1.0f - options_.restart : options_.hop_decay;
  active_edges_ = 0;
  const EdgeRun* run = nullptr;
  for (const std::uint32_t node : a.active) {
    const Fan fan = FanOf(node, &run);
    const float divisor = Divisor(fan);
    if (!(divisor > 0.0f)) continue;
    a.passed[node] = Finite(damping * a.activation[node] / divisor);
    active_edges_ += fan.edges;
    NotePassed(node);
  }
}

void Spreading::TakeStep(std::uint32_t step) {
  info_.edges_followed += active_edges_;
  info_.steps = step;
  if (options_.edge_types.empty() && active_edges_ * kDenseShare > graph_.edges()) {
    return TakeDenseStep(step);
  }
  if (everywhere_) {
    BecomeSparse();
    ChooseActive();
  }
  BecomeCurrent(PassFromActive(TouchSeeds()), step);
}

std::size_t Spreading::TouchSeeds() {
  SpreadArrays& a = *arrays_;
  const double share = options_.restart > 0.0f ? double{options_.restart} : 1.0;
  std::size_t touched = 0;
  for (const NodeSeed& seed : restart_) {
    a.next[seed.node] = ShareOfSeed(share * seed.activation);
    a.seen[seed.node] = 1;
    a.next_touched[touched++] = seed.node;
  }
  return touched;
}

std::size_t Spreading::PassFromActive(std::size_t touched) {
  SpreadArrays& a = *arrays_;
  const bool typed = !options_.edge_types.empty();
  for (std::size_t begin = 0; begin < a.active.size();) {
    const std::uint32_t first = a.active[begin];
    if (typed || IsOverlaid(first)) {
      touched = PassAlong(graph_.Out(first), first, touched);
      ++begin;
      continue;
    }
    const EdgeRun* run = graph_.base().Find(first);
    std::size_t end = begin + 1;
    const auto goes_on = [&] {
      const std::uint32_t node = a.active[end];
      return run == nullptr ? graph_.base().Find(node) == nullptr : run->Holds(node);
    };
    while (end < a.active.size() && !IsOverlaid(a.active[end]) && goes_on()) ++end;
    if (run != nullptr) {
      const engram_edges edges = EdgesOf(*run);
      touched = kernels_.frontier(&edges, a.active.data() + begin, end - begin, a.passed.data(),
                                  a.next.data(), a.seen.data(), a.next_touched.data(), touched);
    }
    begin = end;
  }
  return touched;
}

std::size_t Spreading::PassAlong(const EdgeSpan& edges, std::uint32_t node, std::size_t touched) {
  SpreadArrays& a = *arrays_;
  const bool typed = !options_.edge_types.empty();
  for (std::uint32_t begin = 0; begin < edges.size;) {
    const std::uint32_t end = typed ? edges.EndOfType(begin) : edges.size;
    if (!typed || IsWanted(edges.type(begin))) {
      const OneNode one(edges, begin, end, node);
      touched = kernels_.frontier(&one.edges, &node, 1, a.passed.data(), a.next.data(),
                                  a.seen.data(), a.next_touched.data(), touched);
    }
    begin = end;
  }
  return touched;
}

void Spreading::BecomeCurrent(std::size_t touched, std::uint32_t step) {
  SpreadArrays& a = *arrays_;
  for (const std::uint32_t node : a.touched) a.activation[node] = 0.0f;
  a.activation.swap(a.next);
  a.touched.assign(a.next_touched.begin(),
                   a.next_touched.begin() + static_cast<std::ptrdiff_t>(touched));
  float most = 0.0f;
  for (const std::uint32_t node : a.touched) {
    a.seen[node] = 0;
    a.activation[node] = Finite(a.activation[node]);
    most = std::max(most, a.activation[node]);
    if (a.hops[node] != SpreadArrays::kNotReached || !(a.activation[node] > 0.0f)) continue;
    a.hops[node] = static_cast<std::uint16_t>(step);
    a.reached.push_back(node);
  }
  if (options_.restart > 0.0f || !(most > 1.0f)) return;
  for (const std::uint32_t node : a.touched) a.activation[node] /= most;
}

void Spreading::NotePassed(std::uint32_t node) {
  if (!options_.explain || !(arrays_->passed[node] > 0.0f)) return;
  std::uint16_t& first = arrays_->first_passed[node];
  if (first == SpreadArrays::kNotReached) first = static_cast<std::uint16_t>(step_);
}

bool Spreading::IsOverlaid(std::uint32_t node) const {
  const auto& lists = graph_.overlay().lists;
  return !lists.empty() && lists.contains(node);
}

bool Spreading::IsWanted(std::uint32_t type) const {
  const auto& types = options_.edge_types;
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

Spreading::Fan Spreading::FanOf(std::uint32_t node, const EdgeRun** run) const {
  if (IsOverlaid(node) || !options_.edge_types.empty()) return WantedFan(graph_.Out(node));
  if (*run == nullptr || !(*run)->Holds(node)) *run = graph_.base().Find(node);
  if (*run == nullptr) return {};
  const std::uint32_t i = node - (*run)->block.first_node;
  return {.edges = (*run)->offsets[i + 1] - (*run)->offsets[i], .sum = (*run)->sums[i]};
}

Spreading::Fan Spreading::WantedFan(const EdgeSpan& edges) const {
  if (options_.edge_types.empty()) return {.edges = edges.size, .sum = edges.sum};
  Fan fan;
  double sum = 0.0;
  for (std::uint32_t begin = 0; begin < edges.size;) {
    const std::uint32_t end = edges.EndOfType(begin);
    if (IsWanted(edges.type(begin))) {
      fan.edges += end - begin;
      for (std::uint32_t i = begin; i < end; ++i) sum += edges.weights[i];
    }
    begin = end;
  }
  fan.sum = static_cast<float>(std::min<double>(sum, std::numeric_limits<float>::max()));
  return fan;
}

float Spreading::Divisor(const Fan& fan) const {
  if (fan.edges == 0) return 0.0f;
  switch (options_.normalisation) {
    case Normalisation::kNone: return 1.0f;
    case Normalisation::kOutWeightSum: return fan.sum;
    case Normalisation::kSqrtDegree: return std::sqrt(static_cast<float>(fan.edges));
  }
  return 0.0f;
}

std::uint32_t Spreading::hops(std::uint32_t node) const {
  const std::uint16_t hops = arrays_->hops[node];
  return hops == SpreadArrays::kNotReached ? 0 : hops;
}

Spreading::Gift Spreading::GiftOf(std::uint32_t source, std::uint32_t node, float passed) const {
  Gift gift;
  gift.strongest.node = source;
  const EdgeSpan edges = graph_.Out(source);
  for (std::uint32_t begin = 0; begin < edges.size; begin = edges.EndOfType(begin)) {
    const std::uint32_t type = edges.type(begin);
    if (!IsWanted(type)) continue;
    const std::uint32_t at = edges.Find(type, node);
    if (at == edges.size) continue;
    gift.all += passed * edges.weights[at];
    if (!(edges.weights[at] > gift.strongest.weight)) continue;
    gift.strongest.weight = edges.weights[at];
    gift.strongest.type = type;
  }
  return gift;
}

template <typename Passed>
Spreading::Gift Spreading::BestGift(absl::Span<const std::uint32_t> sources, std::uint32_t node,
                                    Passed passed) const {
  Gift best;
  for (const std::uint32_t source : sources) {
    const float each = passed(source);
    if (!(each > 0.0f)) continue;
    const Gift gift = GiftOf(source, node, each);
    const bool better = gift.all > best.all ||
                        (gift.all == best.all && gift.all > 0.0f && source < best.strongest.node);
    if (better) best = gift;
  }
  return best;
}

std::uint32_t Spreading::Via(std::uint32_t node) const {
  const SpreadArrays& a = *arrays_;
  // A hub has more sources than there are active ones; most have fewer.
  const bool few = graph_.MostSources(node) <= a.active.size();
  const std::vector<std::uint32_t> sources =
      few ? graph_.MaybeSources(node) : std::vector<std::uint32_t>();
  const Gift best = BestGift(few ? absl::MakeConstSpan(sources) : absl::MakeConstSpan(a.active),
                             node, [&](std::uint32_t source) { return a.passed[source]; });
  return best.all > 0.0f ? best.strongest.node : node;
}

std::vector<Spreading::Step> Spreading::Path(std::uint32_t node) const {
  std::vector<Step> path;
  const SpreadArrays& a = *arrays_;
  if (a.hops[node] == SpreadArrays::kNotReached) return path;
  while (a.hops[node] > 0) {
    const bool few = graph_.MostSources(node) <= a.reached.size();
    const std::vector<std::uint32_t> sources =
        few ? graph_.MaybeSources(node) : std::vector<std::uint32_t>();
    const Gift best =
        BestGift(few ? absl::MakeConstSpan(sources) : absl::MakeConstSpan(a.reached), node,
                 [&](std::uint32_t source) {
                   // Had it passed on earlier, more would have arrived earlier.
                   if (a.first_passed[source] != a.hops[node]) return 0.0f;
                   const float divisor = Divisor(WantedFan(graph_.Out(source)));
                   // One that is silent by now may still have been on the way.
                   const bool silent = !(a.activation[source] >= options_.threshold);
                   const float active =
                       silent ? kLeastActivation : std::max(a.activation[source], kLeastActivation);
                   return divisor > 0.0f ? active / divisor : 0.0f;
                 });
    if (!(best.all > 0.0f)) break;
    path.push_back({node, best.strongest.weight, best.strongest.type});
    node = best.strongest.node;
  }
  path.push_back({node, 0.0f, 0});
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace engram::recall

#include "tests/support/plain_recall.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace engram::testing {
namespace {

struct OutEdges {
  std::vector<std::pair<MemoryId, double>> edges;
  double sum = 0.0;
};

bool IsWanted(const SpreadOptions& options, std::uint32_t type) {
  const auto& types = options.edge_types;
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

std::map<MemoryId, OutEdges> WantedEdges(const PlainEdges& edges, const SpreadOptions& options) {
  std::map<MemoryId, OutEdges> wanted;
  for (const auto& [edge, weight] : edges) {
    const auto& [from, type, to] = edge;
    if (!IsWanted(options, type)) continue;
    wanted[from].edges.emplace_back(to, weight);
    wanted[from].sum += double{weight};
  }
  return wanted;
}

double DivisorOf(const OutEdges& out, Normalisation normalisation) {
  if (normalisation == Normalisation::kNone) return 1.0;
  if (normalisation == Normalisation::kOutWeightSum) return out.sum;
  return std::sqrt(static_cast<double>(out.edges.size()));
}

double Apart(double a, double b) { return std::abs(a - b) / std::max({a, b, 1e-30}); }

// Returns: who passes activation on, and how close it was.
std::set<MemoryId> ActiveOf(const std::map<MemoryId, double>& activation,
                            const SpreadOptions& options, double* margin) {
  std::vector<std::pair<double, MemoryId>> active;
  for (const auto& [id, value] : activation) {
    if (options.threshold > 0.0f) *margin = std::min(*margin, Apart(value, options.threshold));
    if (value >= options.threshold) active.emplace_back(-value, id);
  }
  std::sort(active.begin(), active.end());
  if (active.size() > options.max_active) {
    *margin = std::min(
        *margin, Apart(-active[options.max_active - 1].first, -active[options.max_active].first));
    active.resize(options.max_active);
  }
  std::set<MemoryId> ids;
  for (const auto& [value, id] : active) ids.insert(id);
  return ids;
}

double SimilarityOf(Metric metric, const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    apart += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  if (metric == Metric::kDot) return ab;
  if (metric == Metric::kL2Squared) return -apart;
  return ab / std::sqrt(aa * bb);
}

// Step 1 of recall.md: the memories that look like the cue, best first.
std::vector<std::pair<double, MemoryId>> SimilarOf(const std::map<MemoryId, PlainMemory>& memories,
                                                   Metric metric, const RecallOptions& options,
                                                   const std::vector<float>& cue, double* margin) {
  std::vector<std::pair<double, MemoryId>> similar;
  if (cue.empty()) return similar;
  for (const auto& [id, memory] : memories) {
    if (!memory.vector.empty()) {
      similar.emplace_back(-SimilarityOf(metric, cue, memory.vector), id);
    }
  }
  std::sort(similar.begin(), similar.end());
  const std::size_t kept = std::max(options.seeds.k, options.k);
  for (const std::size_t end : {std::size_t{options.seeds.k}, kept}) {
    // What is equal is told apart by id, in f32 too.
    if (end >= similar.size() || similar[end - 1].first == similar[end].first) continue;
    *margin = std::min(*margin, std::abs(similar[end - 1].first - similar[end].first));
  }
  if (similar.size() > kept) similar.resize(kept);
  if (!similar.empty()) {
    const std::size_t last = std::min<std::size_t>(options.seeds.k, similar.size()) - 1;
    const double range = similar[last].first - similar[0].first;
    if (range > 0.0) *margin = std::min(*margin, range);  // what the rest is divided by
  }
  for (auto& [score, id] : similar) score = -score;
  return similar;
}

std::vector<std::pair<MemoryId, double>> SeedsOf(
    const std::vector<std::pair<double, MemoryId>>& similar, const PlainEdges& edges,
    const RecallOptions& options) {
  std::vector<std::pair<MemoryId, double>> seeds;
  const std::size_t count = std::min<std::size_t>(options.seeds.k, similar.size());
  for (std::size_t i = 0; i < count; ++i) {
    const double most = similar[0].first, least = similar[count - 1].first;
    const double place = most > least ? (similar[i].first - least) / (most - least) : 1.0;
    seeds.emplace_back(similar[i].second, std::pow(place, double{options.seed_sharpness}));
  }
  for (const MemoryId id : std::set<MemoryId>(options.named.begin(), options.named.end())) {
    const auto out = WantedEdges(edges, options.spread);
    const double degree = out.contains(id) ? static_cast<double>(out.at(id).edges.size()) : 1.0;
    seeds.emplace_back(
        id, options.named_weight * std::pow(degree, -double{options.named_fan_exponent}));
  }
  return seeds;
}

}  // namespace

PlainSpread SpreadPlainly(const PlainEdges& edges, const SpreadOptions& options,
                          const std::vector<std::pair<MemoryId, double>>& seeds) {
  PlainSpread spread;
  double sum = 0.0;
  std::map<MemoryId, double> r;
  for (const auto& [id, activation] : seeds) {
    if (activation > 0.0) r[id] += activation;
    sum += activation;
  }
  for (auto& [id, activation] : r) {
    activation /= sum;
    spread.hops[id] = 0;
  }
  const double restart = double{options.restart};
  const double damping = restart > 0.0 ? 1.0 - restart : double{options.hop_decay};
  const auto out = WantedEdges(edges, options);
  std::map<MemoryId, double>& a = spread.activation;
  a = r;
  bool silent = false;  // then every further step would give the same again
  for (std::uint32_t step = 1; step <= options.max_hops && !r.empty() && !silent; ++step) {
    const std::set<MemoryId> active = ActiveOf(a, options, &spread.margin);
    silent = active.empty();
    std::map<MemoryId, double> next;
    for (const auto& [id, activation] : r) next[id] = (restart > 0.0 ? restart : 1.0) * activation;
    spread.gifts.clear();
    for (const MemoryId source : active) {
      if (!out.contains(source)) continue;
      const double divisor = DivisorOf(out.at(source), options.normalisation);
      if (!(divisor > 0.0)) continue;
      spread.edges_followed += out.at(source).edges.size();
      spread.first_passed.try_emplace(source, step);
      for (const auto& [target, weight] : out.at(source).edges) {
        const double gift = damping * a[source] * weight / divisor;
        next[target] += gift;
        spread.gifts[target][source] += gift;
      }
    }
    std::erase_if(next, [](const auto& one) { return !(one.second > 0.0); });
    double most = 1.0;
    for (const auto& [id, activation] : next) {
      spread.hops.try_emplace(id, step);
      most = std::max(most, activation);
    }
    if (restart == 0.0) {
      for (auto& [id, activation] : next) activation /= most;
    }
    a = std::move(next);
    spread.steps = step;
  }
  return spread;
}

double SpreadBound(const PlainEdges& edges, std::uint32_t steps) {
  std::map<MemoryId, std::uint32_t> into;
  std::uint32_t most = 0;
  for (const auto& [edge, weight] : edges) most = std::max(most, ++into[std::get<2>(edge)]);
  return (steps + 1.0) * (most + 8.0) * std::numeric_limits<float>::epsilon();
}

PlainRecall RecallPlainly(const std::map<MemoryId, PlainMemory>& memories, const PlainEdges& edges,
                          Metric metric, const RecallOptions& options,
                          const std::vector<float>& cue) {
  PlainRecall recall;
  const auto similar = SimilarOf(memories, metric, options, cue, &recall.margin);
  recall.spread = SpreadPlainly(edges, options.spread, SeedsOf(similar, edges, options));
  recall.margin = std::min(recall.margin, recall.spread.margin);
  std::set<MemoryId> candidates;
  double unit = 0.0, unit_of_all = 0.0;
  for (const auto& [id, activation] : recall.spread.activation) {
    const bool bare = memories.at(id).vector.empty();
    if (!bare) unit = std::max(unit, activation);
    unit_of_all = std::max(unit_of_all, activation);
    if (!bare || options.include_bare) candidates.insert(id);
  }
  if (unit == 0.0) unit = unit_of_all;
  for (const auto& [score, id] : similar) candidates.insert(id);
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (const MemoryId id : candidates) {
    const PlainMemory& memory = memories.at(id);
    PlainHit hit{.id = id, .similarity = std::nan(""), .strength = memory.strength};
    const auto reached = recall.spread.activation.find(id);
    if (reached != recall.spread.activation.end()) hit.activation = reached->second / unit;
    if (!cue.empty() && !memory.vector.empty()) {
      hit.similarity = SimilarityOf(metric, cue, memory.vector);
      least = std::min(least, hit.similarity);
      most = std::max(most, hit.similarity);
    }
    recall.hits.push_back(hit);
  }
  const bool by_ratio = metric != Metric::kL2Squared && !similar.empty() && similar[0].first > 0.0;
  for (PlainHit& hit : recall.hits) {
    double term = 0.0;
    if (!std::isnan(hit.similarity)) {
      term = by_ratio       ? hit.similarity / similar[0].first
             : most > least ? (hit.similarity - least) / (most - least)
                            : 1.0;
    }
    hit.score = term + double{options.activation_weight} * hit.activation +
                double{options.strength_weight} * hit.strength;
  }
  std::sort(recall.hits.begin(), recall.hits.end(), [](const PlainHit& a, const PlainHit& b) {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
  });
  return recall;
}

}  // namespace engram::testing

// One recall: a search for seeds, a spreading from them, and the few memories that
// can be among the best scored in full.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/associations.h"
#include "engine/top_k.h"
#include "recall/strength.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

constexpr float kNoSimilarity = std::numeric_limits<float>::quiet_NaN();

// A memory that may be recalled.
struct Candidate {
  std::uint32_t node = 0;
  float activation = 0.0f;  // as it arrived
  std::optional<storage::RowPlace> place;
};

class RecallRun {
 public:
  RecallRun(const RecallInput& input, NodeIds ids, std::shared_ptr<const storage::EdgeGraph> graph)
      : input_(input),
        options_(input.options),
        verify_(input.options.seeds.verify_checksums),
        ids_(std::move(ids)),
        graph_(std::move(graph)),
        spreading_(*graph_, input.kernels, options_.spread, input.view.commit().next_node,
                   input.arrays) {}

  absl::StatusOr<RecallResults> Run() {
    ENGRAM_RETURN_IF_ERROR(Search());
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<recall::NodeSeed> seeds, Seeds());
    spreading_.Run(seeds, options_.seeds.deadline);
    results_.spread = spreading_.info();
    CollectCandidates();
    ENGRAM_RETURN_IF_ERROR(Rank());
    return std::move(results_);
  }

 private:
  struct Scored {
    Recalled memory;
    std::uint32_t node = 0;
  };
  static bool BetterScored(const Scored& a, const Scored& b) {
    return Better({a.memory.id, a.memory.score}, {b.memory.id, b.memory.score});
  }

  absl::Status Search() {
    if (!input_.cue.has_value()) return absl::OkStatus();
    // Memories that look like the cue can be hits without being seeds.
    SearchOptions search = options_.seeds;
    search.k = std::max(search.k, options_.k);
    ENGRAM_ASSIGN_OR_RETURN(
        auto found, ExactSearch(input_.view, input_.kernels, input_.metric, search, input_.threads,
                                input_.pool, absl::MakeConstSpan(&*input_.cue, 1)));
    similar_ = std::move(found[0].hits);
    results_.search = found[0].info;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<recall::NodeSeed>> Seeds() {
    std::vector<recall::NodeSeed> seeds;
    std::vector<float> scores;
    for (const Hit& hit : similar_) {
      ENGRAM_ASSIGN_OR_RETURN(const storage::MemoryHead head,
                              input_.view.FindHead(hit.id, verify_));
      similar_nodes_.push_back(head.node);
      if (scores.size() == options_.seeds.k) continue;
      scores.push_back(hit.score);
      seeds.push_back({.node = head.node});
    }
    const std::vector<double> activations =
        recall::SeedActivations(scores, options_.seed_sharpness);
    for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i].activation = activations[i];
    std::vector<MemoryId> named(options_.named.begin(), options_.named.end());
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    for (const MemoryId id : named) {
      ENGRAM_ASSIGN_OR_RETURN(const storage::MemoryHead head, input_.view.FindHead(id, verify_));
      seeds.push_back(
          {.node = head.node, .activation = recall::NamedActivation(options_, Degree(head.node))});
    }
    return seeds;
  }

  std::uint32_t Degree(std::uint32_t node) const {
    const storage::EdgeSpan edges = graph_->Out(node);
    const auto& types = options_.spread.edge_types;
    if (types.empty()) return edges.size;
    std::uint32_t degree = 0;
    for (std::uint32_t begin = 0; begin < edges.size;) {
      const std::uint32_t end = edges.EndOfType(begin);
      if (std::find(types.begin(), types.end(), edges.type(begin)) != types.end()) {
        degree += end - begin;
      }
      begin = end;
    }
    return degree;
  }

  // The reached nodes as a heap by activation, and those that the search found besides.
  void CollectCandidates() {
    heap_.assign(spreading_.nodes().begin(), spreading_.nodes().end());
    std::make_heap(heap_.begin(), heap_.end(), LessActive());
    for (const std::uint32_t node : similar_nodes_) {
      if (!(spreading_.activation(node) > 0.0f)) silent_.push_back(node);
    }
  }

  struct ByActivation {
    const recall::Spreading* spreading;
    bool operator()(std::uint32_t a, std::uint32_t b) const {
      const float x = spreading->activation(a), y = spreading->activation(b);
      return x < y || (x == y && a > b);
    }
  };
  ByActivation LessActive() const { return {&spreading_}; }

  // Returns: the next candidate, the most active first; nullopt when there are no more.
  std::optional<Candidate> Next() {
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), LessActive());
      const std::uint32_t node = heap_.back();
      heap_.pop_back();
      Candidate candidate{node, spreading_.activation(node), ids_.Place(node)};
      if (candidate.place.has_value() || options_.include_bare) return candidate;
    }
    if (silent_.empty()) return std::nullopt;
    const std::uint32_t node = silent_.back();
    silent_.pop_back();
    return Candidate{node, 0.0f, ids_.Place(node)};
  }

  absl::StatusOr<float> Similarity(const Candidate& candidate) const {
    if (!input_.cue.has_value() || !candidate.place.has_value()) return kNoSimilarity;
    ENGRAM_RETURN_IF_ERROR(input_.view.ReadySlice(candidate.place->slice, verify_));
    return ScoreRow(input_.kernels, input_.metric, *input_.cue,
                    input_.view.slice(candidate.place->slice), candidate.place->index);
  }

  // What all activations are divided by: the greatest of a memory with an embedding; of all,
  // where none has one.
  float ActivationUnit() {
    float most = 0.0f;
    std::vector<std::uint32_t> passed;
    while (!heap_.empty() && most == 0.0f) {
      std::pop_heap(heap_.begin(), heap_.end(), LessActive());
      const std::uint32_t node = heap_.back();
      heap_.pop_back();
      passed.push_back(node);
      if (ids_.Place(node).has_value()) most = spreading_.activation(node);
    }
    if (most == 0.0f && !passed.empty()) most = spreading_.activation(passed.front());
    for (const std::uint32_t node : passed) {
      heap_.push_back(node);
      std::push_heap(heap_.begin(), heap_.end(), LessActive());
    }
    return most;
  }

  // What candidate `c` could score at most where no similarity term is above 1.
  float Bound(const Candidate& c) const {
    const float activation = unit_ > 0.0f ? c.activation / unit_ : 0.0f;
    return 1.0f + options_.activation_weight * activation;
  }

  absl::StatusOr<Scored> Look(const Candidate& candidate) const {
    Scored scored;
    scored.node = candidate.node;
    if (candidate.place.has_value()) {
      ENGRAM_RETURN_IF_ERROR(input_.view.ReadySlice(candidate.place->slice, verify_));
      scored.memory.id = input_.view.slice(candidate.place->slice).ids[candidate.place->index];
    } else {
      ENGRAM_ASSIGN_OR_RETURN(scored.memory.id, ids_.Id(candidate.node));
    }
    ENGRAM_ASSIGN_OR_RETURN(scored.memory.similarity, Similarity(candidate));
    scored.memory.activation = unit_ > 0.0f ? candidate.activation / unit_ : 0.0f;
    return scored;
  }

  absl::Status Rank() {
    unit_ = ActivationUnit();
    const bool by_ratio = input_.metric != Metric::kL2Squared && !similar_.empty() &&
                          similar_.front().score > 0.0f && std::isfinite(similar_.front().score);
    if (by_ratio) scale_ = recall::SimilarityScale::ByRatio(similar_.front().score);
    // Else the terms, or the strengths, of all of them are needed before one can be ranked.
    const bool stops_early = (by_ratio || !input_.cue.has_value()) && !results_.search.truncated &&
                             options_.activation_weight >= 0.0f && options_.strength_weight == 0.0f;
    return stops_early ? RankBest() : RankAll(by_ratio);
  }

  absl::Status RankBest() {
    std::vector<Scored> best;  // a heap, the worst in front
    while (const auto candidate = Next()) {
      const bool full = best.size() == options_.k;
      // The candidates come by descending activation, and so by descending bound.
      if (full && Bound(*candidate) < best.front().memory.score) break;
      ENGRAM_ASSIGN_OR_RETURN(Scored next, Look(*candidate));
      next.memory.score = recall::BlendedScore(options_, scale_, next.memory.similarity,
                                               next.memory.activation, 1.0f);
      if (full) {
        if (!BetterScored(next, best.front())) continue;
        std::pop_heap(best.begin(), best.end(), BetterScored);
        best.pop_back();
      }
      best.push_back(std::move(next));
      std::push_heap(best.begin(), best.end(), BetterScored);
    }
    ENGRAM_RETURN_IF_ERROR(SetStrengths(best));
    return Answer(std::move(best));
  }

  absl::Status RankAll(bool by_ratio) {
    std::vector<Scored> all;
    float least = std::numeric_limits<float>::infinity(), most = -least;
    while (const auto candidate = Next()) {
      ENGRAM_ASSIGN_OR_RETURN(all.emplace_back(), Look(*candidate));
      const float similarity = all.back().memory.similarity;
      if (!std::isfinite(similarity)) continue;
      least = std::min(least, similarity);
      most = std::max(most, similarity);
    }
    if (!by_ratio) scale_ = recall::SimilarityScale::ByPlace(least, most);
    if (options_.strength_weight != 0.0f) ENGRAM_RETURN_IF_ERROR(SetStrengths(all));
    for (Scored& scored : all) {
      scored.memory.score = recall::BlendedScore(options_, scale_, scored.memory.similarity,
                                                 scored.memory.activation, scored.memory.strength);
    }
    const std::size_t k = std::min<std::size_t>(options_.k, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), all.end(),
                      BetterScored);
    all.resize(k);
    if (options_.strength_weight == 0.0f) ENGRAM_RETURN_IF_ERROR(SetStrengths(all));
    return Answer(std::move(all));
  }

  absl::Status SetStrengths(std::vector<Scored>& scored) const {
    std::vector<storage::Strength> strengths;
    for (const Scored& one : scored) {
      ENGRAM_ASSIGN_OR_RETURN(strengths.emplace_back(),
                              input_.view.ReadStrength(one.memory.id, verify_));
    }
    const std::vector<float> values =
        recall::StrengthsAt(input_.kernels, options_.strength, input_.now, strengths);
    for (std::size_t i = 0; i < scored.size(); ++i) scored[i].memory.strength = values[i];
    return absl::OkStatus();
  }

  absl::Status Answer(std::vector<Scored> scored) {
    std::sort(scored.begin(), scored.end(), BetterScored);
    for (Scored& one : scored) {
      ENGRAM_RETURN_IF_ERROR(
          Explain(spreading_, ids_, one.node, options_.spread.explain, &one.memory));
      results_.hits.push_back(std::move(one.memory));
    }
    return absl::OkStatus();
  }

  const RecallInput& input_;
  const RecallOptions& options_;
  const bool verify_;
  const NodeIds ids_;
  const std::shared_ptr<const storage::EdgeGraph> graph_;
  recall::Spreading spreading_;
  std::vector<Hit> similar_;  // what the search found, best first
  std::vector<std::uint32_t> similar_nodes_;
  std::vector<std::uint32_t> heap_;    // reached nodes, the most active in front
  std::vector<std::uint32_t> silent_;  // found by the search alone
  recall::SimilarityScale scale_;
  float unit_ = 0.0f;
  RecallResults results_;
};

}  // namespace

absl::StatusOr<RecallResults> RunRecall(const RecallInput& input) {
  const bool verify = input.options.seeds.verify_checksums;
  ENGRAM_ASSIGN_OR_RETURN(NodeIds ids, NodeIds::Of(input.view, verify));
  ENGRAM_ASSIGN_OR_RETURN(auto graph, input.view.Edges(verify));
  return RecallRun(input, std::move(ids), std::move(graph)).Run();
}

}  // namespace engram::engine

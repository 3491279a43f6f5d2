// One recall: a search for seeds, a spreading from them, and the few memories that
// can be among the best scored in full.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>
#include <utility>

#include "engine/associations.h"
#include "engine/top_k.h"
#include "recall/strength.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

constexpr float kNoSimilarity = std::numeric_limits<float>::quiet_NaN();

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
  struct Reached {
    float activation;
    std::uint32_t node;
  };
  static bool BetterScored(const Scored& a, const Scored& b) {
    return Better({a.memory.id, a.memory.score}, {b.memory.id, b.memory.score});
  }

  absl::Status Search() {
    if (!input_.cue.has_value()) return absl::OkStatus();
    // Memories that look like the cue can be hits without being seeds.
    SearchOptions search = options_.seeds;
    search.k = SearchDepth();
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
    std::vector<std::uint64_t> ids;
    for (const Hit& hit : similar_) ids.push_back(hit.id);
    ENGRAM_ASSIGN_OR_RETURN(const auto heads, input_.view.FindHeads(ids));
    for (const storage::MemoryHead& head : heads) similar_nodes_.push_back(head.node);
    const std::size_t similar = std::min<std::size_t>(similar_.size(), options_.seeds.k);
    for (std::size_t i = 0; i < similar; ++i) {
      scores.push_back(similar_[i].score);
      seeds.push_back({.node = similar_nodes_[i]});
    }
    const std::vector<double> activations =
        recall::SeedActivations(scores, options_.seed_sharpness);
    for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i].activation = activations[i];
    std::vector<MemoryId> named(options_.named.begin(), options_.named.end());
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    ENGRAM_ASSIGN_OR_RETURN(const auto named_heads, input_.view.FindHeads(named));
    for (const storage::MemoryHead& head : named_heads) {
      seeds.push_back(
          {.node = head.node,
           .activation = recall::NamedActivation(options_, spreading_.Degree(head.node))});
    }
    return seeds;
  }

  // The candidates: what the search found, and what spreading reached.
  void CollectCandidates() {
    similar_set_.insert(similar_nodes_.begin(), similar_nodes_.end());
    reached_.reserve(spreading_.nodes().size());
    for (const std::uint32_t node : spreading_.nodes()) {
      reached_.push_back({spreading_.activation(node), node});
    }
  }

  // What all activations are divided by: the greatest of a memory with an embedding; of all,
  // where none has one.
  float ActivationUnit() const {
    float of_rows = 0.0f, of_all = 0.0f;
    for (const Reached& reached : reached_) {
      of_all = std::max(of_all, reached.activation);
      if (reached.activation > of_rows && ids_.Place(reached.node).has_value()) {
        of_rows = reached.activation;
      }
    }
    return of_rows > 0.0f ? of_rows : of_all;
  }

  // A memory without an embedding may be beyond the unit, and by more than f32 holds.
  float InUnits(float activation) const {
    return unit_ > 0.0f ? std::min(activation / unit_, std::numeric_limits<float>::max()) : 0.0f;
  }

  // Returns: the candidate that the search found as number `i`.
  absl::StatusOr<Scored> LookAtSimilar(std::size_t i) const {
    Scored scored;
    scored.node = similar_nodes_[i];
    scored.memory.id = similar_[i].id;
    scored.memory.similarity = similar_[i].score;
    scored.memory.activation = InUnits(spreading_.activation(scored.node));
    return scored;
  }

  // Returns: a reached candidate; nullopt when it may not be a hit.
  absl::StatusOr<std::optional<Scored>> LookAtReached(const Reached& reached) const {
    const std::uint32_t node = reached.node;
    const auto place = ids_.Place(node);
    if (!place.has_value() && !options_.include_bare) return std::optional<Scored>();
    Scored scored;
    scored.node = node;
    scored.memory.activation = InUnits(reached.activation);
    scored.memory.similarity = kNoSimilarity;
    if (!place.has_value()) {
      ENGRAM_ASSIGN_OR_RETURN(scored.memory.id, ids_.Id(node));
      return std::optional<Scored>(std::move(scored));
    }
    ENGRAM_RETURN_IF_ERROR(input_.view.ReadySlice(place->slice, verify_));
    const storage::RowSlice slice = input_.view.slice(place->slice);
    scored.memory.id = slice.ids[place->index];
    if (input_.cue.has_value()) {
      scored.memory.similarity =
          ScoreRow(input_.kernels, input_.metric, *input_.cue, slice, place->index);
    }
    return std::optional<Scored>(std::move(scored));
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

  // The greatest similarity term that a memory can have which the search did not find.
  float BoundOfTerm() const {
    const bool full = similar_.size() == SearchDepth() && !similar_.empty();
    const float term = !input_.cue.has_value() ? 0.0f
                       : full                  ? scale_.Term(similar_.back().score)
                                               : 1.0f;
    return options_.include_bare ? std::max(term, 0.0f) : term;
  }

  std::uint32_t SearchDepth() const { return std::max(options_.seeds.k, options_.k); }

  void Keep(Scored scored, std::vector<Scored>& best) const {
    scored.memory.score = recall::BlendedScore(options_, scale_, scored.memory.similarity,
                                               scored.memory.activation, 1.0f);
    if (best.size() == options_.k) {
      if (!BetterScored(scored, best.front())) return;
      std::pop_heap(best.begin(), best.end(), BetterScored);
      best.pop_back();
    }
    best.push_back(std::move(scored));
    std::push_heap(best.begin(), best.end(), BetterScored);
  }

  absl::Status RankBest() {
    std::vector<Scored> best;  // a heap, the worst in front
    for (std::size_t i = 0; i < similar_.size(); ++i) {
      ENGRAM_ASSIGN_OR_RETURN(Scored scored, LookAtSimilar(i));
      Keep(std::move(scored), best);
    }
    const float term = BoundOfTerm();
    const auto can_enter = [&](const Reached& reached) {
      return best.size() < options_.k ||
             term + options_.activation_weight * InUnits(reached.activation) >=
                 best.front().memory.score;
    };
    // A heap by activation, and so by what they can score: most are never taken from it.
    const auto less_active = [](const Reached& a, const Reached& b) {
      return a.activation < b.activation;
    };
    std::erase_if(reached_, [&](const Reached& reached) { return !can_enter(reached); });
    std::make_heap(reached_.begin(), reached_.end(), less_active);
    for (; !reached_.empty() && can_enter(reached_.front()); reached_.pop_back()) {
      std::pop_heap(reached_.begin(), reached_.end(), less_active);
      if (similar_set_.contains(reached_.back().node)) continue;
      ENGRAM_ASSIGN_OR_RETURN(std::optional<Scored> scored, LookAtReached(reached_.back()));
      if (scored.has_value()) Keep(*std::move(scored), best);
    }
    ENGRAM_RETURN_IF_ERROR(SetStrengths(best));
    return Answer(std::move(best));
  }

  absl::StatusOr<std::vector<Scored>> LookAtAll() const {
    std::vector<Scored> all;
    for (std::size_t i = 0; i < similar_.size(); ++i) {
      ENGRAM_ASSIGN_OR_RETURN(all.emplace_back(), LookAtSimilar(i));
    }
    for (const Reached& reached : reached_) {
      if (similar_set_.contains(reached.node)) continue;
      ENGRAM_ASSIGN_OR_RETURN(std::optional<Scored> scored, LookAtReached(reached));
      if (scored.has_value()) all.push_back(*std::move(scored));
    }
    return all;
  }

  absl::Status RankAll(bool by_ratio) {
    ENGRAM_ASSIGN_OR_RETURN(std::vector<Scored> all, LookAtAll());
    float least = std::numeric_limits<float>::infinity(), most = -least;
    for (const Scored& scored : all) {
      const float similarity = scored.memory.similarity;
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
    std::vector<std::uint64_t> ids;
    ids.reserve(scored.size());
    for (const Scored& one : scored) ids.push_back(one.memory.id);
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<storage::Strength> strengths,
                            input_.view.ReadStrengths(ids));
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
  std::unordered_set<std::uint32_t> similar_set_;
  std::vector<Reached> reached_;
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

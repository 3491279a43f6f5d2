#include "engine/associations.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/top_k.h"
#include "recall/strength.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

absl::Status CheckBetween(std::string_view option, double value, double least, double most) {
  if (value >= least && value <= most) return absl::OkStatus();  // and not NaN
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %g; %g to %g is allowed", option, value, least, most));
}

absl::Status CheckFinite(std::string_view option, double value, bool may_be_negative) {
  if (std::isfinite(value) && (may_be_negative || value >= 0.0)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s is %g; it must be finite%s", option, value,
                                                    may_be_negative ? "" : " and not negative"));
}

}  // namespace

absl::Status CheckSpreadOptions(const SpreadOptions& options) {
  ENGRAM_RETURN_IF_ERROR(CheckBetween("max_hops", options.max_hops, 0, 1000));
  ENGRAM_RETURN_IF_ERROR(CheckBetween("restart", options.restart, 0, 1));
  ENGRAM_RETURN_IF_ERROR(CheckBetween("hop_decay", options.hop_decay, 0, 1));
  ENGRAM_RETURN_IF_ERROR(CheckFinite("threshold", options.threshold, false));
  if (options.max_active == 0) {
    return absl::InvalidArgumentError("max_active is 0; at least 1 is needed");
  }
  if (options.normalisation > Normalisation::kSqrtDegree) {
    return absl::InvalidArgumentError(absl::StrFormat("normalisation is %d; 0 to 2 is allowed",
                                                      static_cast<int>(options.normalisation)));
  }
  return absl::OkStatus();
}

absl::Status CheckRecallOptions(const RecallOptions& options) {
  ENGRAM_RETURN_IF_ERROR(CheckSpreadOptions(options.spread));
  ENGRAM_RETURN_IF_ERROR(recall::CheckStrengthOptions(options.strength));
  if (options.k == 0) return absl::InvalidArgumentError("k is 0; at least 1 is needed");
  ENGRAM_RETURN_IF_ERROR(CheckBetween("seed_sharpness", options.seed_sharpness, 0, 100));
  ENGRAM_RETURN_IF_ERROR(CheckFinite("named_weight", options.named_weight, false));
  ENGRAM_RETURN_IF_ERROR(CheckFinite("named_fan_exponent", options.named_fan_exponent, false));
  ENGRAM_RETURN_IF_ERROR(CheckFinite("activation_weight", options.activation_weight, true));
  return CheckFinite("strength_weight", options.strength_weight, true);
}

absl::StatusOr<NodeIds> NodeIds::Of(const storage::View& view, bool verify) {
  ENGRAM_ASSIGN_OR_RETURN(auto rows, view.Rows(verify));
  return NodeIds(view, std::move(rows), verify);
}

absl::StatusOr<MemoryId> NodeIds::Id(std::uint32_t node) const {
  if (const auto place = Place(node); place.has_value()) {
    ENGRAM_RETURN_IF_ERROR(view_->ReadySlice(place->slice, verify_));
    return view_->slice(place->slice).ids[place->index];
  }
  return view_->FindIdOfNode(node);
}

absl::StatusOr<std::vector<Recalled>> MostActive(const recall::Spreading& spreading,
                                                 const NodeIds& ids, const SpreadOptions& options) {
  struct Found {
    std::uint32_t node;
    Hit hit;
  };
  std::vector<Found> found;
  std::vector<std::uint32_t> nodes(spreading.nodes().begin(), spreading.nodes().end());
  std::vector<float> floor;
  floor.reserve(nodes.size());
  for (const std::uint32_t node : nodes) floor.push_back(spreading.activation(node));
  float least = 0.0f;
  if (options.k != 0 && options.k < nodes.size()) {
    const auto last = floor.begin() + (options.k - 1);
    std::nth_element(floor.begin(), last, floor.end(), std::greater<>());
    least = *last;
  }
  // Those that tie with the last are told apart by id.
  for (const std::uint32_t node : nodes) {
    if (spreading.activation(node) < least) continue;
    ENGRAM_ASSIGN_OR_RETURN(const MemoryId id, ids.Id(node));
    found.push_back({node, {.id = id, .score = spreading.activation(node)}});
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return Better(a.hit, b.hit); });
  if (options.k != 0 && found.size() > options.k) found.resize(options.k);
  std::vector<Recalled> memories;
  for (const Found& one : found) {
    Recalled& memory = memories.emplace_back();
    memory.id = one.hit.id;
    memory.score = memory.activation = one.hit.score;
    memory.similarity = memory.strength = std::numeric_limits<float>::quiet_NaN();
    ENGRAM_RETURN_IF_ERROR(Explain(spreading, ids, one.node, options.explain, &memory));
  }
  return memories;
}

absl::Status Explain(const recall::Spreading& spreading, const NodeIds& ids, std::uint32_t node,
                     bool explain, Recalled* memory) {
  memory->hops = spreading.hops(node);
  memory->via = memory->id;
  const std::uint32_t via = spreading.Via(node);
  if (via != node) {
    ENGRAM_ASSIGN_OR_RETURN(memory->via, ids.Id(via));
  }
  if (!explain) return absl::OkStatus();
  for (const recall::Spreading::Step& step : spreading.Path(node)) {
    PathStep& shown = memory->path.emplace_back();
    shown.weight = step.weight;
    shown.type = step.type;
    ENGRAM_ASSIGN_OR_RETURN(shown.id, ids.Id(step.node));
  }
  return absl::OkStatus();
}

}  // namespace engram::engine

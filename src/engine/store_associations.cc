// The part of StoreEngine that writes, reads and follows edges.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/associations.h"
#include "engine/checks.h"
#include "engine/store_engine.h"
#include "engine/vectors.h"
#include "recall/name_match.h"
#include "storage/base/status.h"
#include "storage/key_forms.h"

namespace engram::engine {

absl::StatusOr<LinkReport> StoreEngine::Link(const LinkOptions& options, EdgeSource source) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  ENGRAM_RETURN_IF_ERROR(CheckDurability(options.durability));
  WriteOptions write;
  write.durability = options.durability;
  write.create_missing = options.create_missing;
  std::uint64_t ordinal = 0;
  const auto checked = [&](storage::EdgePut* put) -> absl::StatusOr<bool> {
    Edge edge;
    auto more = source(&edge);
    if (!more.ok() || !*more) return more;
    ENGRAM_RETURN_IF_ERROR(CheckWeight(absl::StrFormat("edge %d", ordinal++), edge));
    *put = {.from = edge.from, .to = edge.to, .type = edge.type, .weight = edge.weight};
    return true;
  };
  ENGRAM_ASSIGN_OR_RETURN(const storage::LinkCounts counts,
                          files_->Link(ToWriteRules(write), options.expected,
                                       ToStorageProgress(options.progress, "link"), checked));
  return LinkReport{.edges = counts.edges, .created = counts.created};
}

absl::StatusOr<std::uint32_t> StoreEngine::EdgeType(const WriteOptions& options,
                                                    std::string_view name) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  ENGRAM_RETURN_IF_ERROR(CheckDurability(options.durability));
  ENGRAM_RETURN_IF_ERROR(CheckText("an edge type", "name", name, 1, kMaxEdgeTypeBytes));
  return files_->EdgeType(static_cast<storage::Durability>(options.durability), name);
}

absl::StatusOr<std::vector<std::pair<std::uint32_t, std::string>>> StoreEngine::EdgeTypes(
    const ReadOptions& options) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  return view->ReadEdgeTypes();
}

absl::StatusOr<std::vector<Edge>> StoreEngine::Neighbors(const ReadOptions& options, MemoryId id,
                                                         Direction direction) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  const bool verify = options.verify_checksums;
  ENGRAM_ASSIGN_OR_RETURN(const storage::MemoryHead head, view->FindHead(id));
  ENGRAM_ASSIGN_OR_RETURN(const auto graph, view->Edges(verify));
  ENGRAM_ASSIGN_OR_RETURN(const NodeIds ids, NodeIds::Of(*view, verify));
  std::vector<Edge> edges;
  if (direction == Direction::kOut) {
    const storage::EdgeSpan out = graph->Out(head.node);
    for (std::uint32_t i = 0; i < out.size; ++i) {
      ENGRAM_ASSIGN_OR_RETURN(const MemoryId to, ids.Id(out.targets[i]));
      edges.push_back({.from = id, .to = to, .weight = out.weights[i], .type = out.type(i)});
    }
  } else {
    for (const std::uint32_t source : graph->Sources(head.node)) {
      ENGRAM_ASSIGN_OR_RETURN(const MemoryId from, ids.Id(source));
      const storage::EdgeSpan out = graph->Out(source);
      for (std::uint32_t begin = 0; begin < out.size; begin = out.EndOfType(begin)) {
        const std::uint32_t at = out.Find(out.type(begin), head.node);
        if (at == out.size) continue;
        edges.push_back({.from = from, .to = id, .weight = out.weights[at], .type = out.type(at)});
      }
    }
  }
  std::sort(edges.begin(), edges.end(), [&](const Edge& a, const Edge& b) {
    const bool out = direction == Direction::kOut;
    return std::pair(a.type, out ? a.to : a.from) < std::pair(b.type, out ? b.to : b.from);
  });
  return edges;
}

absl::StatusOr<SpreadResults> StoreEngine::Spread(const SpreadOptions& options,
                                                  absl::Span<const engram::Seed> seeds) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_RETURN_IF_ERROR(CheckSpreadOptions(options));
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  const bool verify = options.verify_checksums;
  std::vector<recall::NodeSeed> nodes;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    const float activation = seeds[i].activation;
    if (!std::isfinite(activation) || activation < 0.0f) {
      return absl::InvalidArgumentError(
          absl::StrFormat("seed %d, id %d: the activation is %g; it must be finite and not "
                          "negative",
                          i, seeds[i].id, activation));
    }
    ENGRAM_ASSIGN_OR_RETURN(const storage::MemoryHead head, view->FindHead(seeds[i].id));
    nodes.push_back({.node = head.node, .activation = activation});
  }
  ENGRAM_ASSIGN_OR_RETURN(const auto graph, view->Edges(verify));
  ENGRAM_ASSIGN_OR_RETURN(const NodeIds ids, NodeIds::Of(*view, verify));
  recall::Spreading spreading(*graph, kernels_, options, view->commit().next_node, arrays_);
  spreading.Run(nodes, options.deadline);
  SpreadResults results{.memories = {}, .info = spreading.info()};
  ENGRAM_ASSIGN_OR_RETURN(results.memories, MostActive(spreading, ids, options));
  return results;
}

absl::StatusOr<RecallResults> StoreEngine::Recall(const RecallOptions& options,
                                                  absl::Span<const float> cue) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_RETURN_IF_ERROR(CheckSearch(options.seeds));
  ENGRAM_RETURN_IF_ERROR(CheckRecallOptions(options));
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options.seeds));
  const std::uint32_t threads =
      options.seeds.threads == 0 ? threads_ : std::min(options.seeds.threads, threads_);
  RecallInput input{.view = *view,
                    .kernels = kernels_,
                    .metric = metric(),
                    .options = options,
                    .now = SecondsNow(options.strength.now_unix_seconds),
                    .cue = std::nullopt,
                    .threads = threads,
                    .pool = pool_,
                    .arrays = arrays_};
  if (!cue.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(const float norm,
                            CheckVector("the cue", cue, files_->meta().dimension, metric()));
    input.cue = Query{.vector = cue, .norm = norm};
  }
  return RunRecall(input);
}

absl::StatusOr<std::vector<NamedInText>> StoreEngine::FindNamed(const ReadOptions& options,
                                                                std::string_view text) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  const storage::KeyForms forms(*view);
  const auto look_up = [&](std::string_view form) -> absl::StatusOr<recall::NameFound> {
    ENGRAM_ASSIGN_OR_RETURN(const storage::KeyForms::Found found, forms.Find(form));
    return recall::NameFound{.whole = found.whole, .may_grow = found.may_grow};
  };
  ENGRAM_ASSIGN_OR_RETURN(const auto matches, recall::MatchNames(text, look_up));
  std::vector<NamedInText> named;
  for (const recall::NameMatch& match : matches) {
    ENGRAM_ASSIGN_OR_RETURN(const auto keys, forms.KeysOf(match.form));
    for (const auto& [key, id] : keys) {
      named.push_back({.id = id, .key = key, .begin = match.begin, .end = match.end});
    }
  }
  return named;
}

}  // namespace engram::engine

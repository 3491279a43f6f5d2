// What the engine does with edges: from ids to nodes and back, and one recall from
// a search, a spreading and their blend.
#ifndef ENGRAM_ENGINE_ASSOCIATIONS_H_
#define ENGRAM_ENGINE_ASSOCIATIONS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/exact_search.h"
#include "engram/options.h"
#include "engram/types.h"
#include "recall/ranking.h"
#include "recall/spreading.h"
#include "storage/view.h"

namespace engram::engine {

// Errors: kInvalidArgument naming the option, what was given and what is allowed.
absl::Status CheckSpreadOptions(const SpreadOptions& options);
absl::Status CheckRecallOptions(const RecallOptions& options);

// Ids of nodes at one moment. Belongs to one thread.
class NodeIds {
 public:
  // `view` outlives it.
  static absl::StatusOr<NodeIds> Of(const storage::View& view, bool verify);

  // Returns: where the embedding of a node is, nullopt when it has none.
  std::optional<storage::RowPlace> Place(std::uint32_t node) const {
    return view_->FindRow(rows_->Find(node));
  }
  absl::StatusOr<MemoryId> Id(std::uint32_t node) const;

 private:
  NodeIds(const storage::View& view, std::shared_ptr<const storage::NodeRows> rows, bool verify)
      : view_(&view), rows_(std::move(rows)), verify_(verify) {}

  const storage::View* view_;
  std::shared_ptr<const storage::NodeRows> rows_;
  bool verify_;
};

// Fills hops, via and, if `explain`, the path of *memory, which is node `node`.
absl::Status Explain(const recall::Spreading& spreading, const NodeIds& ids, std::uint32_t node,
                     bool explain, Recalled* memory);

// Returns: the reached memories, the most active first, as many as `options` asks for.
absl::StatusOr<std::vector<Recalled>> MostActive(const recall::Spreading& spreading,
                                                 const NodeIds& ids, const SpreadOptions& options);

// All that one recall works with; what it points to outlives it.
struct RecallInput {
  const storage::View& view;
  const engram_kernels& kernels;
  Metric metric;
  const RecallOptions& options;
  std::int64_t now;
  std::optional<Query> cue;  // checked
  std::uint32_t threads;
  SearchPool& pool;
  recall::SpreadArraysPool& arrays;
};
absl::StatusOr<RecallResults> RunRecall(const RecallInput& input);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_ASSOCIATIONS_H_

// The plain scan: every live row scored in f32, where it lies.
//
// A dot product of finite vectors can overflow to infinity, and infinities of
// both signs to NaN; such a score counts as the worst there is (minus infinity), so
// that the order of hits stays total.
#ifndef ENGRAM_ENGINE_EXACT_SEARCH_H_
#define ENGRAM_ENGINE_EXACT_SEARCH_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engram/options.h"
#include "engram/types.h"
#include "kernels/abi.h"
#include "storage/view.h"

namespace engram::engine {

// A checked query. The span lives as long as the search.
struct Query {
  absl::Span<const float> vector;
  float norm = 0.0f;
};

// Returns: the score of one row, the very bits that ExactSearch gives it. Precondition: the
// slice is ready.
float ScoreRow(const engram_kernels& kernels, Metric metric, const Query& query,
               const storage::RowSlice& slice, std::uint32_t index);

// Answers all queries in one pass over `view` with up to `threads` threads; the
// bits do not depend on how many. Errors: kDataLoss of a damaged block.
absl::StatusOr<std::vector<SearchResults>> ExactSearch(const storage::View& view,
                                                       const engram_kernels& kernels, Metric metric,
                                                       const SearchOptions& options,
                                                       std::uint32_t threads,
                                                       absl::Span<const Query> queries);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_EXACT_SEARCH_H_

// Exact search: the true top k, by whichever path is the fastest; the answer is the same.
#ifndef ENGRAM_ENGINE_EXACT_SEARCH_H_
#define ENGRAM_ENGINE_EXACT_SEARCH_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/scores.h"
#include "engine/search_pool.h"
#include "engram/options.h"
#include "engram/types.h"
#include "kernels/abi.h"
#include "storage/view.h"

namespace engram::engine {

// Answers all queries, some 64 of them in a pass over `view`, with up to `threads` threads, the
// caller's and those of `pool` that are free; the bits do not depend on how many. Errors: kDataLoss
// of a damaged block.
absl::StatusOr<std::vector<SearchResults>> ExactSearch(const storage::View& view,
                                                       const engram_kernels& kernels, Metric metric,
                                                       const SearchOptions& options,
                                                       std::uint32_t threads, SearchPool& pool,
                                                       absl::Span<const Query> queries);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_EXACT_SEARCH_H_

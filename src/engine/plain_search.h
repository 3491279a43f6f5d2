// The plain scan: every live row scored in f32, where it lies.
#ifndef ENGRAM_ENGINE_PLAIN_SEARCH_H_
#define ENGRAM_ENGINE_PLAIN_SEARCH_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/search_job.h"

namespace engram::engine {

// The best rows of the slices that were scanned, for each query.
struct PlainFound {
  std::vector<TopK> best;
  std::vector<std::uint64_t> rows_scored;
  bool late = false;  // the deadline passed
};

// Scores all queries in one pass over `slices`; the bits do not depend on how many threads
// there are. Errors: kDataLoss of a damaged block.
absl::StatusOr<PlainFound> PlainScan(const SearchJob& job, absl::Span<const std::size_t> slices);

// Answers all queries by a PlainScan of everything.
absl::StatusOr<std::vector<SearchResults>> PlainSearch(const SearchJob& job);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_PLAIN_SEARCH_H_

// The certified scan: the codes of all rows are read, and only those rows are scored in f32 that
// their codes cannot rule out. The answer is the plain scan's, ids and score bits.
//
// A sample of superblocks gives a first threshold; one pass over the codes leaves candidates;
// fine codes thin them out; what is left is scored, most promising first. docs/exactness.md
// proves each step, score_bounds.h holds the inequalities.
#ifndef ENGRAM_ENGINE_CERTIFIED_SEARCH_H_
#define ENGRAM_ENGINE_CERTIFIED_SEARCH_H_

#include <vector>

#include "absl/status/statusor.h"
#include "engine/score_bounds.h"
#include "engine/search_job.h"

namespace engram::engine {

struct CertifiedResults {
  SearchResults results;
  // The codes rule out too little: the answer is a plain scan's to find, and these are some rows
  // with their scores.
  bool given_up = false;
};

// Answers the queries of `job`, all of which ScoreBounds can bound. Rows without codes are scored.
// Errors: kDataLoss of a damaged block.
absl::StatusOr<std::vector<CertifiedResults>> CertifiedSearch(const SearchJob& job);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_CERTIFIED_SEARCH_H_

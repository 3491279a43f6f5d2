#include "engine/search_planner.h"

namespace engram::engine {
namespace {

// Coding a query and choosing where to start cost about as much as scoring so many rows.
constexpr std::uint64_t kLeastCodedRows = 1024;

// Of an answer that is a large part of the store, most rows are scored either way.
constexpr std::uint64_t kRowsPerHit = 16;

}  // namespace

SearchPath PlanSearch(const SearchFacts& facts) {
  if (facts.plain || !facts.bounded || facts.coded_rows < kLeastCodedRows ||
      facts.coded_rows < facts.rows / 2 || facts.coded_rows / kRowsPerHit < facts.k) {
    return SearchPath::kPlainScan;
  }
  return SearchPath::kCertifiedScan;
}

}  // namespace engram::engine

// Which way an exact search goes: a pure function of what is known before it.
#ifndef ENGRAM_ENGINE_SEARCH_PLANNER_H_
#define ENGRAM_ENGINE_SEARCH_PLANNER_H_

#include <cstdint>

#include "engram/types.h"

namespace engram::engine {

struct SearchFacts {
  bool plain = false;            // the caller wants it so
  bool bounded = true;           // f32 holds the query's products with coded rows
  std::uint64_t rows = 0;        // of the view, dead ones included
  std::uint64_t coded_rows = 0;  // of these, in blocks with codes
  std::uint64_t k = 0;           // SearchJob::MostHits
};

SearchPath PlanSearch(const SearchFacts& facts);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_SEARCH_PLANNER_H_

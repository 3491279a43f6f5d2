#include "engine/exact_search.h"

#include <algorithm>
#include <utility>

#include "engine/certified_search.h"
#include "engine/plain_search.h"
#include "engine/search_job.h"
#include "engine/search_planner.h"
#include "storage/base/status.h"
#include "storage/mapped_blocks.h"

namespace engram::engine {
namespace {

// Each keeps its candidates until the end: more queries at a time would share little more, and
// take memory without bound.
constexpr std::size_t kQueriesAtOnce = 64;

SearchPath PlanOf(const SearchJob& job, const Query& query, std::uint64_t rows,
                  std::uint64_t coded_rows) {
  return PlanSearch({.plain = job.options.plain,
                     .bounded = ScoreBounds::CanBound(query),
                     .rows = rows,
                     .coded_rows = coded_rows,
                     .k = job.MostHits()});
}

// Joins what two scans found that were not ended, some of it the same.
void AddHits(const SearchJob& job, std::vector<Hit> more, std::vector<Hit>& hits) {
  hits.insert(hits.end(), more.begin(), more.end());
  std::sort(hits.begin(), hits.end(), Better);
  const auto same = [](const Hit& a, const Hit& b) { return a.id == b.id; };
  hits.erase(std::unique(hits.begin(), hits.end(), same), hits.end());
  if (hits.size() > job.MostHits()) hits.resize(job.MostHits());
}

}  // namespace

absl::StatusOr<std::vector<SearchResults>> ExactSearch(const storage::View& view,
                                                       const engram_kernels& kernels, Metric metric,
                                                       const SearchOptions& options,
                                                       std::uint32_t threads, SearchPool& pool,
                                                       absl::Span<const Query> queries) {
  const SearchJob job{view, kernels, metric, options, threads, pool, queries};
  std::uint64_t rows = 0, coded_rows = 0;
  for (std::size_t i = 0; i < view.slice_count(); ++i) {
    const storage::RowSlice slice = view.slice(i);
    rows += slice.count;
    if (slice.codes != nullptr) coded_rows += slice.count;
    // Damage is told even where the plain scan would get by without codes.
    if (!options.plain && slice.block != nullptr) {
      ENGRAM_RETURN_IF_ERROR(slice.block->codes_usable());
    }
  }
  std::vector<std::size_t> plain;
  std::vector<Query> certified;
  std::vector<SearchResults> results(queries.size());
  std::vector<std::size_t> places;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (PlanOf(job, queries[q], rows, coded_rows) == SearchPath::kPlainScan) {
      plain.push_back(q);
    } else {
      certified.push_back(queries[q]);
      places.push_back(q);
    }
  }
  for (std::size_t begin = 0; begin < certified.size(); begin += kQueriesAtOnce) {
    SearchJob part = job;
    part.queries = absl::MakeConstSpan(certified).subspan(begin, kQueriesAtOnce);
    ENGRAM_ASSIGN_OR_RETURN(auto found, CertifiedSearch(part));
    for (std::size_t i = 0; i < found.size(); ++i) {
      results[places[begin + i]] = std::move(found[i].results);
      if (found[i].given_up) plain.push_back(places[begin + i]);
    }
  }
  if (plain.empty()) return results;
  std::sort(plain.begin(), plain.end());
  std::vector<Query> rest;
  for (const std::size_t q : plain) rest.push_back(queries[q]);
  SearchJob part = job;
  part.queries = rest;
  ENGRAM_ASSIGN_OR_RETURN(auto found, PlainSearch(part));
  for (std::size_t i = 0; i < plain.size(); ++i) {
    SearchResults before = std::exchange(results[plain[i]], std::move(found[i]));
    if (results[plain[i]].info.truncated) {
      AddHits(job, std::move(before.hits), results[plain[i]].hits);
    }
  }
  return results;
}

}  // namespace engram::engine

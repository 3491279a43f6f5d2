#include "engine/exact_search.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "engine/top_k.h"

namespace engram::engine {
namespace {

using storage::RowSlice;
using storage::View;

constexpr std::size_t kPieceRows = 256;
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;  // stays cached while queries share it
constexpr std::uint64_t kBytesPerThread = std::uint64_t{2} << 20;
constexpr float kNoBound = -std::numeric_limits<float>::infinity();

// The clock is read once for so many floats scored; a row counts as some more, for what it
// costs besides: often enough for what SearchOptions::deadline promises.
constexpr std::uint64_t kWorkPerLook = std::uint64_t{1} << 17;
constexpr std::uint64_t kWorkPerRow = 64;

// The best hits of one query, of the rows that were scored for it.
struct Found {
  TopK best;
  std::uint64_t rows_scored = 0;
};

// Returns: how many rows are scored at a time, so that each piece of a block begins 64-byte
// aligned, as the block does.
std::size_t PieceRows(std::uint32_t dimension) {
  const std::size_t aligned = 16 / std::gcd(std::size_t{16}, std::size_t{dimension});
  const std::size_t rows = std::min(kPieceBytes / (dimension * sizeof(float)), kPieceRows);
  return std::max(aligned, rows / aligned * aligned);
}

// What the threads of one search share.
struct Shared {
  Shared(const View& view_in, const engram_kernels& kernels_in, Metric metric_in,
         const SearchOptions& options_in, absl::Span<const Query> queries_in)
      : view(view_in),
        kernels(kernels_in),
        metric(metric_in),
        options(options_in),
        queries(queries_in) {}

  const View& view;
  const engram_kernels& kernels;
  const Metric metric;
  const SearchOptions& options;
  absl::Span<const Query> queries;
  std::atomic<std::size_t> next_slice{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> late{false};

  absl::Mutex mutex;
  absl::Status status ABSL_GUARDED_BY(mutex);
  std::vector<Found> found ABSL_GUARDED_BY(mutex);
};

class Scanner {
 public:
  Scanner(Shared& shared, const Found& nothing)
      : shared_(shared),
        piece_rows_(PieceRows(shared.view.dimension())),
        found_(shared.queries.size(), nothing) {}

  void Run() {
    for (;;) {
      const std::size_t i = shared_.next_slice.fetch_add(1, std::memory_order_relaxed);
      if (i >= shared_.view.slice_count() || shared_.stop.load(std::memory_order_relaxed)) break;
      const absl::Status ready = shared_.view.ReadySlice(i, shared_.options.verify_checksums);
      if (!ready.ok()) {
        absl::MutexLock lock(&shared_.mutex);
        shared_.status.Update(ready);
        shared_.stop = true;
        break;
      }
      ScanSlice(shared_.view.slice(i));
    }
    absl::MutexLock lock(&shared_.mutex);
    for (std::size_t q = 0; q < found_.size(); ++q) {
      shared_.found[q].best.Merge(std::move(found_[q].best));
      shared_.found[q].rows_scored += found_[q].rows_scored;
    }
  }

 private:
  void ScanSlice(const RowSlice& slice) {
    if (slice.count == 0) return;
    const bool has_dead = shared_.view.tombstones().CountIn(slice.first_row, slice.end_row()) > 0;
    for (std::size_t begin = 0; begin < slice.count; begin += piece_rows_) {
      const std::size_t count = std::min<std::size_t>(piece_rows_, slice.count - begin);
      for (std::size_t q = 0; q < shared_.queries.size(); ++q) {
        if (MustStop(count)) return;
        ScoreRows(shared_.kernels, shared_.metric, shared_.queries[q], slice, begin, count,
                  scores_);
        KeepBest(slice, begin, count, has_dead, found_[q].best);
        found_[q].rows_scored += count;
      }
    }
  }

  // Before each piece of work: `rows` for one query.
  bool MustStop(std::size_t rows) {
    if (shared_.options.deadline.has_value()) {
      if (work_ >= kWorkPerLook) {
        work_ = 0;
        if (std::chrono::steady_clock::now() >= *shared_.options.deadline) {
          shared_.late = true;
          shared_.stop = true;
        }
      }
      work_ += rows * (shared_.view.dimension() + kWorkPerRow);
    }
    return shared_.stop.load(std::memory_order_relaxed);
  }

  void KeepBest(const RowSlice& slice, std::size_t begin, std::size_t count, bool has_dead,
                TopK& best) {
    for (std::size_t i = 0; i < count; ++i) {
      if (scores_[i] < best.bound()) continue;
      const auto index = static_cast<std::uint32_t>(begin + i);
      if (has_dead && shared_.view.IsDead(slice.row(index))) continue;
      best.Offer({.id = slice.ids[index], .score = scores_[i]});
    }
  }

  Shared& shared_;
  const std::size_t piece_rows_;
  std::vector<Found> found_;
  std::uint64_t work_ = kWorkPerLook;  // the first look comes first
  alignas(64) float scores_[kPieceRows];
};

std::size_t UsefulThreads(const View& view, std::uint32_t threads) {
  const std::uint64_t bytes = view.live_rows() * view.dimension() * sizeof(float);
  return std::clamp<std::uint64_t>(bytes / kBytesPerThread, 1, threads);
}

}  // namespace

absl::StatusOr<std::vector<SearchResults>> ExactSearch(const View& view,
                                                       const engram_kernels& kernels, Metric metric,
                                                       const SearchOptions& options,
                                                       std::uint32_t threads, SearchPool& pool,
                                                       absl::Span<const Query> queries) {
  const std::size_t k =
      std::max<std::uint64_t>(1, std::min<std::uint64_t>(options.k, view.live_rows()));
  const Found nothing{.best = TopK(k, options.min_score.value_or(kNoBound))};
  Shared shared(view, kernels, metric, options, queries);
  {
    absl::MutexLock lock(&shared.mutex);
    shared.found.assign(queries.size(), nothing);
  }
  pool.Run(UsefulThreads(view, threads) - 1, [&shared, &nothing] {
    // A helper may come when all is done.
    if (shared.next_slice.load(std::memory_order_relaxed) >= shared.view.slice_count()) return;
    Scanner(shared, nothing).Run();
  });

  absl::MutexLock lock(&shared.mutex);
  if (!shared.status.ok()) return shared.status;
  std::vector<SearchResults> results(queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    results[q].hits = shared.found[q].best.Take();
    results[q].info = {.path = SearchPath::kPlainScan,
                       .rows_in_store = view.live_rows(),
                       .rows_scored = shared.found[q].rows_scored,
                       .exact = !shared.late && options.verify_checksums,
                       .truncated = shared.late};
  }
  return results;
}

}  // namespace engram::engine

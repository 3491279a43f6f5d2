#include "engine/plain_search.h"

#include <numeric>
#include <utility>

#include "absl/synchronization/mutex.h"

namespace engram::engine {
namespace {

using storage::RowSlice;
using storage::View;

constexpr std::size_t kPieceRows = 256;
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;  // stays cached while queries share it

// Returns: how many rows are scored at a time, so that each piece of a block begins 64-byte
// aligned, as the block does.
std::size_t PieceRows(std::uint32_t dimension) {
  const std::size_t aligned = 16 / std::gcd(std::size_t{16}, std::size_t{dimension});
  const std::size_t rows = std::min(kPieceBytes / (dimension * sizeof(float)), kPieceRows);
  return std::max(aligned, rows / aligned * aligned);
}

// What the threads of one search share.
struct Shared {
  Shared(const SearchJob& job_in, absl::Span<const std::size_t> slices_in)
      : job(job_in), slices(slices_in) {}

  const SearchJob& job;
  const absl::Span<const std::size_t> slices;
  std::atomic<std::size_t> next{0};
  StopSign sign;

  absl::Mutex mutex;
  absl::Status status ABSL_GUARDED_BY(mutex);
  PlainFound found ABSL_GUARDED_BY(mutex);
};

class Scanner {
 public:
  explicit Scanner(Shared& shared)
      : shared_(shared),
        job_(shared.job),
        piece_rows_(PieceRows(job_.view.dimension())),
        watch_(job_.options, shared.sign),
        best_(job_.queries.size(), job_.NoHits()),
        rows_scored_(job_.queries.size()) {}

  void Run() {
    for (;;) {
      const std::size_t i = shared_.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= shared_.slices.size() || shared_.sign.stop.load(std::memory_order_relaxed)) break;
      const absl::Status ready =
          job_.view.ReadySlice(shared_.slices[i], job_.options.verify_checksums);
      if (!ready.ok()) {
        absl::MutexLock lock(&shared_.mutex);
        shared_.status.Update(ready);
        shared_.sign.stop = true;
        break;
      }
      ScanSlice(job_.view.slice(shared_.slices[i]));
    }
    absl::MutexLock lock(&shared_.mutex);
    for (std::size_t q = 0; q < best_.size(); ++q) {
      shared_.found.best[q].Merge(std::move(best_[q]));
      shared_.found.rows_scored[q] += rows_scored_[q];
    }
  }

 private:
  void ScanSlice(const RowSlice& slice) {
    if (slice.count == 0) return;
    const bool has_dead = job_.view.tombstones().CountIn(slice.first_row, slice.end_row()) > 0;
    for (std::size_t begin = 0; begin < slice.count; begin += piece_rows_) {
      const std::size_t count = std::min<std::size_t>(piece_rows_, slice.count - begin);
      for (std::size_t q = 0; q < job_.queries.size(); ++q) {
        if (watch_.MustStop(count * (job_.view.dimension() + kWorkPerRow))) return;
        ScoreRows(job_.kernels, job_.metric, job_.queries[q], slice, begin, count, scores_);
        KeepBest(slice, begin, count, has_dead, best_[q]);
        rows_scored_[q] += count;
      }
    }
  }

  void KeepBest(const RowSlice& slice, std::size_t begin, std::size_t count, bool has_dead,
                TopK& best) {
    for (std::size_t i = 0; i < count; ++i) {
      if (scores_[i] < best.threshold()) continue;
      const auto index = static_cast<std::uint32_t>(begin + i);
      if (has_dead && job_.view.IsDead(slice.row(index))) continue;
      best.Offer({.id = slice.ids[index], .score = scores_[i]});
    }
  }

  Shared& shared_;
  const SearchJob& job_;
  const std::size_t piece_rows_;
  DeadlineWatch watch_;
  std::vector<TopK> best_;
  std::vector<std::uint64_t> rows_scored_;
  alignas(64) float scores_[kPieceRows];
};

std::uint64_t BytesOf(const View& view, absl::Span<const std::size_t> slices) {
  std::uint64_t rows = 0;
  for (const std::size_t i : slices) rows += view.slice(i).count;
  return rows * view.dimension() * sizeof(float);
}

}  // namespace

absl::StatusOr<PlainFound> PlainScan(const SearchJob& job, absl::Span<const std::size_t> slices) {
  Shared shared(job, slices);
  {
    absl::MutexLock lock(&shared.mutex);
    shared.found.best.assign(job.queries.size(), job.NoHits());
    shared.found.rows_scored.assign(job.queries.size(), 0);
  }
  job.pool.Run(job.UsefulThreads(BytesOf(job.view, slices)) - 1, [&shared] {
    // A helper may come when all is done.
    if (shared.next.load(std::memory_order_relaxed) >= shared.slices.size()) return;
    Scanner(shared).Run();
  });
  absl::MutexLock lock(&shared.mutex);
  if (!shared.status.ok()) return shared.status;
  shared.found.late = shared.sign.late;
  return std::move(shared.found);
}

absl::StatusOr<std::vector<SearchResults>> PlainSearch(const SearchJob& job) {
  std::vector<std::size_t> slices(job.view.slice_count());
  std::iota(slices.begin(), slices.end(), std::size_t{0});
  auto found = PlainScan(job, slices);
  if (!found.ok()) return found.status();
  std::vector<SearchResults> results(job.queries.size());
  for (std::size_t q = 0; q < results.size(); ++q) {
    results[q].hits = found->best[q].Take();
    results[q].info = {.path = SearchPath::kPlainScan,
                       .rows_in_store = job.view.live_rows(),
                       .rows_scored = found->rows_scored[q],
                       .rows_rescored = 0,
                       .exact = !found->late && job.options.verify_checksums,
                       .truncated = found->late};
  }
  return results;
}

}  // namespace engram::engine

#include "engine/exact_search.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <system_error>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "engine/top_k.h"

namespace engram::engine {
namespace {

using storage::RowSlice;
using storage::View;

constexpr std::size_t kPieceRows = 256;
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;  // stays cached while queries share it
constexpr std::uint64_t kBytesPerThread = std::uint64_t{2} << 20;
constexpr float kWorst = -std::numeric_limits<float>::infinity();

void ToCosine(const Query& query, const float* norms, std::size_t count, float* scores) {
  for (std::size_t i = 0; i < count; ++i) {
    const float score = scores[i] / (query.norm * norms[i]);
    scores[i] = std::isfinite(score) ? std::clamp(score, -1.0f, 1.0f) : 0.0f;
  }
}

// Scores `count` rows from row `begin` of the slice on.
void ScoreRows(const engram_kernels& kernels, Metric metric, const Query& query,
               const RowSlice& slice, std::size_t begin, std::size_t count, float* scores) {
  const std::size_t dimension = query.vector.size();
  const bool l2 = metric == Metric::kL2Squared;
  engram_dot_kernel* kernel = l2 ? kernels.l2_squared : kernels.dot;
  kernel(query.vector.data(), slice.embeddings + begin * dimension, count, dimension, dimension,
         scores);
  if (metric == Metric::kCosine) return ToCosine(query, slice.norms + begin, count, scores);
  for (std::size_t i = 0; i < count; ++i) {
    const float score = l2 ? -scores[i] : scores[i];
    scores[i] = std::isnan(score) ? kWorst : score;
  }
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
  std::atomic<std::uint64_t> rows_scored{0};

  absl::Mutex mutex;
  absl::Status status ABSL_GUARDED_BY(mutex);
  std::vector<TopK> best ABSL_GUARDED_BY(mutex);
};

class Scanner {
 public:
  explicit Scanner(Shared& shared, std::size_t k)
      : shared_(shared),
        piece_rows_(std::clamp<std::size_t>(kPieceBytes / (shared.view.dimension() * sizeof(float)),
                                            1, kPieceRows)),
        best_(shared.queries.size(), TopK(k, shared.options.min_score.value_or(kWorst))) {}

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
    shared_.rows_scored += rows_scored_;
    absl::MutexLock lock(&shared_.mutex);
    for (std::size_t q = 0; q < best_.size(); ++q) shared_.best[q].Merge(best_[q]);
  }

 private:
  void ScanSlice(const RowSlice& slice) {
    if (slice.count == 0) return;
    const bool has_dead = shared_.view.tombstones().CountIn(slice.first_row, slice.end_row()) > 0;
    for (std::size_t begin = 0; begin < slice.count; begin += piece_rows_) {
      if (shared_.options.deadline.has_value() &&
          std::chrono::steady_clock::now() >= *shared_.options.deadline) {
        shared_.late = true;
        shared_.stop = true;
      }
      if (shared_.stop.load(std::memory_order_relaxed)) return;
      const std::size_t count = std::min<std::size_t>(piece_rows_, slice.count - begin);
      for (std::size_t q = 0; q < shared_.queries.size(); ++q) {
        ScorePiece(shared_.queries[q], slice, begin, count);
        KeepBest(slice, begin, count, has_dead, best_[q]);
      }
      rows_scored_ += count;
    }
  }

  void ScorePiece(const Query& query, const RowSlice& slice, std::size_t begin, std::size_t count) {
    ScoreRows(shared_.kernels, shared_.metric, query, slice, begin, count, scores_);
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
  std::vector<TopK> best_;
  std::uint64_t rows_scored_ = 0;
  alignas(64) float scores_[kPieceRows];
};

std::size_t UsefulThreads(const View& view, std::uint32_t threads) {
  const std::uint64_t bytes = view.live_rows() * view.dimension() * sizeof(float);
  return std::clamp<std::uint64_t>(bytes / kBytesPerThread, 1, threads);
}

}  // namespace

float ScoreRow(const engram_kernels& kernels, Metric metric, const Query& query,
               const RowSlice& slice, std::uint32_t index) {
  float score = 0.0f;
  ScoreRows(kernels, metric, query, slice, index, 1, &score);
  return score;
}

absl::StatusOr<std::vector<SearchResults>> ExactSearch(const View& view,
                                                       const engram_kernels& kernels, Metric metric,
                                                       const SearchOptions& options,
                                                       std::uint32_t threads,
                                                       absl::Span<const Query> queries) {
  const std::size_t k =
      std::max<std::uint64_t>(1, std::min<std::uint64_t>(options.k, view.live_rows()));
  Shared shared(view, kernels, metric, options, queries);
  {
    absl::MutexLock lock(&shared.mutex);
    shared.best.assign(queries.size(), TopK(k, options.min_score.value_or(kWorst)));
  }
  std::vector<std::thread> helpers;
  for (std::size_t i = 1; i < UsefulThreads(view, threads); ++i) {
    // No thread to be had is no reason to fail: the caller's does all the work.
    try {
      helpers.emplace_back([&shared, k] { Scanner(shared, k).Run(); });
    } catch (const std::system_error&) {
      break;
    }
  }
  Scanner(shared, k).Run();
  for (std::thread& helper : helpers) helper.join();

  absl::MutexLock lock(&shared.mutex);
  if (!shared.status.ok()) return shared.status;
  std::vector<SearchResults> results(queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    results[q].hits = shared.best[q].Take();
    results[q].info = {.path = SearchPath::kPlainScan,
                       .rows_in_store = view.live_rows(),
                       .rows_scored = shared.rows_scored,
                       .exact = !shared.late && options.verify_checksums,
                       .truncated = shared.late};
  }
  return results;
}

}  // namespace engram::engine

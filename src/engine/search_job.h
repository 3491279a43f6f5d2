// What one search call is about, shared by every way of answering it; and the clock that all of
// them keep.
#ifndef ENGRAM_ENGINE_SEARCH_JOB_H_
#define ENGRAM_ENGINE_SEARCH_JOB_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include "absl/types/span.h"
#include "engine/scores.h"
#include "engine/search_pool.h"
#include "engine/top_k.h"
#include "engram/options.h"
#include "engram/types.h"
#include "kernels/abi.h"
#include "storage/view.h"

namespace engram::engine {

struct SearchJob {
  const storage::View& view;
  const engram_kernels& kernels;
  Metric metric;
  const SearchOptions& options;
  std::uint32_t threads;  // at most: the caller's and those of `pool` that are free
  SearchPool& pool;
  absl::Span<const Query> queries;
  // A thread is worth waking for so many.
  std::uint64_t bytes_per_thread = std::uint64_t{2} << 20;

  // Returns: how many hits there can be, and at least 1.
  std::size_t MostHits() const {
    return std::max<std::uint64_t>(1, std::min<std::uint64_t>(options.k, view.live_rows()));
  }

  // An empty TopK for one query.
  TopK NoHits() const {
    return TopK(MostHits(), options.min_score.value_or(-std::numeric_limits<float>::infinity()));
  }

  // Returns: how many threads are worth waking for a scan of that many bytes.
  std::size_t UsefulThreads(std::uint64_t bytes) const {
    return std::clamp<std::uint64_t>(bytes / bytes_per_thread, 1, threads);
  }
};

// What DeadlineWatch counts for a row besides its floats: it costs as much as so many.
inline constexpr std::uint64_t kWorkPerRow = 64;

// When to stop, as the threads of one search agree on it. Thread-safe.
struct StopSign {
  std::atomic<bool> stop{false};
  std::atomic<bool> late{false};
};

// Looks at the clock often enough for what SearchOptions::deadline promises. Belongs to one
// thread.
class DeadlineWatch {
 public:
  DeadlineWatch(const SearchOptions& options, StopSign& sign) : options_(options), sign_(sign) {}

  // Before each piece of work, in floats that are scored. Returns: whether to leave it.
  bool MustStop(std::uint64_t work) {
    if (options_.deadline.has_value()) {
      if (work_ >= kWorkPerLook) {
        work_ = 0;
        if (std::chrono::steady_clock::now() >= *options_.deadline) {
          sign_.late = true;
          sign_.stop = true;
        }
      }
      work_ += work;
    }
    return sign_.stop.load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t kWorkPerLook = std::uint64_t{1} << 17;

  const SearchOptions& options_;
  StopSign& sign_;
  std::uint64_t work_ = kWorkPerLook;  // the first look comes first
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_SEARCH_JOB_H_

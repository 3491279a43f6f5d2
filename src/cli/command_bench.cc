// How fast this store answers on this machine: searches for its own embeddings.
#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kQueries = 256;

using Clock = std::chrono::steady_clock;

absl::StatusOr<std::vector<std::vector<float>>> SomeEmbeddings(const Store& store) {
  std::vector<std::vector<float>> queries;
  const auto it = store.NewIterator({});
  for (; it->Valid() && queries.size() < kQueries; it->Next()) {
    const absl::Span<const float> vector = it->vector();
    if (!vector.empty()) queries.emplace_back(vector.begin(), vector.end());
  }
  ENGRAM_RETURN_IF_ERROR(it->status());
  if (queries.empty()) return absl::FailedPreconditionError("the store has no embedding to search");
  return queries;
}

struct Times {
  std::vector<double> seconds;  // of each search
  double total = 0;
  double bytes = 0;                          // of embeddings that were scored in f32
  SearchPath path = SearchPath::kPlainScan;  // of the last

  double Percentile(double part) {
    const auto at = seconds.begin() +
                    static_cast<std::ptrdiff_t>(part * static_cast<double>(seconds.size() - 1));
    std::nth_element(seconds.begin(), at, seconds.end());
    return *at;
  }
};

absl::StatusOr<Times> TimeSearches(const Store& store, const SearchOptions& options,
                                   const std::vector<std::vector<float>>& queries,
                                   double at_least) {
  // Once before the clock runs: the first touch of a block reads and verifies it.
  ENGRAM_RETURN_IF_ERROR(store.Search(options, queries[0]).status());
  const double row_bytes = store.Stats().dimension * double{sizeof(float)};
  Times times;
  for (std::size_t q = 0; times.total < at_least; q = (q + 1) % queries.size()) {
    const Clock::time_point begin = Clock::now();
    ENGRAM_ASSIGN_OR_RETURN(const SearchResults results, store.Search(options, queries[q]));
    times.seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    times.total += times.seconds.back();
    times.path = results.info.path;
    const bool plain = times.path == SearchPath::kPlainScan;
    times.bytes += row_bytes * static_cast<double>(plain ? results.info.rows_scored
                                                         : results.info.rows_rescored);
  }
  return times;
}

}  // namespace

CommandResult Bench(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const auto queries, SomeEmbeddings(*store));
  SearchOptions options;
  options.k = arguments.k;
  options.threads = arguments.threads;
  ENGRAM_ASSIGN_OR_RETURN(Times times, TimeSearches(*store, options, queries, arguments.seconds));
  const double rate = static_cast<double>(times.seconds.size()) / times.total;
  const double median = 1e3 * times.Percentile(0.5), worst = 1e3 * times.Percentile(0.99);
  const double gigabytes = 1e-9 * times.bytes / times.total;
  const StoreStats stats = store->Stats();
  const std::uint32_t threads = arguments.threads != 0
                                    ? arguments.threads
                                    : std::max(1u, std::thread::hardware_concurrency());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat(
        "{\"rows\":%d,\"dimension\":%d,\"k\":%d,\"searches\":%d,\"queries_per_second\":%.9g,"
        "\"p50_ms\":%.9g,\"p99_ms\":%.9g,\"gigabytes_per_second\":%.9g,\"path\":\"%s\",\"threads\":"
        "%d,"
        "\"kernel\":%s}",
        stats.rows, stats.dimension, arguments.k, times.seconds.size(), rate, median, worst,
        gigabytes, PathName(times.path), threads, Quoted(stats.kernel))));
    return 0;
  }
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat(
      "%d searches of %d rows x %d, k = %d, up to %d threads, kernels %s", times.seconds.size(),
      stats.rows, stats.dimension, arguments.k, threads, stats.kernel)));
  ENGRAM_RETURN_IF_ERROR(
      Print(absl::StrFormat("%.1f queries/s, %.3f ms in the median, %.3f ms at 99 %%, %.1f GB/s of "
                            "embeddings, %s",
                            rate, median, worst, gigabytes, PathName(times.path))));
  return 0;
}

}  // namespace engram::cli

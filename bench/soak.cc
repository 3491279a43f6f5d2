// A fixed load for a long time, and whether anything grows by it: soak MINUTES RESULT.json.
// Searches, recalls, gets and refreshes at fixed rates beside a writer that puts and deletes as
// many memories, whose number stays level; the store seals, compacts and merges by itself, and is
// asked to now and then. Each minute it prints the latencies, counted from when a call was due. At
// the end memory, descriptors, mappings, log and disk must be where they were, and searches beside
// a writer as fast as it can must not wait much longer than alone: else it ends with 1.
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "absl/strings/str_format.h"
#include "bench/support.h"
#include "engram/engram.h"

namespace engram::bench {
namespace {

using nlohmann::json;
using std::chrono::duration;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kDimension = 128;
constexpr MemoryId kLive = 40'000;
// Ids come again: each that was ever used leaves its node, whose columns would grow.
constexpr MemoryId kIds = 2 * kLive;
constexpr MemoryId kBatch = 25;
constexpr int kPayloadBytes = 200;

constexpr double kSearches = 40, kRecalls = 10, kGets = 100, kBatches = 16, kRefreshes = 0.2;
constexpr int kSealSeconds = 60, kCompactSeconds = 180;
constexpr seconds kLate{1};     // a call that is due longer than this ago is left out
constexpr seconds kBeside{60};  // for each of idle and beside a full-speed writer
// Of the p99 of searches alone. Where writer and background keep both of two processors busy, a
// search waits for one of them, which was measured as 2.6; what takes longer waits for something
// else, or the machine has other work.
constexpr double kMostTimesIdle = 3;
constexpr seconds kLeastToJudge{300};  // caches and free lists are still filling in shorter runs

[[noreturn]] void Die(const absl::Status& status, const char* doing) {
  std::fprintf(stderr, "soak: %s: %s\n", doing, status.ToString().c_str());
  std::exit(2);
}
void Must(const absl::Status& status, const char* doing) {
  if (!status.ok()) Die(status, doing);
}

// Milliseconds by kind of call, since they were last taken.
class Latencies {
 public:
  void Add(const std::string& kind, double milliseconds) {
    const std::lock_guard lock(mutex_);
    times_[kind].push_back(milliseconds);
  }
  void Miss(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    ++missed_[kind];
  }
  json Take() {
    std::map<std::string, std::vector<double>> times;
    std::map<std::string, std::uint64_t> missed;
    {
      const std::lock_guard lock(mutex_);
      times.swap(times_);
      missed.swap(missed_);
    }
    for (const auto& [kind, count] : missed) times[kind];  // also where no call was in time
    json all;
    for (auto& [kind, of] : times) {
      std::sort(of.begin(), of.end());
      const auto at = [&of](double share) {
        if (of.empty()) return std::numeric_limits<double>::infinity();
        return of[std::min(of.size() - 1,
                           static_cast<std::size_t>(share * static_cast<double>(of.size())))];
      };
      all[kind] = {{"calls", of.size()}, {"left_out", missed[kind]}, {"p50_ms", at(0.5)},
                   {"p99_ms", at(0.99)}, {"p99.9_ms", at(0.999)},    {"max_ms", at(1)}};
    }
    return all;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<double>> times_;
  std::map<std::string, std::uint64_t> missed_;
};

// The number after `name` in a file of /proc/self.
double FromProc(const char* file, const std::string& name) {
  std::ifstream in(std::string("/proc/self/") + file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name, 0) == 0) return std::strtod(line.c_str() + name.size(), nullptr);
  }
  return 0;
}

double CountOf(const char* file) {
  std::ifstream in(std::string("/proc/self/") + file);
  return static_cast<double>(
      std::count(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>(), '\n'));
}

// What must not grow: how to read it, and by how much it may be more at the end.
struct Gauge {
  const char* name;
  double ratio, slack;
  std::function<double(const StoreStats&)> read;
};

const std::vector<Gauge>& Gauges() {
  constexpr double kMiB = 1 << 20;
  static const std::vector<Gauge> gauges = {
      {"anonymous_MiB", 1.1, 8, [](const auto&) { return FromProc("status", "RssAnon:") / 1024; }},
      // Of the process what is allocated, and not what malloc keeps of what was.
      {"allocated_MiB", 1.1, 8,
       [](const auto&) {
         const auto of = ::mallinfo2();
         return double(of.uordblks + of.hblkhd) / kMiB;
       }},
      {"resident_MiB", 1.15, 32, [](const auto&) { return FromProc("status", "VmRSS:") / 1024; }},
      {"heap_of_store_MiB", 1.1, 8, [](const auto& s) { return double(s.bytes_heap) / kMiB; }},
      {"descriptors", 1.1, 8,
       [](const auto&) {
         return double(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
       }},
      {"mappings", 1.1, 16, [](const auto&) { return CountOf("maps"); }},
      {"wal_MiB", 1.25, 16, [](const auto& s) { return double(s.wal_bytes) / kMiB; }},
      {"disk_MiB", 1.15, 32, [](const auto& s) { return double(s.bytes_on_disk) / kMiB; }},
      {"memories", 1.0, kBatch, [](const auto& s) { return double(s.memories); }},
  };
  return gauges;
}

using Series = std::map<std::string, std::vector<double>>;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// The slope of the line that fits the second half best, of values a second apart.
double PerHour(const std::vector<double>& all) {
  const std::size_t begin = all.size() / 2, count = all.size() - begin;
  const double middle = (static_cast<double>(count) - 1) / 2;
  double above = 0, below = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double away = static_cast<double>(i) - middle;
    above += away * all[begin + i];
    below += away * away;
  }
  return below == 0 ? 0 : above / below * 3600;
}

// Returns: for each gauge the medians of the second and of the last quarter, whether the last
// is at most ratio x second + slack, and a slope that is only told: that of half a run also has in
// it where between two seals the run happened to end.
json Judge(const Series& series, bool long_enough, bool* all_flat) {
  json judged;
  for (const Gauge& gauge : Gauges()) {
    const std::vector<double>& all = series.at(gauge.name);
    const auto quarter = [&all](std::size_t n) {
      return Median({all.begin() + std::ptrdiff_t(all.size() * n / 4),
                     all.begin() + std::ptrdiff_t(all.size() * (n + 1) / 4)});
    };
    const double second = quarter(1), last = quarter(3), most = gauge.ratio * second + gauge.slack;
    const double per_hour = PerHour(all);
    judged[gauge.name] = {{"second_quarter", second},
                          {"last_quarter", last},
                          {"may_be", most},
                          {"most", *std::max_element(all.begin(), all.end())},
                          {"per_hour", per_hour}};
    const bool flat = last <= most;
    if (long_enough) {
      *all_flat = *all_flat && flat;
      judged[gauge.name]["flat"] = flat;
    }
    std::printf(
        "%-18s %10.1f in the second quarter, %10.1f in the last, may be %10.1f, %+.1f an hour%s\n",
        gauge.name, second, last, most, per_hour,
        !long_enough ? ""
        : flat       ? ": flat"
                     : ": NOT FLAT");
  }
  return judged;
}

double ProcessorSeconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) {
    return double(time.tv_sec) + double(time.tv_usec) / 1e6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

class Soak {
 public:
  Soak() : vectors_(SeededFloats(std::size_t{kDimension} * 4096, 1)) {
    StoreOptions options;
    options.dimension = kDimension;
    options.create_if_missing = true;
    options.seal_bytes = 2 << 20;
    options.block_cache_bytes = 8 << 20;  // full soon, so that what grows later is something else
    options.search_threads = 1;
    auto store = Store::Open(options, folder_ / "s");
    Must(store.status(), "opening");
    store_ = *std::move(store);
    MemoryId next = 0;
    std::vector<float> vector;
    std::string payload;
    Must(store_
             ->Import({},
                      [&](ImportRow* row) -> absl::StatusOr<bool> {
                        if (next == kLive) return false;
                        vector = VectorOf(next);
                        payload.assign(kPayloadBytes, static_cast<char>('a' + next % 26));
                        row->id = next++;
                        row->vector = vector;
                        row->payload = payload;
                        return true;
                      })
             .status(),
         "importing");
    StoreOptions read_only;
    read_only.read_only = true;
    read_only.search_threads = 1;
    auto follower = Store::Open(read_only, folder_ / "s");
    Must(follower.status(), "opening read-only");
    follower_ = *std::move(follower);
  }

  // The fixed load. Returns: what each minute was like.
  json Run(seconds time, Series* series) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    const auto start = [&](const char* kind, double rate, std::function<void()> call) {
      threads.emplace_back([this, &stop, kind, rate, call] { AtRate(stop, kind, rate, call); });
    };
    start("search", kSearches, [this, n = 0ull]() mutable { SearchOnce(n += 2); });
    start("recall", kRecalls, [this, n = 1ull]() mutable { RecallOnce(n += 2); });
    start("get", kGets, [this, n = 0ull]() mutable { GetOnce(n += 7919); });
    start("write", kBatches, [this] { WriteOnce(); });
    start("refresh", kRefreshes, [this] { Must(follower_->Refresh(), "refreshing"); });
    start("seal", 1.0 / kSealSeconds, [this] { Must(store_->Seal(), "sealing"); });
    start("compact", 1.0 / kCompactSeconds, [this] { Must(store_->Compact({}), "compacting"); });
    json minutes = json::array();
    const auto begin = Clock::now();
    for (int second = 1; second <= time.count(); ++second) {
      std::this_thread::sleep_until(begin + seconds(second));
      const StoreStats stats = store_->Stats();
      for (const Gauge& gauge : Gauges()) (*series)[gauge.name].push_back(gauge.read(stats));
      if (second % 60 != 0 && second != time.count()) continue;
      minutes.push_back(Minute(*series));
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    Must(follower_->Close(), "closing what reads");
    return minutes;
  }

  // Until nothing of what the load has left to the background goes on. RocksDB's threads are in no
  // StoreStats, but they use the processor.
  void AwaitIdle() {
    constexpr int kQuietSeconds = 3, kMostSeconds = 120;
    constexpr double kQuiet = 0.02;
    Must(store_->Compact({}), "compacting");
    for (int second = 0, quiet = 0; quiet < kQuietSeconds; ++second) {
      if (second == kMostSeconds) Die(absl::DeadlineExceededError("is never idle"), "waiting");
      const double before = ProcessorSeconds();
      std::this_thread::sleep_for(seconds(1));
      quiet = ProcessorSeconds() - before < kQuiet ? quiet + 1 : 0;
    }
  }

  // Searches at their rate, alone and beside a writer as fast as it can. Returns: both, and adds to
  // `faults` what is wrong with them.
  json BesideAWriter(seconds time, std::vector<std::string>* faults) {
    json both;
    AwaitIdle();
    latencies_.Take();  // those of the load's last moments
    for (const bool writes : {false, true}) {
      std::atomic<bool> stop{false};
      std::uint64_t batches = 0;
      std::thread searcher([&] {
        AtRate(stop, "search", kSearches, [this, n = 0ull]() mutable { SearchOnce(n += 2); });
      });
      std::thread writer([&] {
        for (; writes && !stop; ++batches) WriteOnce();
      });
      std::this_thread::sleep_for(time);
      stop = true;
      searcher.join();
      writer.join();
      const char* name = writes ? "beside_writer" : "idle";
      both[name] = latencies_.Take()["search"];
      both[name]["rows_written_per_second"] =
          static_cast<double>(batches * kBatch) / static_cast<double>(time.count());
    }
    const auto p99 = [&](const char* which) { return both[which]["p99_ms"].get<double>(); };
    const double ratio = p99("beside_writer") / p99("idle");
    both["p99_ratio"] = ratio;
    std::printf("search p99: idle %.2f ms, beside a full-speed writer %.2f ms: %.2f times\n",
                p99("idle"), p99("beside_writer"), ratio);
    if (!(ratio <= kMostTimesIdle)) {
      faults->push_back(
          absl::StrFormat("search waits too long beside a writer: p99 is %.2f times that of an "
                          "idle store, may be %.1f times",
                          ratio, kMostTimesIdle));
    }
    for (const char* which : {"idle", "beside_writer"}) {
      const auto left_out = both[which]["left_out"].get<std::uint64_t>();
      std::printf("searches left out, because they were due too long ago: %llu %s\n",
                  static_cast<unsigned long long>(left_out), which);
      if (left_out == 0) continue;
      faults->push_back(absl::StrFormat("%d searches were left out %s", left_out, which));
    }
    return both;
  }

  void Close() {
    const auto report = store_->Verify({});
    Must(report.status(), "verifying");
    if (!report->findings.empty()) Die(absl::DataLossError(report->findings[0]), "verifying");
    Must(store_->Close(), "closing");
  }
  std::string kernel() const { return store_->Stats().kernel; }

 private:
  std::vector<float> VectorOf(std::uint64_t n) const {
    const auto begin = vectors_.begin() + std::ptrdiff_t(n * 37 % 4096 * kDimension);
    std::vector<float> vector(begin, begin + kDimension);
    vector[n % kDimension] += static_cast<float>(n % 97) / 97.0f;
    return vector;
  }

  // Calls `rate` times a second until `stop`, and notes how long after they were due they were
  // done.
  void AtRate(const std::atomic<bool>& stop, const std::string& kind, double rate,
              const std::function<void()>& call) {
    const auto period = std::chrono::duration_cast<Clock::duration>(duration<double>(1 / rate));
    for (auto due = Clock::now() + period; !stop; due += period) {
      while (!stop && Clock::now() < due) {
        std::this_thread::sleep_until(std::min(due, Clock::now() + std::chrono::milliseconds(200)));
      }
      if (stop) return;
      if (Clock::now() > due + kLate + period) {
        latencies_.Miss(kind);
        continue;
      }
      call();
      latencies_.Add(kind, duration<double, std::milli>(Clock::now() - due).count());
    }
  }

  void SearchOnce(std::uint64_t n) {
    const auto found = store_->Search({}, VectorOf(n));
    Must(found.status(), "searching");
    if (!found->info.exact || found->hits.size() != 10) Die(absl::InternalError("few hits"), "");
  }
  void RecallOnce(std::uint64_t n) {
    RecallOptions options;
    options.strength_weight = 0.1f;
    Must(store_->Recall(options, VectorOf(n)).status(), "recalling");
  }
  // Of the younger half, which is not deleted soon.
  void GetOnce(std::uint64_t n) {
    const MemoryId id = (first_ + kLive / 2 + n % (kLive / 4)) % kIds;
    Must(store_->Get({}, id).status(), "getting");
  }
  // Puts kBatch memories with an edge each and deletes the oldest. One thread at a time.
  void WriteOnce() {
    WriteBatch batch;
    const MemoryId first = first_;
    for (MemoryId i = 0; i < kBatch; ++i) {
      const MemoryId id = (first + kLive + i) % kIds;
      batch.Put(id, VectorOf(++written_), std::string(kPayloadBytes, 'w'));
      batch.PutEdge({.from = id, .to = (id + kIds - 1) % kIds, .weight = 0.5f});
      batch.PutEdge({.from = (id + kIds - 5) % kIds, .to = id, .weight = 0.25f});
    }
    for (MemoryId i = 0; i < kBatch; ++i) {
      batch.Reinforce((first + kLive / 2 + i) % kIds, 0.01f);
      batch.Delete((first + i) % kIds);
    }
    Must(store_->Write({}, batch), "writing");
    first_ = (first + kBatch) % kIds;
  }

  json Minute(const Series& series) {
    json minute = {{"latencies", latencies_.Take()}};
    std::printf("minute %zu:", series.at("memories").size() / 60);
    for (const char* kind : {"search", "recall", "get", "write", "refresh"}) {
      if (!minute["latencies"].contains(kind)) continue;
      const json& of = minute["latencies"][kind];
      std::printf(" %s %.2f/%.2f/%.2f", kind, of["p50_ms"].get<double>(),
                  of["p99_ms"].get<double>(), of["p99.9_ms"].get<double>());
      const auto left_out = of["left_out"].get<unsigned long long>();
      if (left_out > 0) std::printf(" (%llu left out)", left_out);
    }
    for (const Gauge& gauge : Gauges()) {
      minute[gauge.name] = series.at(gauge.name).back();
      std::printf(" %s %.0f", gauge.name, series.at(gauge.name).back());
    }
    std::printf("\n");
    std::fflush(stdout);
    return minute;
  }

  TempDir folder_;
  const std::vector<float> vectors_;
  std::unique_ptr<Store> store_, follower_;
  Latencies latencies_;
  std::atomic<MemoryId> first_{0};  // the oldest that lives
  std::uint64_t written_ = kLive;
};

json Context(double minutes, const std::string& kernel) {
  json context = {
      {"minutes", minutes}, {"kernels", kernel}, {"rows", kLive}, {"dimension", kDimension}};
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) context["cpu"] = line.substr(line.find(':') + 2);
  }
  context["cpus"] = std::thread::hardware_concurrency();
  context["calls_per_second"] = {{"search", kSearches},
                                 {"recall", kRecalls},
                                 {"get", kGets},
                                 {"write", kBatches},
                                 {"refresh", kRefreshes}};
  context["rows_per_write"] = kBatch;
  return context;
}

double LoadAverage() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

int Main(double minutes, const char* result) {
  Soak soak;
  json report = {{"context", Context(minutes, soak.kernel())}};
  const auto time = seconds(std::max(1, static_cast<int>(60 * minutes)));
  Series series;
  report["context"]["load_average"] = {LoadAverage()};
  report["minutes"] = soak.Run(time, &series);
  report["context"]["load_average"].push_back(LoadAverage());
  const bool long_enough = time >= kLeastToJudge;
  bool flat = true;
  report["growth"] = Judge(series, long_enough, &flat);
  std::vector<std::string> faults;
  if (!flat) faults.emplace_back("something grows");
  report["search"] = soak.BesideAWriter(kBeside, &faults);
  soak.Close();
  report["faults"] = faults;
  std::ofstream(result) << report.dump(1) << '\n';
  if (!long_enough) {
    std::printf("too short to judge growth: that takes %lld minutes\n",
                static_cast<long long>(kLeastToJudge / std::chrono::minutes(1)));
  } else if (flat) {
    std::printf("nothing grows\n");
  }
  for (const std::string& fault : faults) std::printf("%s\n", fault.c_str());
  return faults.empty() ? 0 : 1;
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  const double minutes = argc == 3 ? std::strtod(argv[1], nullptr) : 0;
  if (minutes <= 0) {
    std::fprintf(stderr, "usage: soak MINUTES RESULT.json\n");
    return 2;
  }
  return engram::bench::Main(minutes, argv[2]);
}

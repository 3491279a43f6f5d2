#include "engine/certified_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "engine/candidates.h"
#include "engine/coded_slices.h"
#include "engine/plain_search.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

using storage::kSuperblockRows;

// Reading more superblocks at once would only need larger buffers.
constexpr std::size_t kSuperblocksAtOnce = 64;

// Between two looks at the clock.
constexpr std::size_t kBytesAtOnce = std::size_t{512} << 10;

// What a batch reads again and again lies in the nearest cache.
constexpr std::size_t kCachedBytes = std::size_t{28} << 10;

// Of every so many superblocks one is in the sample, or more where k is large: it must hold
// more good rows than are asked for.
constexpr std::size_t kSampleStride = 32;

// A query of which more than one row in so many stays a candidate is better off without codes.
constexpr std::size_t kRowsPerCandidate = 2;

// How many candidates all queries of all threads may have together, some 64 MiB of them, and how
// many each of them may have however many there are.
constexpr std::size_t kMostCandidates = std::size_t{5} << 20;
constexpr std::size_t kLeastShare = 1024;
// Not worth a look at how large a part of the rows they are.
constexpr std::size_t kFewCandidates = 16384;

// The shares of a thread's superblocks after which the threshold is looked at again.
constexpr double kClimbs[] = {0.03125, 0.0625, 0.125, 0.25, 0.5};

// What all threads know of one query.
struct Plan {
  Plan(const SearchJob& job, const Query& query_in, const CodedSlices& slices)
      : query(query_in), bounds(job.kernels, job.metric, query_in), fine(bounds.CodeFine()) {
    for (const storage::RotationView* rotation : slices.rotations()) {
      coded.push_back(bounds.Code(rotation));
    }
  }

  const Query& query;
  const ScoreBounds bounds;
  const FineQuery fine;
  std::vector<CodedQuery> coded;  // by CodedSlices::rotations
  Candidates::Scored scored;      // written before other threads come
  // A row that scores less is not among the k best: the highest of what the threads found.
  std::atomic<float> threshold{-std::numeric_limits<float>::infinity()};
  std::atomic<bool> given_up{false};

  void Raise(float score) {
    float known = threshold.load(std::memory_order_relaxed);
    while (known < score && !threshold.compare_exchange_weak(known, score)) {
    }
  }
};

struct Shared {
  Shared(const SearchJob& job_in, const CodedSlices& slices_in, PlainFound plain_in)
      : job(job_in), slices(slices_in), plain(std::move(plain_in)) {
    std::uint64_t work = job.view.dimension();
    for (const storage::RotationView* rotation : slices.rotations()) {
      work += job.view.dimension() * (rotation == nullptr ? 1 : rotation->code_dimensions);
    }
    DeadlineWatch watch(job.options, sign);
    for (const Query& query : job.queries) {
      if (watch.MustStop(work)) return;
      plans.push_back(std::make_unique<Plan>(job, query, slices));
    }
  }

  const SearchJob& job;
  const CodedSlices& slices;
  std::size_t stride = 1;
  std::size_t threads = 1;
  std::vector<std::unique_ptr<Plan>> plans;  // of all queries, unless there was no time
  std::atomic<std::size_t> next{0};
  StopSign sign;

  absl::Mutex mutex;
  PlainFound plain;  // what there is besides codes; then all
  std::vector<std::uint64_t> rescored;
};

// One thread's share of one search.
class Scanner {
 public:
  explicit Scanner(Shared& shared)
      : shared_(shared),
        job_(shared.job),
        watch_(job_.options, shared.sign),
        rows_(kSuperblocksAtOnce * kSuperblockRows + 16),
        bounds_(rows_.size()),
        rows_scored_(shared.plans.size()) {
    for (const auto& plan : shared.plans) {
      found_.emplace_back(job_, shared.slices, *plan);
    }
  }

  // Finds a first threshold for every query.
  void Sample() {
    for (std::size_t q = 0; q < found_.size() && !Out(q); ++q) SampleFor(q);
  }

  // After the sample, whoever took it.
  void Scan() {
    for (Found& found : found_) found.PassOver(found.plan->scored);
    const auto& slices = shared_.slices.slices();
    for (;;) {
      const std::size_t i = shared_.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= slices.size() || shared_.sign.stop.load(std::memory_order_relaxed)) break;
      ScanSlice(slices[i]);
      scanned_ += slices[i].superblocks;
      MayClimb();
    }
  }

  void Finish() {
    for (std::size_t q = 0; q < found_.size(); ++q) {
      if (Out(q)) continue;
      found_[q].TakeThreshold();
      found_[q].Finish(watch_, [&] { Share(q); });
    }
    for (std::size_t q = 0; q < found_.size(); ++q) Share(q);
    absl::MutexLock lock(&shared_.mutex);
    for (std::size_t q = 0; q < found_.size(); ++q) {
      shared_.plain.rows_scored[q] += rows_scored_[q];
      shared_.rescored[q] += found_[q].rescored();
    }
  }

 private:
  struct Found : Candidates {
    Found(const SearchJob& job, const CodedSlices& slices, Plan& plan_in)
        : Candidates(job, slices, plan_in.query, plan_in.bounds, plan_in.fine), plan(&plan_in) {}
    // What other threads found counts here too.
    void TakeThreshold() { SetThreshold(plan->threshold.load(std::memory_order_relaxed)); }
    Plan* plan;
  };

  bool Out(std::size_t q) const {
    return shared_.sign.stop.load(std::memory_order_relaxed) ||
           found_[q].plan->given_up.load(std::memory_order_relaxed);
  }

  // The k best are those of all threads, and their threshold is everybody's.
  void Share(std::size_t q) {
    const std::vector<Hit> fresh = found_[q].TakeFresh();
    if (!fresh.empty()) {
      absl::MutexLock lock(&shared_.mutex);
      TopK& best = shared_.plain.best[q];
      for (const Hit& hit : fresh) best.Offer(hit);
      found_[q].plan->Raise(best.threshold());
    }
    found_[q].TakeThreshold();
  }

  void Climb(std::size_t q) {
    found_[q].Climb(watch_);
    Share(q);
  }

  ScoreBounds::ForBlock Bind(const CodedSlice& slice, Found& found) const {
    found.TakeThreshold();
    return found.plan->bounds.Bind(found.plan->coded[slice.rotation], *slice.rows.codes,
                                   found.least());
  }

  // As ScanSlice, all bounds of the superblocks in the sample.
  void SampleFor(std::size_t q) {
    Found& found = found_[q];
    std::vector<float> all;
    for (const CodedSlice& slice : shared_.slices.slices()) {
      const ScoreBounds::ForBlock block = Bind(slice, found);
      for (std::size_t s = slice.NextSampled(0, shared_.stride); s < slice.superblocks;
           s += shared_.stride) {
        if (watch_.MustStop(kSuperblockRows * (job_.view.dimension() / 8 + 8))) return;
        const std::size_t at = all.size();
        all.resize(at + kSuperblockRows);
        slice.Estimate(job_, block, s, all.data() + at);
      }
    }
    found.plan->scored = found.StartFrom(all, shared_.stride, watch_);
    Share(q);
  }

  // All queries in turn over a piece that stays cached meanwhile.
  void ScanSlice(const CodedSlice& slice) {
    blocks_.clear();
    for (Found& found : found_) blocks_.push_back(Bind(slice, found));
    const std::size_t bytes = storage::SuperblockBytes(slice.rows.codes->groups);
    const std::size_t at_once = std::clamp<std::size_t>(
        (found_.size() == 1 ? kBytesAtOnce : kCachedBytes) / bytes, 1, kSuperblocksAtOnce);
    for (std::size_t s = 0; s < slice.superblocks; s += at_once) {
      const std::size_t end = std::min(slice.superblocks, s + at_once);
      for (std::size_t q = 0; q < found_.size(); ++q) {
        // Integers in a row cost about an eighth of its floats.
        if (watch_.MustStop((end - s) * kSuperblockRows * (job_.view.dimension() / 8 + 8))) return;
        if (!Out(q)) ScanPiece(slice, q, s, end);
      }
    }
  }

  void ScanPiece(const CodedSlice& slice, std::size_t q, std::size_t s, std::size_t end) {
    Found& found = found_[q];
    const std::size_t hits = slice.Scan(job_, blocks_[q], s, end - s, rows_.data(), bounds_.data());
    found.Add(slice, blocks_[q], s, rows_.data(), bounds_.data(), hits);
    rows_scored_[q] +=
        std::min<std::size_t>(end * kSuperblockRows, slice.rows.count) - s * kSuperblockRows;
    const std::size_t share =
        std::max(kMostCandidates / (found_.size() * shared_.threads), kLeastShare);
    const std::size_t most = std::min<std::size_t>(
        share, std::max<std::size_t>(rows_scored_[q] / kRowsPerCandidate, kFewCandidates));
    if (found.size() <= most) return;
    // Those that came may themselves have raised what is asked of them.
    Climb(q);
    found.DropHopeless();
    if (found.size() > most) found.plan->given_up = true;
  }

  void MayClimb() {
    const double share = static_cast<double>(scanned_ * shared_.threads) /
                         static_cast<double>(shared_.slices.superblocks());
    if (climbs_ == std::size(kClimbs) || share < kClimbs[climbs_]) return;
    while (climbs_ < std::size(kClimbs) && share >= kClimbs[climbs_]) ++climbs_;
    for (std::size_t q = 0; q < found_.size(); ++q) {
      if (!Out(q)) Climb(q);
    }
  }

  Shared& shared_;
  const SearchJob& job_;
  DeadlineWatch watch_;
  std::vector<std::uint32_t> rows_;
  std::vector<float> bounds_;
  std::vector<ScoreBounds::ForBlock> blocks_;  // by query
  std::vector<std::uint64_t> rows_scored_;
  std::vector<Found> found_;
  std::size_t scanned_ = 0;
  std::size_t climbs_ = 0;
};

std::vector<CertifiedResults> ResultsOf(Shared& shared, bool late) {
  std::vector<CertifiedResults> results(shared.job.queries.size());
  absl::MutexLock lock(&shared.mutex);
  for (std::size_t q = 0; q < results.size(); ++q) {
    const bool given_up = !late && shared.plans[q]->given_up;
    results[q].given_up = given_up;
    results[q].results.hits = shared.plain.best[q].Take();
    results[q].results.info = {
        .path = SearchPath::kCertifiedScan,
        .rows_in_store = shared.job.view.live_rows(),
        // Rows of the sample are counted when the scan gets to them.
        .rows_scored = std::max(shared.plain.rows_scored[q], shared.rescored[q]),
        .rows_rescored = shared.rescored[q],
        .exact = !late && !given_up && shared.job.options.verify_checksums,
        .truncated = late};
  }
  return results;
}

std::vector<CertifiedResults> NothingInTime(const SearchJob& job) {
  CertifiedResults nothing;
  nothing.results.info.path = SearchPath::kCertifiedScan;
  nothing.results.info.rows_in_store = job.view.live_rows();
  nothing.results.info.truncated = true;
  return std::vector<CertifiedResults>(job.queries.size(), nothing);
}

}  // namespace

absl::StatusOr<std::vector<CertifiedResults>> CertifiedSearch(const SearchJob& job) {
  StopSign checking;
  ENGRAM_RETURN_IF_ERROR(CodedSlices::Check(job, checking));
  if (checking.late) return NothingInTime(job);
  const CodedSlices slices = CodedSlices::Of(job);
  ENGRAM_ASSIGN_OR_RETURN(PlainFound plain, PlainScan(job, slices.others()));
  const bool late = plain.late;
  Shared shared(job, slices, std::move(plain));
  shared.rescored.assign(job.queries.size(), 0);
  if (late || shared.sign.late) return ResultsOf(shared, true);
  shared.stride =
      std::clamp<std::size_t>(slices.superblocks() / (2 * job.MostHits()), 1, kSampleStride);
  shared.threads = job.UsefulThreads(slices.bytes());
  for (std::size_t q = 0; q < job.queries.size(); ++q) {
    shared.plans[q]->Raise(shared.plain.best[q].threshold());
  }
  // What the plain part found is shared by all threads, and merged with what they find.
  Scanner first(shared);
  first.Sample();
  job.pool.Run(shared.threads - 1, [&shared, &first, caller = std::this_thread::get_id()] {
    if (std::this_thread::get_id() == caller) {
      first.Scan();
      first.Finish();
      return;
    }
    // A helper may come when all is done.
    if (shared.next.load(std::memory_order_relaxed) >= shared.slices.slices().size()) return;
    Scanner scanner(shared);
    scanner.Scan();
    scanner.Finish();
  });
  return ResultsOf(shared, shared.sign.late);
}

}  // namespace engram::engine

#include "storage/background_work.h"

#include <sys/resource.h>

#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/base/float_mode.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

constexpr std::uint64_t kWaitFactor = 4;  // writers wait at this many times seal_bytes
constexpr double kMostlyDead = 0.5;
constexpr std::uint64_t kFilesToLook = 8;  // so many new ones may be worth merging
constexpr absl::Duration kRetryPause = absl::Seconds(1);
constexpr absl::Duration kReaderPause = absl::Milliseconds(50);  // about as long as readers open
// How long a compaction that was asked for waits for readers, to give space back before it ends.
constexpr absl::Duration kReaderPatience = absl::Milliseconds(300);

// Where all processors are busy, a search that begins gets one before this thread goes on. Still
// enough is left to it that writers, who wait for it where it falls behind, do not stand still.
void StepAside() {
  constexpr int kNice = 5;
  // On Linux of the calling thread alone. Only a reason to answer later if it fails.
  ::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + kNice);
}

}  // namespace

absl::Status BackgroundWork::Outcome::First() const {
  for (const absl::Status* status : {&tail, &edges, &compaction, &merge, &clearing}) {
    if (!status->ok()) return *status;
  }
  return absl::OkStatus();
}

bool BackgroundWork::Outcome::MayPass() const {
  for (const absl::Status* status : {&compaction, &merge}) {
    if (!status->ok() && !absl::IsDataLoss(*status)) return true;
  }
  return false;
}

BackgroundWork::BackgroundWork(const WriterState& state, CommitQueue& queue,
                               Maintenance& maintenance, std::uint64_t seal_bytes)
    : state_(state), queue_(queue), maintenance_(maintenance), seal_bytes_(seal_bytes) {}

BackgroundWork::~BackgroundWork() { Stop(); }

absl::Status BackgroundWork::Start() {
  Note();
  state_.database->files().OnDeferred([this] { ClearAwaySoon(); });
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "no thread can be had for seals and compaction in the background: %s", error.what()));
  }
  return absl::OkStatus();
}

void BackgroundWork::Stop() {
  state_.database->files().OnDeferred(nullptr);
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void BackgroundWork::Note() {
  const std::uint64_t sealed = state_.edges->catalog().edges();
  const Backlog backlog = {.tail_bytes = state_.tail.EmbeddingBytes(),
                           .deaths = state_.deaths,
                           .files = state_.catalog.files().size(),
                           .edges_due = state_.edge_backlog.IsDue(sealed),
                           .edges_have_room = state_.edge_backlog.HasRoom(sealed)};
  absl::MutexLock lock(&mutex_);
  backlog_ = backlog;
}

bool BackgroundWork::HasWork() const {
  return stop_ || backlog_.tail_bytes >= seal_bytes_ || backlog_.edges_due ||
         backlog_.deaths >= deaths_seen_ + state_.meta.rows_per_block ||
         backlog_.files >= files_seen_ + kFilesToLook;
}

bool BackgroundWork::HasRowRoom() const { return backlog_.tail_bytes < kWaitFactor * seal_bytes_; }

bool BackgroundWork::HasEdgeRoom() const { return backlog_.edges_have_room; }

absl::Status BackgroundWork::NoRoom() const {
  if (!HasRowRoom() && !outcome_.tail.ok()) {
    return Annotate(outcome_.tail, "the tail is full and could not be sealed");
  }
  if (HasEdgeRoom()) return absl::OkStatus();
  return Annotate(outcome_.edges, "too many changes of edges wait, and could not be sealed");
}

absl::Status BackgroundWork::WaitForRoom() {
  absl::MutexLock lock(&mutex_);
  const auto may_go_on = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stop_ || (HasRowRoom() && HasEdgeRoom()) || !NoRoom().ok();
  };
  mutex_.Await(absl::Condition(&may_go_on));
  return NoRoom();
}

absl::Status BackgroundWork::SealAll() {
  absl::Status tail = maintenance_.Seal(/*least_open=*/0);
  absl::Status edges = tail.ok() ? maintenance_.SealEdges(/*only_if_due=*/false) : tail;
  absl::MutexLock lock(&mutex_);
  outcome_.tail = tail;
  if (tail.ok()) outcome_.edges = edges;
  return edges;
}

absl::Status BackgroundWork::Seal() {
  ENGRAM_RETURN_IF_ERROR(SealAll());
  // All is sealed, whether or not files can be merged: that is for status() to tell. It is done
  // here because many seals in a row would make files faster than another thread merges them.
  Merge().IgnoreError();
  return absl::OkStatus();
}

absl::Status BackgroundWork::Merge() {
  absl::Status merged = maintenance_.MergeFiles();
  absl::MutexLock lock(&mutex_);
  outcome_.merge = merged;
  return merged;
}

absl::Status BackgroundWork::Compact(double min_dead_fraction, const ProgressFunction& progress) {
  ENGRAM_RETURN_IF_ERROR(SealAll());
  absl::Status status = maintenance_.CompactFiles(min_dead_fraction, progress);
  if (absl::IsCancelled(status)) return status;
  if (min_dead_fraction <= kMostlyDead) {
    absl::MutexLock lock(&mutex_);
    outcome_.compaction = status;
  }
  status.Update(Merge());
  if (min_dead_fraction == 0.0) status.Update(maintenance_.CompactRecords());
  const absl::Time deadline = absl::Now() + kReaderPatience;
  while (ClearAway() && absl::Now() < deadline) absl::SleepFor(kReaderPause / 10);
  return status;
}

absl::Status BackgroundWork::status() const {
  absl::MutexLock lock(&mutex_);
  return outcome_.First();
}

BackgroundWork::Outcome BackgroundWork::Round() {
  return {.tail = maintenance_.Seal(seal_bytes_),
          .edges = maintenance_.SealEdges(/*only_if_due=*/true),
          .compaction = maintenance_.CompactFiles(kMostlyDead, nullptr),
          .merge = maintenance_.MergeFiles(),
          .clearing = {}};
}

void BackgroundWork::ClearAwaySoon() {
  absl::MutexLock lock(&mutex_);
  clear_away_ = true;
}

bool BackgroundWork::ClearAway() {
  const absl::StatusOr<bool> dropped = maintenance_.DropDeferred();
  const bool stays = state_.database->files().DeleteDeferred();
  absl::MutexLock lock(&mutex_);
  outcome_.clearing = dropped.status();
  const bool again = stays || !dropped.ok() || *dropped;
  clear_away_ |= again;
  return again;
}

void BackgroundWork::PauseForReaders() {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &BackgroundWork::HasWork),
                          outcome_.clearing.ok() ? kReaderPause : kRetryPause);
}

bool BackgroundWork::WaitForWork(bool* due) {
  absl::MutexLock lock(&mutex_);
  const auto any = [this]()
                       ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return HasWork() || clear_away_; };
  mutex_.Await(absl::Condition(&any));
  *due = HasWork();
  if (*due) deaths_seen_ = backlog_.deaths;
  clear_away_ = false;
  return !stop_;
}

void BackgroundWork::Run() {
  const DefaultFloatMode float_mode;
  StepAside();
  for (bool due = false; WaitForWork(&due);) {
    const bool stays = ClearAway();
    if (!due) {
      if (stays) PauseForReaders();
      continue;
    }
    Outcome outcome = Round();
    // Fails only if the function does, which does not.
    queue_
        .RunAlone([this] {
          Note();
          return absl::OkStatus();
        })
        .IgnoreError();
    absl::MutexLock lock(&mutex_);
    outcome.clearing = outcome_.clearing;
    outcome_ = std::move(outcome);
    if (outcome_.MayPass()) deaths_seen_ = 0;
    files_seen_ = outcome_.MayPass() ? 0 : backlog_.files;
    if (outcome_.First().ok()) continue;
    const auto stopped = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_; };
    mutex_.AwaitWithTimeout(absl::Condition(&stopped), kRetryPause);
  }
}

}  // namespace engram::storage

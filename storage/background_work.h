// The thread that seals, compacts, merges and clears away while nobody asks for it, what it goes
// by, and how long writers wait for it. It has a lower priority than its process.
#ifndef ENGRAM_STORAGE_BACKGROUND_WORK_H_
#define ENGRAM_STORAGE_BACKGROUND_WORK_H_

#include <cstdint>
#include <thread>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "storage/commit_queue.h"
#include "storage/maintenance.h"
#include "storage/store_files.h"
#include "storage/writer_state.h"

namespace engram::storage {

// Thread-safe, but for Start() and Stop(), which are called once each by one thread.
class BackgroundWork {
 public:
  BackgroundWork(const WriterState& state, CommitQueue& queue, Maintenance& maintenance,
                 std::uint64_t seal_bytes);
  ~BackgroundWork();
  BackgroundWork(const BackgroundWork&) = delete;
  BackgroundWork& operator=(const BackgroundWork&) = delete;

  // Errors: kResourceExhausted, no thread can be had.
  absl::Status Start();
  // Waits for the step that is under way.
  void Stop();

  // Looks at what is left to do. The caller has the turn.
  void Note() ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until the tail and the changes of edges leave room for more. Errors: there is
  // none, and sealing fails.
  absl::Status WaitForRoom() ABSL_LOCKS_EXCLUDED(mutex_);

  // As engram::Store's, by the caller's thread.
  absl::Status Seal() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Compact(double min_dead_fraction, const ProgressFunction& progress)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns: what keeps some of the work from being done, as of when it was last tried.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Backlog {
    std::uint64_t tail_bytes = 0, deaths = 0, files = 0;
    bool edges_due = false, edges_have_room = true;
  };
  // How each kind of work ended when it was last tried.
  struct Outcome {
    absl::Status tail, edges, compaction, merge, clearing;

    absl::Status First() const;
    // Whether something failed that may work the next time; damage stays.
    bool MayPass() const;
  };

  void Run();
  // Waits for work. Returns: false when it is to stop.
  bool WaitForWork(bool* due);
  // Takes away what had to stay for a reader. Returns: whether some still has to.
  bool ClearAway();
  void ClearAwaySoon() ABSL_LOCKS_EXCLUDED(mutex_);
  void PauseForReaders() ABSL_LOCKS_EXCLUDED(mutex_);
  // All work there is, each kind whatever came of the others.
  Outcome Round();
  absl::Status SealAll();
  absl::Status Merge();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRowRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasEdgeRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why there is no room and will be none; OK if there is, or may be soon.
  absl::Status NoRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WriterState& state_;
  CommitQueue& queue_;
  Maintenance& maintenance_;
  const std::uint64_t seal_bytes_;
  std::thread thread_;

  mutable absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  Backlog backlog_ ABSL_GUARDED_BY(mutex_);
  // How many rows had died when the last round began, and how many files it left.
  std::uint64_t deaths_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t files_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  Outcome outcome_ ABSL_GUARDED_BY(mutex_);
  bool clear_away_ ABSL_GUARDED_BY(mutex_) = false;  // something stays for a reader
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BACKGROUND_WORK_H_

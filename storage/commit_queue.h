// The one order of all changes. Callers queue up; the first in line is the
// leader and carries out what waits behind it as one group, then the next in
// line leads. No lock is held while a leader works, so a sync delays only those
// who wait for it.
#ifndef ENGRAM_STORAGE_COMMIT_QUEUE_H_
#define ENGRAM_STORAGE_COMMIT_QUEUE_H_

#include <cstddef>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "storage/store_files.h"

namespace engram::storage {

// Nodes of living memories, kept by one caller from request to request, as long as nothing is
// deleted.
struct NodesOfLiving {
  std::uint64_t deletions = 0;  // those of WriterState when `nodes` were found
  absl::flat_hash_map<std::uint64_t, std::uint32_t> nodes;
};

// One Write() in the queue. The leader sets `result`.
struct CommitRequest {
  WriteRules rules;
  absl::Span<const Change> changes;
  absl::Span<const EdgePut> edges;  // after the changes
  std::uint64_t first_edge = 0;     // its number, for messages
  absl::Span<const ImportedMemory> imported = {};
  std::uint64_t first_imported = 0;  // which memory of its import the first of `imported` is
  NodesOfLiving* known = nullptr;    // what it knows of ids, and learns; null: nothing
  // Set with `result`.
  std::uint64_t created = 0;    // memories that edges made
  std::uint64_t forgotten = 0;  // memories that kForget deleted
  absl::Status result;
};

// Thread-safe.
class CommitQueue {
 public:
  // Carries out a group of requests, setting the result of each. Only one
  // call is under way at any time, of this or of a function given to RunAlone.
  using Processor = absl::FunctionRef<void(absl::Span<CommitRequest* const>)>;

  // Waits for the request's turn, alone or with others, and returns its result.
  absl::Status Submit(CommitRequest& request, Processor process);

  // Runs `action` when its turn comes, with nothing else under way.
  absl::Status RunAlone(absl::FunctionRef<absl::Status()> action);

 private:
  struct Waiter {
    CommitRequest* request = nullptr;  // null: wants to be alone
    bool done = false;
    absl::CondVar wake;
  };

  // Returns: when `waiter` is at the front, or someone has carried it out.
  void WaitForTurn(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Leave(std::size_t count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::deque<Waiter*> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_COMMIT_QUEUE_H_

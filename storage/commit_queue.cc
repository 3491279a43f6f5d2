#include "storage/commit_queue.h"

namespace engram::storage {
namespace {

// Enough to share a sync among many, and little enough that the first in line
// does not wait long for the last.
constexpr std::size_t kMaxGroupChanges = 16384;

}  // namespace

void CommitQueue::WaitForTurn(Waiter& waiter) {
  waiters_.push_back(&waiter);
  while (!waiter.done && waiters_.front() != &waiter) waiter.wake.Wait(&mutex_);
}

void CommitQueue::Leave(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Waiter* waiter = waiters_.front();
    waiters_.pop_front();
    waiter->done = true;
    waiter->wake.Signal();
  }
  if (!waiters_.empty()) waiters_.front()->wake.Signal();
}

absl::Status CommitQueue::Submit(CommitRequest& request, Processor process) {
  Waiter waiter;
  waiter.request = &request;
  std::vector<CommitRequest*> group;
  {
    absl::MutexLock lock(&mutex_);
    WaitForTurn(waiter);
    if (waiter.done) return request.result;
    std::size_t changes = 0;
    for (const Waiter* waiting : waiters_) {
      if (waiting->request == nullptr) break;
      changes += waiting->request->changes.size() + waiting->request->edges.size() +
                 waiting->request->imported.size();
      if (!group.empty() && changes > kMaxGroupChanges) break;
      group.push_back(waiting->request);
    }
  }
  process(group);
  absl::MutexLock lock(&mutex_);
  Leave(group.size());
  return request.result;
}

absl::Status CommitQueue::RunAlone(absl::FunctionRef<absl::Status()> action) {
  Waiter waiter;
  {
    absl::MutexLock lock(&mutex_);
    WaitForTurn(waiter);
  }
  absl::Status status = action();
  absl::MutexLock lock(&mutex_);
  Leave(1);
  return status;
}

}  // namespace engram::storage

// A mutex that is given away in the order in which it was asked for. absl::Mutex goes
// to whoever comes first after an unlock, so that a thread that locks it again and
// again keeps others out for as long as it goes on.
#ifndef ENGRAM_STORAGE_BASE_FAIR_MUTEX_H_
#define ENGRAM_STORAGE_BASE_FAIR_MUTEX_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace engram::storage {

// Thread-safe.
class ABSL_LOCKABLE FairMutex {
 public:
  FairMutex() = default;
  FairMutex(const FairMutex&) = delete;
  FairMutex& operator=(const FairMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    absl::MutexLock lock(&mutex_);
    const std::uint64_t ticket = next_++;
    const auto is_served = [this, ticket]()
                               ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return served_ == ticket; };
    mutex_.Await(absl::Condition(&is_served));
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    absl::MutexLock lock(&mutex_);
    ++served_;
  }
  // For the analysis, which does not look from a function into its lambdas.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  absl::Mutex mutex_;  // held to look at the numbers, no longer
  std::uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t served_ ABSL_GUARDED_BY(mutex_) = 0;
};

class ABSL_SCOPED_LOCKABLE FairMutexLock {
 public:
  explicit FairMutexLock(FairMutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~FairMutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  FairMutexLock(const FairMutexLock&) = delete;
  FairMutexLock& operator=(const FairMutexLock&) = delete;

 private:
  FairMutex* const mutex_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_FAIR_MUTEX_H_

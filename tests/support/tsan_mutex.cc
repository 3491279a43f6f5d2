// Only in builds with ThreadSanitizer: tells it what absl::Mutex orders. Debian's
// Abseil is not instrumented, so without this every guarded variable would be a
// report, and suppressing those would suppress the real ones with them.
//
// The linker (--wrap) leads the calls of our code here. Conditions are evaluated by
// whoever unlocks, after its release is told: their reads are passed over.
#include "absl/synchronization/mutex.h"

extern "C" {

void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
const char* __tsan_default_options();

#define ENGRAM_MUTEX(name) _ZN4absl7debian35Mutex##name
#define ENGRAM_CONDVAR(name) _ZN4absl7debian37CondVar##name
#define ENGRAM_JOIN_INNER(a, b) a##b
#define ENGRAM_JOIN(a, b) ENGRAM_JOIN_INNER(a, b)
#define ENGRAM_REAL(symbol) ENGRAM_JOIN(__real_, symbol)
#define ENGRAM_WRAP(symbol) ENGRAM_JOIN(__wrap_, symbol)

void ENGRAM_REAL(ENGRAM_MUTEX(4LockEv))(absl::Mutex*);
void ENGRAM_REAL(ENGRAM_MUTEX(6UnlockEv))(absl::Mutex*);
void ENGRAM_REAL(ENGRAM_MUTEX(5AwaitERKNS0_9ConditionE))(absl::Mutex*, const absl::Condition*);
bool ENGRAM_REAL(ENGRAM_MUTEX(16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE))(
    absl::Mutex*, const absl::Condition*, absl::Duration);
void ENGRAM_REAL(ENGRAM_CONDVAR(4WaitEPNS0_5MutexE))(absl::CondVar*, absl::Mutex*);

const char* __tsan_default_options() { return "suppressions=" ENGRAM_TSAN_SUPPRESSIONS; }

void ENGRAM_WRAP(ENGRAM_MUTEX(4LockEv))(absl::Mutex* mutex) {
  ENGRAM_REAL(ENGRAM_MUTEX(4LockEv))(mutex);
  __tsan_acquire(mutex);
}

void ENGRAM_WRAP(ENGRAM_MUTEX(6UnlockEv))(absl::Mutex* mutex) {
  __tsan_release(mutex);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  ENGRAM_REAL(ENGRAM_MUTEX(6UnlockEv))(mutex);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

void ENGRAM_WRAP(ENGRAM_MUTEX(5AwaitERKNS0_9ConditionE))(absl::Mutex* mutex,
                                                         const absl::Condition* condition) {
  __tsan_release(mutex);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  ENGRAM_REAL(ENGRAM_MUTEX(5AwaitERKNS0_9ConditionE))(mutex, condition);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(mutex);
}

bool ENGRAM_WRAP(ENGRAM_MUTEX(16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE))(
    absl::Mutex* mutex, const absl::Condition* condition, absl::Duration timeout) {
  __tsan_release(mutex);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  const bool held = ENGRAM_REAL(ENGRAM_MUTEX(16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE))(
      mutex, condition, timeout);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(mutex);
  return held;
}

void ENGRAM_WRAP(ENGRAM_CONDVAR(4WaitEPNS0_5MutexE))(absl::CondVar* wake, absl::Mutex* mutex) {
  __tsan_release(mutex);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  ENGRAM_REAL(ENGRAM_CONDVAR(4WaitEPNS0_5MutexE))(wake, mutex);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(mutex);
}

}  // extern "C"

// Counts what keeps a store from closing: calls in flight, which are waited for,
// and snapshots and iterators, which are the caller's to let go.
#ifndef ENGRAM_ENGINE_HOLDS_H_
#define ENGRAM_ENGINE_HOLDS_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "storage/base/float_mode.h"

namespace engram::engine {

// Thread-safe. Shared by the store and by all that may outlive it.
class Holds {
 public:
  enum class Kind { kCall, kSnapshot, kIterator };

  // One held thing; none of them may be lost while it lives. That of a call is let go by the
  // thread that took it, which computes in the default float mode meanwhile.
  class Hold {
   public:
    Hold(std::shared_ptr<Holds> holds, Kind kind) : holds_(std::move(holds)), kind_(kind) {
      if (kind == Kind::kCall) float_mode_.emplace();
    }
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    std::shared_ptr<Holds> holds_;
    Kind kind_;
    std::optional<storage::DefaultFloatMode> float_mode_;
  };

  // Returns: a hold, or null when the store is closed.
  static std::unique_ptr<Hold> Take(const std::shared_ptr<Holds>& holds, Kind kind);

  // Lets no new hold begin and waits for the calls. kFailedPrecondition, and nothing
  // has happened, when snapshots or iterators are held.
  absl::Status Close();

 private:
  int& Count(Kind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int snapshots_ ABSL_GUARDED_BY(mutex_) = 0;
  int iterators_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_HOLDS_H_

// Keeps the files of a store where they are while a reader opens it.
//
// A reader looks at the log, reads the manifest and then opens what that names; a writer that
// never pauses would take one of those files away each time, and the reader would begin again.
// So a reader has a shared lock (flock) of the store's directory while it opens, and a writer
// takes files away only while nobody has. The lock goes with its process (and with what that forked
// meanwhile); it changes nothing on the disk, so a reader needs no right to write. It is a
// courtesy: where it cannot be had, a reader goes on without and may have to begin again, and a
// writer does not wait for ever.
#ifndef ENGRAM_STORAGE_READER_GATE_H_
#define ENGRAM_STORAGE_READER_GATE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace engram::storage {

// A reader that is inside, for as long as this lives.
class ReaderPass {
 public:
  // Waits for a writer that is just taking files away, a second at most.
  explicit ReaderPass(const std::string& directory);
  ~ReaderPass();
  ReaderPass(const ReaderPass&) = delete;
  ReaderPass& operator=(const ReaderPass&) = delete;

  // Tries again, without waiting, where the lock could not be had.
  void TryAgain();
  // Whether writers know.
  bool holds() const { return holds_; }

 private:
  const int file_;
  bool holds_ = false;
};

// The writer's side. Thread-safe.
class ReaderGate {
 public:
  // `directory` exists.
  explicit ReaderGate(const std::string& directory);
  ~ReaderGate();
  ReaderGate(const ReaderGate&) = delete;
  ReaderGate& operator=(const ReaderGate&) = delete;

  // Keeps readers out, for as long as it lives, if none is inside.
  class Closed {
   public:
    explicit Closed(ReaderGate& gate);
    ~Closed();
    Closed(const Closed&) = delete;
    Closed& operator=(const Closed&) = delete;

    // False: a reader is inside.
    explicit operator bool() const { return closed_; }

   private:
    ReaderGate& gate_;
    const bool closed_;
  };

 private:
  bool Close() ABSL_LOCKS_EXCLUDED(mutex_);
  void Reopen() ABSL_LOCKS_EXCLUDED(mutex_);

  const int file_;  // -1: no lock can be had, and the gate keeps nobody
  absl::Mutex mutex_;
  int closings_ ABSL_GUARDED_BY(mutex_) = 0;  // they share the lock, which is the file's
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_READER_GATE_H_

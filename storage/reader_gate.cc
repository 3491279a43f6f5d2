#include "storage/reader_gate.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace engram::storage {
namespace {

constexpr std::chrono::milliseconds kPoll{1};
constexpr std::chrono::seconds kReaderPatience{1};

// Returns: -1 where it cannot be opened, of which every call says so again.
int OpenDirectory(const std::string& directory) {
  return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Returns: 0, or what flock says.
int Lock(int file, int how) {
  int error = 0;
  do {
    error = ::flock(file, how | LOCK_NB) == 0 ? 0 : errno;
  } while (error == EINTR);
  return error;
}

// By hand, since a forked process may still have the file.
void UnlockAndClose(int file) {
  ::flock(file, LOCK_UN);
  ::close(file);
}

}  // namespace

ReaderPass::ReaderPass(const std::string& directory) : file_(OpenDirectory(directory)) {
  const auto deadline = std::chrono::steady_clock::now() + kReaderPatience;
  for (;;) {
    const int error = Lock(file_, LOCK_SH);
    holds_ = error == 0;
    if (error != EWOULDBLOCK || std::chrono::steady_clock::now() >= deadline) return;
    std::this_thread::sleep_for(kPoll);
  }
}

void ReaderPass::TryAgain() {
  if (!holds_) holds_ = Lock(file_, LOCK_SH) == 0;
}

ReaderPass::~ReaderPass() { UnlockAndClose(file_); }

ReaderGate::ReaderGate(const std::string& directory) : file_(OpenDirectory(directory)) {}

ReaderGate::~ReaderGate() { UnlockAndClose(file_); }

bool ReaderGate::Close() {
  absl::MutexLock lock(&mutex_);
  // Where the file system has no such locks, no reader has one.
  if (closings_ == 0 && Lock(file_, LOCK_EX) == EWOULDBLOCK) return false;
  ++closings_;
  return true;
}

void ReaderGate::Reopen() {
  absl::MutexLock lock(&mutex_);
  if (--closings_ == 0) ::flock(file_, LOCK_UN);
}

ReaderGate::Closed::Closed(ReaderGate& gate) : gate_(gate), closed_(gate.Close()) {}

ReaderGate::Closed::~Closed() {
  if (closed_) gate_.Reopen();
}

}  // namespace engram::storage

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

int OpenDirectory(const std::string& directory) {
  return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// By hand, since a forked process may still have the file.
void UnlockAndClose(int file) {
  ::flock(file, LOCK_UN);
  ::close(file);
}

}  // namespace

ReaderPass::ReaderPass(const std::string& directory) : file_(OpenDirectory(directory)) {
  if (file_ < 0) return;
  const auto deadline = std::chrono::steady_clock::now() + kReaderPatience;
  for (;;) {
    holds_ = ::flock(file_, LOCK_SH | LOCK_NB) == 0;
    if (holds_ || (errno != EWOULDBLOCK && errno != EINTR)) return;
    if (std::chrono::steady_clock::now() >= deadline) return;
    std::this_thread::sleep_for(kPoll);
  }
}

ReaderPass::~ReaderPass() {
  if (file_ >= 0) UnlockAndClose(file_);
}

ReaderGate::ReaderGate(const std::string& directory) : file_(OpenDirectory(directory)) {}

ReaderGate::~ReaderGate() {
  if (file_ >= 0) UnlockAndClose(file_);
}

bool ReaderGate::Close() {
  absl::MutexLock lock(&mutex_);
  if (closings_ == 0 && file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) != 0 &&
      errno == EWOULDBLOCK) {
    return false;
  }
  ++closings_;
  return true;
}

void ReaderGate::Reopen() {
  absl::MutexLock lock(&mutex_);
  if (--closings_ == 0 && file_ >= 0) ::flock(file_, LOCK_UN);
}

ReaderGate::Closed::Closed(ReaderGate& gate) : gate_(gate), closed_(gate.Close()) {}

ReaderGate::Closed::~Closed() {
  if (closed_) gate_.Reopen();
}

}  // namespace engram::storage

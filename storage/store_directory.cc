#include "storage/store_directory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "rocksdb/env.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLockName = "/LOCK";
constexpr std::chrono::milliseconds kLockPoll{10};

absl::Status FileSystemError(const std::error_code& error, std::string_view path) {
  const auto text = absl::StrFormat("cannot read the directory %s: %s", path, error.message());
  if (error == std::errc::permission_denied) return absl::PermissionDeniedError(text);
  return absl::InternalError(text);
}

// What a creation leaves that died before its CURRENT was in place.
bool LeftByCreation(const std::string& name) {
  return name == "LOCK" || name == "IDENTITY" || name == "MANIFEST-000001" ||
         name.ends_with(".dbtmp") || name.starts_with("OPTIONS-");
}

bool IsTableOrLog(const std::string& name) {
  return name.ends_with(".sst") || name.ends_with(".log") || name.starts_with("MANIFEST-");
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return FileSystemError(error, path);
  return names;
}

// RocksDB locks with fcntl, so the kernel knows the holder. Never call this for a
// lock of our own process: closing the descriptor would release it.
std::string DescribeHolder(const std::string& lock_path) {
  const int descriptor = ::open(lock_path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return "another process";
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool known = ::fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(descriptor);
  return known ? absl::StrFormat("process %d", lock.l_pid) : "another process";
}

}  // namespace

absl::StatusOr<DirectoryState> ClassifyDirectory(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return DirectoryState::kAbsent;
  if (error) return FileSystemError(error, path);
  if (!fs::is_directory(status)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s is not an Engram store: it is not a directory", path));
  }
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(path));
  std::string foreign;
  bool lost = false;
  for (const std::string& name : names) {
    if (name == "CURRENT") return DirectoryState::kDatabase;
    if (LeftByCreation(name)) continue;
    if (IsTableOrLog(name)) {
      lost = true;
    } else {
      foreign = name;
    }
  }
  if (lost) {
    return absl::DataLossError(absl::StrFormat(
        "%s has table or log files but no CURRENT, which names the ones that count", path));
  }
  if (!foreign.empty()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s is not an Engram store: it holds %s, and no CURRENT", path, foreign));
  }
  return DirectoryState::kEmpty;
}

bool LiesIn(const std::string& path, const std::string& directory) {
  std::error_code error;
  const fs::path inner = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) return false;  // then it cannot be made either
  for (fs::path up = inner; up.has_relative_path(); up = up.parent_path()) {
    std::error_code absent;
    if (fs::equivalent(up, directory, absent)) return true;
  }
  return false;
}

struct DirectoryLock::Held {
  rocksdb::FileLock* lock = nullptr;
};

DirectoryLock::DirectoryLock(std::unique_ptr<Held> held) : held_(std::move(held)) {}

DirectoryLock::~DirectoryLock() {
  // Nothing can be done about a failure to unlock; the lock dies with the process.
  rocksdb::Env::Default()->UnlockFile(held_->lock).PermitUncheckedError();
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Acquire(
    const std::string& path, std::chrono::milliseconds timeout) {
  const std::string lock_path = path + std::string(kLockName);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto held = std::make_unique<Held>();
  for (;;) {
    const rocksdb::Status status = rocksdb::Env::Default()->LockFile(lock_path, &held->lock);
    if (status.ok()) {
      return std::unique_ptr<DirectoryLock>(new DirectoryLock(std::move(held)));
    }
    const std::string text = status.ToString();
    const bool ours = text.find("current process") != std::string::npos;
    const bool theirs = text.find("temporarily unavailable") != std::string::npos;
    if (!ours && !theirs) return FromRocks(status, "locking " + path);
    if (std::chrono::steady_clock::now() >= deadline) {
      const std::string holder =
          ours ? absl::StrFormat("this process (%d)", ::getpid()) : DescribeHolder(lock_path);
      return absl::UnavailableError(
          absl::StrFormat("the store %s is open for writing in %s", path, holder));
    }
    std::this_thread::sleep_for(kLockPoll);
  }
}

DirectoryBytes MeasureDirectory(const std::string& path) {
  DirectoryBytes bytes;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;  // files come and go while we look
    const std::uint64_t size = it->file_size(gone);
    if (gone) continue;
    bytes.all += size;
    if (it->path().extension() == ".log") bytes.log += size;
  }
  return bytes;
}

void RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace engram::storage

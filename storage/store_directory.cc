#include "storage/store_directory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "rocksdb/env.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLockName = "ENGRAM.LOCK";
constexpr std::chrono::milliseconds kLockPoll{10};
constexpr mode_t kDirectoryMode = 0755;

absl::Status FileSystemError(const std::error_code& error, std::string_view path) {
  const auto text = absl::StrFormat("cannot read the directory %s: %s", path, error.message());
  if (error == std::errc::permission_denied) return absl::PermissionDeniedError(text);
  if (error == std::errc::no_such_file_or_directory) return absl::NotFoundError(text);
  return absl::InternalError(text);
}

// What a creation leaves that died before its CURRENT was in place.
bool LeftByCreation(const std::string& name) {
  return name == "LOCK" || name == kLockName || name == "IDENTITY" || name == "MANIFEST-000001" ||
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

absl::Status CreationError(const std::string& path, const std::error_code& error) {
  const auto text = absl::StrFormat("cannot create the directory %s: %s", path, error.message());
  if (error == std::errc::permission_denied || error == std::errc::read_only_file_system) {
    return absl::PermissionDeniedError(text);
  }
  if (error == std::errc::no_space_on_device) return absl::ResourceExhaustedError(text);
  return absl::InternalError(text);
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

absl::Status SyncEntry(const std::string& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error);
  if (error) return FileSystemError(error, path);
  if (!whole.has_filename()) whole = whole.parent_path();  // "a/b/"
  const std::string parent = whole.parent_path();
  std::unique_ptr<rocksdb::Directory> directory;
  ENGRAM_RETURN_IF_ERROR(FromRocks(rocksdb::Env::Default()->NewDirectory(parent, &directory),
                                   "opening the directory " + parent));
  return FromRocks(directory->Fsync(), "syncing the directory " + parent);
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::vector<fs::path> absent;
  for (fs::path up = fs::absolute(path, error); !error && !fs::exists(up, error);) {
    if (up.has_filename()) absent.push_back(up);
    up = up.parent_path();
  }
  if (error) return CreationError(path, error);
  for (auto it = absent.rbegin(); it != absent.rend(); ++it) {
    // As RocksDB's: where the umask takes nothing, others still may not write.
    if (::mkdir(it->c_str(), kDirectoryMode) == 0 || errno == EEXIST) continue;
    return CreationError(path, std::error_code(errno, std::generic_category()));
  }
  for (; !absent.empty(); absent.pop_back()) {
    ENGRAM_RETURN_IF_ERROR(SyncEntry(absent.back()));
  }
  return absl::OkStatus();
}

struct DirectoryLock::Held {
  std::string path;
  rocksdb::FileLock* lock = nullptr;
};

DirectoryLock::DirectoryLock(std::unique_ptr<Held> held) : held_(std::move(held)) {}

DirectoryLock::~DirectoryLock() {
  // Nothing can be done about a failure to unlock; the lock dies with the process.
  rocksdb::Env::Default()->UnlockFile(held_->lock).PermitUncheckedError();
}

bool DirectoryLock::IsTaken(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && text.find("lock") != std::string::npos &&
         (text.find("current process") != std::string::npos ||
          text.find("temporarily unavailable") != std::string::npos);
}

namespace {

// RocksDB locks with fcntl. To ask the kernel by that, the file would have to be opened, and
// closing it would drop a lock that this process may have got meanwhile.
// Returns: who has locked the file `path`, 0 for a process of another namespace.
std::optional<int> LockHolder(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return std::nullopt;
  const std::string id = absl::StrFormat("%02x:%02x:%d", major(file.st_dev), minor(file.st_dev),
                                         static_cast<std::uint64_t>(file.st_ino));
  std::optional<int> holder;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    const std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
    // "1: POSIX ADVISORY WRITE 4711 fd:01:393221 0 EOF"; one who waits has "->" before "POSIX".
    if (words.size() < 6 || words[1] != "POSIX" || words[5] != id) continue;
    int process = 0;
    holder = absl::SimpleAtoi(words[4], &process) && process > 0 ? process : 0;
    if (*holder > 0) break;
  }
  return holder;
}

}  // namespace

std::string DirectoryLock::DescribeHolder(const std::string& path) {
  const int process = LockHolder(path).value_or(0);
  if (process == 0) return "another process";
  if (process == ::getpid()) return absl::StrFormat("this process (%d)", process);
  return absl::StrFormat("process %d", process);
}

absl::Status DirectoryLock::NotHeld(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kLockName);
  if (!LockHolder(path).has_value()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrFormat("the store %s is open for writing in %s", directory, DescribeHolder(path)));
}

absl::Status DirectoryLock::OpenElsewhere(const std::string& path) {
  return absl::UnavailableError(
      absl::StrFormat("the store %s is open for writing in %s, by RocksDB and not as a store", path,
                      DescribeHolder(path + "/LOCK")));
}

void DirectoryLock::RemoveFile() {
  std::error_code ignored;  // a directory that cannot go because of it is empty otherwise
  fs::remove(held_->path, ignored);
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Acquire(
    const std::string& path, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto held = std::make_unique<Held>();
  held->path = path + "/" + std::string(kLockName);
  for (;;) {
    const rocksdb::Status status = rocksdb::Env::Default()->LockFile(held->path, &held->lock);
    if (status.ok()) {
      return std::unique_ptr<DirectoryLock>(new DirectoryLock(std::move(held)));
    }
    if (!IsTaken(status)) return FromRocks(status, "locking " + path);
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::UnavailableError(absl::StrFormat("the store %s is open for writing in %s", path,
                                                    DescribeHolder(held->path)));
    }
    std::this_thread::sleep_for(kLockPoll);
  }
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Acquire(
    const std::string& path, std::chrono::milliseconds timeout,
    absl::FunctionRef<absl::Status()> check) {
  const absl::Status before = check();
  std::error_code error;
  const bool ours = fs::exists(path + "/" + std::string(kLockName), error);
  if (!before.ok() && (error || !ours)) return before;
  auto lock = Acquire(path, timeout);
  // A place where nothing can be locked is nowhere that anybody is at work.
  if (!lock.ok() && !before.ok() && !absl::IsUnavailable(lock.status())) return before;
  ENGRAM_RETURN_IF_ERROR(lock.status());
  ENGRAM_RETURN_IF_ERROR(check());
  return lock;
}

OpenedDirectory::OpenedDirectory(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

OpenedDirectory::~OpenedDirectory() {
  if (file_ >= 0) ::close(file_);
}

absl::Status OpenedDirectory::IsStillThere() const {
  struct stat then {
  }, now{};
  if (file_ < 0 || ::fstat(file_, &then) != 0) return absl::OkStatus();  // nothing is known of it
  if (::stat(path_.c_str(), &now) != 0) {
    return FileSystemError(std::error_code(errno, std::generic_category()), path_);
  }
  if (then.st_dev == now.st_dev && then.st_ino == now.st_ino) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s: another directory is here since the store was opened", path_));
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

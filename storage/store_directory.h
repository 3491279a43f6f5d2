// What lies in a directory before anything is opened, and who holds its lock.
#ifndef ENGRAM_STORAGE_STORE_DIRECTORY_H_
#define ENGRAM_STORAGE_STORE_DIRECTORY_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/status.h"

namespace engram::storage {

enum class DirectoryState {
  kAbsent,    // nothing at the path
  kEmpty,     // nothing of ours or anybody's; or a creation that got nowhere
  kDatabase,  // a RocksDB database, maybe a store
};

// Errors: kFailedPrecondition when it is a file or holds other things, naming
// one; kDataLoss when it has a database's files but not the CURRENT that leads
// to them, because a new database must not start over old files.
absl::StatusOr<DirectoryState> ClassifyDirectory(const std::string& path);

// Returns: whether `path`, which need not exist, lies in `directory`, at whatever depth
// and by whatever symbolic links.
bool LiesIn(const std::string& path, const std::string& directory);

// Makes `path` and the directories it lies in, where they are not there yet, so that they
// survive power loss. Errors: kPermissionDenied, kResourceExhausted, kInternal.
absl::Status MakeDirectory(const std::string& path);

// That `path` exists in the directory it lies in survives power loss.
absl::Status SyncEntry(const std::string& path);

// A directory as it was when it was opened. While this lives no other has its number.
class OpenedDirectory {
 public:
  explicit OpenedDirectory(const std::string& path);
  ~OpenedDirectory();
  OpenedDirectory(const OpenedDirectory&) = delete;
  OpenedDirectory& operator=(const OpenedDirectory&) = delete;

  // Errors: kFailedPrecondition when the path leads to another directory by now; kNotFound when
  // it leads nowhere.
  absl::Status IsStillThere() const;

 private:
  const std::string path_;
  const int file_;
};

// Holds the writer's lock of a directory from Acquire to the end of its life: a file of our
// own beside RocksDB's LOCK, which whoever opens or destroys a database must take anew, and
// so could not hold from a check on.
class DirectoryLock {
 public:
  // Waits up to `timeout`. Errors: kUnavailable naming the holder's process.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Acquire(const std::string& path,
                                                                std::chrono::milliseconds timeout);
  // As Acquire, with `check` of the directory passed under the lock. It is asked before as
  // well, so that no lock file is made in a directory that is not ours; what it says is not
  // final where a lock file lies: whoever has the lock may be making or removing the rest.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Acquire(
      const std::string& path, std::chrono::milliseconds timeout,
      absl::FunctionRef<absl::Status()> check);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  // Returns: whether somebody else's lock made an attempt of RocksDB fail.
  static bool IsTaken(const rocksdb::Status& status);
  // Returns: words for the process that holds the lock file `path`, this one or another.
  static std::string DescribeHolder(const std::string& path);
  // Returns: kUnavailable naming the process when somebody holds the lock of `directory`, as far
  // as the kernel tells; nothing is locked or changed.
  static absl::Status NotHeld(const std::string& directory);
  // Returns: kUnavailable naming who has RocksDB's own lock.
  static absl::Status OpenElsewhere(const std::string& path);
  // Removes the lock file, for a directory that is to go.
  void RemoveFile();

 private:
  struct Held;
  explicit DirectoryLock(std::unique_ptr<Held> held);
  std::unique_ptr<Held> held_;
};

// Returns: bytes of all files, and of the log files, in the directory.
struct DirectoryBytes {
  std::uint64_t all = 0;
  std::uint64_t log = 0;
};
DirectoryBytes MeasureDirectory(const std::string& path);

// Raises the soft limit of open files to the hard one: every table file stays
// open, because closing one would unmap it.
void RaiseOpenFileLimit();

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_STORE_DIRECTORY_H_

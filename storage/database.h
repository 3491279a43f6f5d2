// The only opener of RocksDB: which options a store runs on, what has to be
// true of a directory before it is opened, and what recovery must prove.
#ifndef ENGRAM_STORAGE_DATABASE_H_
#define ENGRAM_STORAGE_DATABASE_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "storage/format/key_format.h"
#include "storage/log_check.h"
#include "storage/reader_gate.h"
#include "storage/store_directory.h"
#include "storage/store_file_system.h"

namespace engram::storage {

struct DatabaseOptions {
  bool create_if_missing = false;
  bool error_if_exists = false;
  bool read_only = false;
  std::chrono::milliseconds lock_timeout{0};
  std::uint64_t block_cache_bytes = 0;
  // Look where the columns of blocks and edges lie, as who maps them must: table_check.h.
  bool check_columns = false;
};

// An open RocksDB with the families of the format. Thread-safe.
class Database {
 public:
  // Errors: kNotFound, kFailedPrecondition, kUnavailable, kDataLoss as
  // engram::Store::Open. Whether the store's own description is there and fits is
  // the caller's to check.
  static absl::StatusOr<std::shared_ptr<Database>> Open(const DatabaseOptions& options,
                                                        const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return handles_[static_cast<std::size_t>(family)];
  }
  const std::string& path() const { return path_; }
  bool read_only() const { return read_only_; }

  // A writer's: what keeps files for readers that open the store, and how they are deleted.
  ReaderGate& gate() const { return *gate_; }
  StoreFileSystem& files() const { return *files_; }

  // Reads `key` outside any snapshot. kNotFound when it is not there.
  absl::StatusOr<std::string> Get(Family family, std::string_view key) const;

  // Returns: the number of the newest batch there is.
  absl::StatusOr<std::uint64_t> NewestBatch() const;
  // Returns: kDataLoss naming both when the newest batch there is comes before `batch`.
  absl::Status HasAtLeast(std::uint64_t batch) const;

  // Everything written so far survives power loss.
  absl::Status SyncLog();

  // To be told of every batch once it is in the log: syncs vouch for the newest one.
  void Wrote(std::uint64_t batch, bool synced);
  // To be told that a write of the log failed. RocksDB must not touch such a log again, it would
  // end the process: from now on SyncLog() and FlushFamilies() answer with this.
  void LogFailed(const absl::Status& status);
  absl::Status LogStatus() const;
  // Returns: the newest batch that is known to survive power loss.
  std::uint64_t synced() const { return synced_; }

  // Moves what is in memory into table files, so that the log can go.
  absl::Status FlushFamilies();

 private:
  Database(std::string path, bool read_only) : path_(std::move(path)), read_only_(read_only) {}

  static absl::StatusOr<std::shared_ptr<Database>> OpenWriter(const DatabaseOptions& options,
                                                              const std::string& path);
  static absl::StatusOr<std::shared_ptr<Database>> OpenReader(const DatabaseOptions& options,
                                                              const std::string& path,
                                                              ReaderPass& pass);
  void TakeDirectory();
  absl::Status Recover(const rocksdb::DBOptions& options, std::uint64_t cache_bytes);
  // As table_check.h says, of all files at once: beside a writer they go again soon.
  absl::Status CheckColumns() const;
  absl::Status HasNamedFiles() const;
  absl::Status HasNamedEdges() const;

  const std::string path_;
  const bool read_only_;
  std::atomic<std::uint64_t> written_{0}, synced_{0};
  mutable absl::Mutex log_mutex_;
  absl::Status log_status_ ABSL_GUARDED_BY(log_mutex_);
  // What deletes files for RocksDB, as long as that may; null where the database is only read.
  std::unique_ptr<ReaderGate> gate_;
  std::shared_ptr<StoreFileSystem> files_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<DirectoryLock> lock_;  // a writer's; it goes when RocksDB has let go of all
  std::unique_ptr<LogWatch> watch_;      // RocksDB keeps the pointer as long as the database
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount> handles_{};
};

// Returns: the options `family` is opened with, and those of a table file made
// for it. The blocks' are fixed by the format: alignment, no compression. The
// others share `cache`; null: no cache.
rocksdb::ColumnFamilyOptions FamilyOptions(Family family,
                                           const std::shared_ptr<rocksdb::Cache>& cache);
// Returns: kFailedPrecondition naming `version` when it is newer than this library.
absl::Status CheckFormatVersion(std::string_view path, std::uint32_t version);

// Where families of ours are and no description: nothing has ever been written there.
absl::Status UnfinishedCreation(std::string_view path);
absl::Status StoreExists(std::string_view path);

// Drops the files of `family` that begin with no key, or one that `is_named` refuses.
// For families of block columns, whose files hold whole blocks. Returns: whether there were any.
absl::StatusOr<bool> DropUnnamed(const Database& database, Family family,
                                 absl::FunctionRef<bool(const BlockKey&)> is_named);

// Returns: the version of the RocksDB that is linked, as "7.8.3".
std::string RocksVersion();

// With the environment of who only reads.
rocksdb::DBOptions OpenOptions(bool read_only);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_DATABASE_H_

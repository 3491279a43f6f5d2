// Copies the files of a database as they were at one moment. RocksDB's own Checkpoint
// tells the files and copies them in one call; here they are told first, so that only
// this holds up those who replace files, and not a copy to another file system.
#ifndef ENGRAM_STORAGE_BACKUP_FILES_H_
#define ENGRAM_STORAGE_BACKUP_FILES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/metadata.h"
#include "storage/database.h"
#include "storage/store_file_system.h"
#include "storage/store_files.h"

namespace engram::storage {

// Used once, by one thread. While it lives, no file of the database is deleted.
class BackupFiles {
 public:
  explicit BackupFiles(const Database& database) : database_(database) {}
  ~BackupFiles();
  BackupFiles(const BackupFiles&) = delete;
  BackupFiles& operator=(const BackupFiles&) = delete;

  // Notes the files and how long they are now. What is in memory goes to the disk first.
  absl::Status Note();

  // After Note(): makes `directory`, which must not exist, with the mode of the database's and
  // what was noted: table files by hard link where that works, the rest as copies; synced. It
  // appears whole or not at all, and has been opened before it does: after a failed ingestion
  // RocksDB may note no bytes of its manifest.
  absl::Status CopyTo(const std::string& directory, const ProgressFunction& progress);

 private:
  absl::Status Fill(const std::string& directory, const ProgressFunction& progress);
  absl::Status CheckOpens(const std::string& directory) const;

  const Database& database_;
  std::optional<StoreFileSystem::Hold> hold_;
  bool kept_ = false;
  std::uint64_t batch_ = 0;  // the newest when it was noted
  std::vector<rocksdb::LiveFileStorageInfo> files_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BACKUP_FILES_H_

// A database opened over copies of a damaged store's files, by whatever of them is sound.
#ifndef ENGRAM_STORAGE_SALVAGE_FILES_H_
#define ENGRAM_STORAGE_SALVAGE_FILES_H_

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/db.h"
#include "storage/database.h"

namespace engram::storage {

// What could not be kept: some of it one by one, all of it counted.
class Losses {
 public:
  static constexpr std::size_t kMostFindings = 1000;

  void Add(std::string finding) {
    if (findings_.size() < kMostFindings) findings_.push_back(std::move(finding));
    ++total_;
  }
  std::uint64_t total() const { return total_; }
  // Returns: the findings; where there were more, the last says how many.
  std::vector<std::string> Findings() const;

 private:
  std::vector<std::string> findings_;
  std::uint64_t total_ = 0;
};

// Thread-compatible.
class SalvageFiles {
 public:
  // Copies what lies in `damaged` into `scratch`, which exists and is empty; table files by hard
  // link where that works: RocksDB never changes one. Nothing is written in `damaged`. Opens the
  // copies as they are or, where that is refused, after RocksDB has made a new manifest of
  // the tables and logs there are. `losses` is told what was left out. Errors:
  // kFailedPrecondition for a directory that was never a store's; kDataLoss.
  static absl::StatusOr<std::unique_ptr<SalvageFiles>> Open(const std::string& damaged,
                                                            const std::string& scratch,
                                                            Losses* losses);
  ~SalvageFiles();
  SalvageFiles(const SalvageFiles&) = delete;
  SalvageFiles& operator=(const SalvageFiles&) = delete;

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return handles_[static_cast<std::size_t>(family)];
  }
  rocksdb::Status Get(Family family, std::string_view key, std::string* value) const;
  // Whether the store was opened as it is, by its own manifest and with all of its log.
  bool whole() const { return whole_; }
  // Returns: whether the store's own manifest says that the table file of that name is the
  // family's; true of any where the manifest had to be made anew.
  bool Names(Family family, const std::string& table) const;
  // The table files of the damaged store, as they lie there, the newest first.
  const std::vector<std::string>& tables() const { return tables_; }

 private:
  SalvageFiles() = default;
  void CloseDatabase();
  absl::Status Copy(const std::string& damaged, const std::string& scratch);
  absl::Status OpenCopies(const std::string& scratch, Losses* losses);
  absl::Status RestoreCurrent(const std::string& scratch, Losses* losses);
  absl::Status OpenAsIs(const std::string& scratch, Losses* losses);
  absl::Status OpenRebuilt(const std::string& scratch, Losses* losses);
  absl::Status SetAside(const std::string& scratch, const std::string& aside);
  void AddLeftOut(const std::string& path, Losses* losses);

  std::vector<std::string> tables_;
  bool whole_ = false, rebuilt_ = false;
  absl::flat_hash_map<std::string, std::string> named_;  // tables, and the family of each
  std::unique_ptr<LogWatch> watch_;                      // outlives the database
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount> handles_{};
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_SALVAGE_FILES_H_

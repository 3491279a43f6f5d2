// The catalog: which files of blocks live. A block exists if and only if an
// entry here names it; everything else in the block family is an orphan of a
// seal or compaction that did not get to its commit.
#ifndef ENGRAM_STORAGE_CATALOG_H_
#define ENGRAM_STORAGE_CATALOG_H_

#include <cstdint>
#include <map>
#include <optional>

#include "absl/status/statusor.h"
#include "storage/database.h"
#include "storage/format/record_format.h"

namespace engram::storage {

// A value: the publisher copies it, changes the copy, commits, and keeps it.
class Catalog {
 public:
  // Reads every file entry. kDataLoss names the one that is damaged or overlaps.
  static absl::StatusOr<Catalog> Load(const Database& database);

  void Add(FileEntry entry) { files_[entry.first_row()] = std::move(entry); }
  void Remove(std::uint64_t first_row) { files_.erase(first_row); }

  // By first row; their row ranges do not overlap.
  const std::map<std::uint64_t, FileEntry>& files() const { return files_; }

  // Returns: whether some file has rows in [first, end).
  bool HasFileIn(std::uint64_t first, std::uint64_t end) const;

  std::uint64_t end_row() const { return files_.empty() ? 0 : files_.rbegin()->second.end_row(); }
  std::uint64_t block_count() const;

 private:
  std::map<std::uint64_t, FileEntry> files_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_CATALOG_H_

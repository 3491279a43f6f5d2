#include "storage/record_compaction.h"

#include <string>

#include "absl/strings/str_format.h"
#include "rocksdb/metadata.h"
#include "storage/base/status.h"
#include "storage/table_check.h"

namespace engram::storage {
namespace {

constexpr Family kCompacted[] = {Family::kDefault, Family::kCatalog, Family::kIds,
                                 Family::kRecords, Family::kTail,    Family::kTombstones};

// Returns: whether files overlap, or hold what was deleted.
absl::StatusOr<bool> IsWorthIt(const Database& database, Family family) {
  rocksdb::ColumnFamilyMetaData meta;
  database.db().GetColumnFamilyMetaData(database.family(family), &meta);
  std::size_t levels = 0;
  std::uint64_t deletions = 0;
  bool overlap = false;
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    if (level.files.empty()) continue;
    ++levels;
    overlap |= level.level == 0 && level.files.size() > 1;
    for (const rocksdb::SstFileMetaData& file : level.files) deletions += file.num_deletions;
  }
  if (levels < 2 && !overlap && deletions == 0) return false;
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const absl::Status whole =
          CheckWholeTable(file.directory + "/" + file.relative_filename, family);
      // RocksDB may have replaced it meanwhile, and has read it then.
      if (!absl::IsUnavailable(whole)) ENGRAM_RETURN_IF_ERROR(whole);
    }
  }
  return true;
}

// Ranges of the tail that were deleted before kSealedKey came beside them are left to RocksDB.
bool MayFailWriting(const Database& database, Family family) {
  return family == Family::kTail && !database.Get(family, kSealedKey).ok();
}

absl::Status CompactFamily(Database& database, Family family) {
  if (MayFailWriting(database, family)) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const bool worth, IsWorthIt(database, family));
  if (!worth) return absl::OkStatus();
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  return FromRocks(database.db().CompactRange(options, database.family(family), nullptr, nullptr),
                   absl::StrFormat("compacting %s of %s", FamilyName(family), database.path()));
}

}  // namespace

absl::Status CompactRecords(Database& database) {
  ENGRAM_RETURN_IF_ERROR(database.FlushFamilies());
  absl::Status damage;
  for (const Family family : kCompacted) {
    const absl::Status status = CompactFamily(database, family);
    if (!status.ok() && !absl::IsDataLoss(status)) return status;
    damage.Update(status);
  }
  return damage;
}

}  // namespace engram::storage

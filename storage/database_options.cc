// The RocksDB options of a store. Those of the block families are what makes a
// mapped column possible; docs/format.md gives the measurements behind them.
#include <algorithm>

#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "rocksdb/version.h"
#include "storage/database.h"
#include "storage/format/block_format.h"
#include "storage/store_file_system.h"
#include "storage/strength_merge.h"

namespace engram::storage {
namespace {

constexpr std::size_t kBloomBitsPerKey = 10;
constexpr std::size_t kMemtableBytes = std::size_t{32} << 20;
constexpr std::size_t kAllMemtablesBytes = std::size_t{48} << 20;
// Reinforcements of one memory that a read may have to add up.
constexpr std::size_t kMaxMergesToRead = 64;
constexpr std::uint64_t kLogBytes = std::uint64_t{64} << 20;
// A manifest grows by every seal until the store is opened again; a new one begins with what
// counts, some 300 bytes a file.
constexpr std::uint64_t kManifestBytes = std::uint64_t{16} << 20;

// RocksDB's own log would hold keys, which are the user's, and paths.
class SilentLogger : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::ColumnFamilyOptions BlockFamilyOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_align = true;
  table.block_size = kTableBlockBytes;
  table.no_block_cache = true;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.disable_auto_compactions = true;
  options.write_buffer_size = std::size_t{1} << 20;  // only ever ingested into
  return options;
}

bool LooksUpSingleKeys(Family family) {
  return family == Family::kIds || family == Family::kRecords;
}

}  // namespace

rocksdb::ColumnFamilyOptions FamilyOptions(Family family,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  if (family == Family::kBlocks || family == Family::kEdges || family == Family::kLate) {
    return BlockFamilyOptions();
  }
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  if (cache != nullptr) table.block_cache = cache;
  if (LooksUpSingleKeys(family)) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  }
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // Ids are written twice, the second time when the snapshots of before are gone; they are
  // mostly alike. Payloads and embeddings are the caller's, who knows what they are.
  const auto compression =
      family == Family::kIds ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  options.compression = compression;
  options.bottommost_compression = compression;
  options.write_buffer_size = kMemtableBytes;
  if (family == Family::kRecords) {
    options.merge_operator = NewStrengthMerge();
    options.max_successive_merges = kMaxMergesToRead;
  }
  return options;
}

std::string RocksVersion() { return rocksdb::GetRocksVersionAsString(/*with_patch=*/true); }

rocksdb::DBOptions OpenOptions(bool read_only) {
  rocksdb::DBOptions options;
  options.info_log = std::make_shared<SilentLogger>();
  options.allow_mmap_reads = true;
  options.max_open_files = -1;
  options.advise_random_on_open = false;  // true made a cold first scan fifteen times slower
  options.db_host_id.clear();  // else every table file names the machine it was written on
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.env = ReadersEnv();
  if (read_only) return options;
  options.max_bgerror_resume_count = 0;
  // All families in one flush: what table files hold is then always one commit's
  // state, whichever log files are left.
  options.atomic_flush = true;
  options.manual_wal_flush = true;  // so that Durability::kNone costs no system call
  options.max_total_wal_size = kLogBytes;
  options.max_manifest_file_size = kManifestBytes;
  options.db_write_buffer_size = kAllMemtablesBytes;
  options.max_background_jobs = 2;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  return options;
}

}  // namespace engram::storage

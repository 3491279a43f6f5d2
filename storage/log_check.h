// Recovery's proof that no acknowledged batch was lost from the log.
//
// RocksDB replays a log up to the first record it cannot read and drops the rest
// without a word. But every batch of ours carries its number (CommitRecord),
// so a reader that skips damage and goes on sees a gap where a batch is missing.
// Only a damaged end cannot be told from one that was still being written.
#ifndef ENGRAM_STORAGE_LOG_CHECK_H_
#define ENGRAM_STORAGE_LOG_CHECK_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/wal_filter.h"

namespace engram::storage {

// What the log held, beside what the table files hold.
struct LogExtent {
  std::uint64_t in_tables = 0;  // number of the newest batch in table files, 0: none
  std::uint64_t first = 0;      // of the batches in the log; 0: none
  std::uint64_t last = 0;
};

// Sees every batch that a recovery reads from the log.
class LogWatch : public rocksdb::WalFilter {
 public:
  // Batches up to number `apply_to` are recovered, the others only looked at or, above it, passed
  // over: 0 recovers nothing.
  explicit LogWatch(std::uint64_t apply_to) : apply_to_(apply_to) {}

  void ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& log_numbers,
                                const std::map<std::string, std::uint32_t>& ids) override;
  WalProcessingOption LogRecordFound(unsigned long long log_number, const std::string& file,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* changed,
                                     bool* was_changed) override;
  const char* Name() const override { return "engram.LogWatch"; }

  std::uint64_t first() const { return first_; }
  std::uint64_t last() const { return last_; }
  // The format version of the store's description, 0 when the log holds none.
  std::uint32_t format_version() const { return format_version_; }

  // Returns: kDataLoss naming the batches that are missing between those of the
  // log, or between them and `in_tables`, the newest of the table files.
  absl::Status Check(std::uint64_t in_tables, const std::string& path) const;

 private:
  void Add(std::uint64_t number);

  const std::uint64_t apply_to_;
  std::uint32_t catalog_ = ~std::uint32_t{0};
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::uint32_t format_version_ = 0;
  std::string gap_;
};

// Reads the log of the database in `path` without changing anything.
// Errors: kDataLoss naming the batches that are missing; kFailedPrecondition for a newer format,
// whose log is not ours to judge.
absl::StatusOr<LogExtent> CheckLog(const std::string& path);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_LOG_CHECK_H_

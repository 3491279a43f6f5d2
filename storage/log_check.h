// Recovery's proof that no batch that had to survive was lost from the log.
//
// RocksDB replays a log up to the first record it cannot read, or past a page of zeros as
// if nothing were there, without a word. But every batch of ours carries its number
// (CommitRecord), so a reader that skips damage and goes on sees a gap where a batch is
// missing; and the newest batch that was synced by then, so that it knows what a gap means.
// A batch that was synced is never lost but by damage. One that was not may be lost with the
// power, and the kernel may have written later ones before it: recovery ends in front of it.
// Only a damaged end cannot be told from one that was still being written.
#ifndef ENGRAM_STORAGE_LOG_CHECK_H_
#define ENGRAM_STORAGE_LOG_CHECK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/wal_filter.h"

namespace engram::storage {

// What the log held, beside what the table files hold.
struct LogExtent {
  std::uint64_t in_tables = 0;  // number of the newest batch in table files, 0: none
  std::uint64_t first = 0;      // of the batches in the log; 0: none
  std::uint64_t last = 0;
  // The newest batch with none missing before it: what recovery keeps.
  std::uint64_t kept = 0;

  bool has_gap() const { return last > kept; }
};

// Sees every batch that a recovery reads from the log.
class LogWatch : public rocksdb::WalFilter {
 public:
  // Recovery ends before the first batch with a number above `apply_to`; 0 only looks, and
  // recovers nothing.
  explicit LogWatch(std::uint64_t apply_to) : apply_to_(apply_to) {}

  void ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& log_numbers,
                                const std::map<std::string, std::uint32_t>& ids) override;
  WalProcessingOption LogRecordFound(unsigned long long log_number, const std::string& file,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* changed,
                                     bool* was_changed) override;
  const char* Name() const override { return "engram.LogWatch"; }

  // Passes over what it has seen when the log is read again from some place before it.
  void ReadAgain() { seen_ = runs_.empty() ? 0 : runs_.back().last; }

  std::uint64_t records() const { return records_; }
  // The format version of the store's description, 0 when the log holds none.
  std::uint32_t format_version() const { return format_version_; }

  // Where `in_tables` is the newest batch of the table files. Returns: kDataLoss naming the
  // batch that is missing and was synced.
  absl::StatusOr<LogExtent> Judge(std::uint64_t in_tables, const std::string& path) const;
  // As Judge, whatever was synced: a gap is no error.
  absl::StatusOr<LogExtent> Measure(std::uint64_t in_tables, const std::string& path) const;

 private:
  // Batches that follow each other, all of them there.
  struct Run {
    std::uint64_t first, last;
  };
  void Add(std::uint64_t number, std::optional<std::uint64_t> synced);

  const std::uint64_t apply_to_;
  std::uint32_t catalog_ = ~std::uint32_t{0};
  std::uint64_t records_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t synced_ = 0;
  std::vector<Run> runs_;
  std::uint32_t format_version_ = 0;
};

// Reads the log of the database in `path` without changing anything.
// Errors: kDataLoss naming the batch that is missing; kFailedPrecondition for a newer format,
// whose log is not ours to judge.
absl::StatusOr<LogExtent> CheckLog(const std::string& path);
// As CheckLog, for those who take what is left: a gap is no error.
absl::StatusOr<LogExtent> MeasureLog(const std::string& path);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_LOG_CHECK_H_

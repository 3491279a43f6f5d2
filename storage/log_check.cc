#include "storage/log_check.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/write_batch.h"
#include "storage/base/status.h"
#include "storage/database.h"
#include "storage/format/record_format.h"
#include "storage/store_file_system.h"

namespace engram::storage {
namespace {

// Finds the commit record and the store's description among the entries of one batch.
class CommitFinder : public rocksdb::WriteBatch::Handler {
 public:
  explicit CommitFinder(std::uint32_t catalog) : catalog_(catalog) {}

  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    if (family == catalog_ && key == rocksdb::Slice(kCommitKey.data(), kCommitKey.size())) {
      commit_ = value.ToString();
    }
    if (family == 0 && key == rocksdb::Slice(kMetaKey.data(), kMetaKey.size())) {
      meta_ = value.ToString();
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status SingleDeleteCF(std::uint32_t, const rocksdb::Slice&) override { return {}; }
  rocksdb::Status DeleteRangeCF(std::uint32_t, const rocksdb::Slice&,
                                const rocksdb::Slice&) override {
    return {};
  }
  rocksdb::Status MergeCF(std::uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return {};
  }
  void LogData(const rocksdb::Slice&) override {}

  const std::string& commit() const { return commit_; }
  const std::string& meta() const { return meta_; }

 private:
  const std::uint32_t catalog_;
  std::string commit_;
  std::string meta_;
};

absl::StatusOr<std::uint32_t> FormatInTables(rocksdb::DB& db) {
  std::string value;
  const rocksdb::Status status =
      db.Get(rocksdb::ReadOptions(), rocksdb::Slice(kMetaKey.data(), kMetaKey.size()), &value);
  if (status.IsNotFound()) return 0;
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "reading what the store is"));
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, DecodeStoreMeta(value));
  return meta.format_version;
}

absl::StatusOr<std::uint64_t> BatchInTables(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* catalog) {
  std::string value;
  const rocksdb::Status status =
      db.Get(rocksdb::ReadOptions(), catalog, rocksdb::Slice(kCommitKey.data(), kCommitKey.size()),
             &value);
  if (status.IsNotFound()) return 0;
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "reading the commit record"));
  ENGRAM_ASSIGN_OR_RETURN(const CommitRecord commit, DecodeCommitRecord(value));
  return commit.batch;
}

// RocksDB's log reader adds the pieces of a record that it gave up to the checksum of the
// next record in pieces, refuses that one and with it the whole log ("content corrupted").
// From behind the pieces, where they are nothing but a middle without a beginning, it reads on.
class LogsReadInParts : public rocksdb::FileSystemWrapper {
 public:
  explicit LogsReadInParts(const LogWatch& watch)
      : FileSystemWrapper(ReadersEnv()->GetFileSystem()), watch_(watch) {}

  const char* Name() const override { return "engram.LogsReadInParts"; }

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
    if (!status.ok() || !name.ends_with(".log")) return status;
    log_ = name;
    next_block_ = behind_seen_ = first_blocks_[name];
    records_ = watch_.records();
    status = (*file)->Skip(next_block_ * kLogBlockBytes);
    *file = std::make_unique<Part>(std::move(*file), *this);
    return status;
  }

  // Makes the log that was read last begin behind the batches that were seen of it, or a block
  // later than it did. Returns: whether there is anything there.
  bool SkipRefused() {
    if (log_.empty()) return false;
    std::uint64_t& first = first_blocks_[log_];
    first = std::max(first + 1, behind_seen_);
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(log_, error);
    return !error && first * kLogBlockBytes < size;
  }

 private:
  static constexpr std::uint64_t kLogBlockBytes = 32768;  // log::kBlockSize; each read is one

  class Part : public rocksdb::FSSequentialFileOwnerWrapper {
   public:
    Part(std::unique_ptr<rocksdb::FSSequentialFile> file, LogsReadInParts& logs)
        : FSSequentialFileOwnerWrapper(std::move(file)), logs_(logs) {}
    rocksdb::IOStatus Read(std::size_t size, const rocksdb::IOOptions& options,
                           rocksdb::Slice* bytes, char* scratch,
                           rocksdb::IODebugContext* debug) override {
      if (logs_.watch_.records() != logs_.records_) logs_.behind_seen_ = logs_.next_block_;
      logs_.records_ = logs_.watch_.records();
      ++logs_.next_block_;
      return FSSequentialFileOwnerWrapper::Read(size, options, bytes, scratch, debug);
    }

   private:
    LogsReadInParts& logs_;
  };

  const LogWatch& watch_;
  std::map<std::string, std::uint64_t> first_blocks_;  // where each log is read from
  std::string log_;
  std::uint64_t next_block_ = 0;
  std::uint64_t behind_seen_ = 0;  // the block after that in which the last batch ended
  std::uint64_t records_ = 0;
};

bool RefusedByReader(const rocksdb::Status& status) {
  return status.IsCorruption() && status.ToString().find("content corrupted") != std::string::npos;
}

}  // namespace

void LogWatch::ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>&,
                                        const std::map<std::string, std::uint32_t>& ids) {
  const auto found = ids.find(std::string(FamilyName(Family::kCatalog)));
  if (found != ids.end()) catalog_ = found->second;
}

rocksdb::WalFilter::WalProcessingOption LogWatch::LogRecordFound(unsigned long long,
                                                                 const std::string&,
                                                                 const rocksdb::WriteBatch& batch,
                                                                 rocksdb::WriteBatch*, bool*) {
  ++records_;
  CommitFinder finder(catalog_);
  const rocksdb::Status status = batch.Iterate(&finder);
  const auto commit = DecodeCommitRecord(finder.commit());
  const bool beyond = apply_to_ > 0 && commit.ok() && commit->batch > apply_to_;
  if (beyond) return WalProcessingOption::kStopReplay;
  if (status.ok() && commit.ok()) Add(commit->batch, commit->synced);
  const auto meta = DecodeStoreMeta(finder.meta());
  if (status.ok() && meta.ok()) format_version_ = meta->format_version;
  return apply_to_ > 0 ? WalProcessingOption::kContinueProcessing
                       : WalProcessingOption::kIgnoreCurrentRecord;
}

void LogWatch::Add(std::uint64_t number, std::optional<std::uint64_t> synced) {
  if (number <= seen_) return;
  // Without a word of it, a gap is taken for damage.
  synced_ = std::max(synced_, synced.value_or(number - 1));
  if (!runs_.empty() && number == runs_.back().last + 1) {
    runs_.back().last = number;
  } else {
    runs_.push_back({number, number});
  }
}

absl::StatusOr<LogExtent> LogWatch::Judge(std::uint64_t in_tables, const std::string& path) const {
  ENGRAM_ASSIGN_OR_RETURN(const LogExtent extent, Measure(in_tables, path));
  if (!extent.has_gap() || extent.kept >= synced_) return extent;
  return absl::DataLossError(absl::StrFormat(
      "the log of %s is damaged: batch %d is missing, and all up to batch %d were synced", path,
      extent.kept + 1, synced_));
}

absl::StatusOr<LogExtent> LogWatch::Measure(std::uint64_t in_tables,
                                            const std::string& path) const {
  LogExtent extent{.in_tables = in_tables, .kept = in_tables};
  if (!runs_.empty()) extent.first = runs_.front().first;
  for (const Run& run : runs_) {
    if (run.first <= extent.last) {
      return absl::DataLossError(absl::StrFormat("the log of %s is damaged: batch %d follows %d",
                                                 path, run.first, extent.last));
    }
    // What table files hold may be missing here.
    const bool joins = extent.kept >= extent.last && run.first <= extent.kept + 1;
    if (joins) extent.kept = std::max(extent.kept, run.last);
    extent.last = run.last;
  }
  return extent;
}

namespace {

// Returns: the newest batch in table files.
absl::StatusOr<std::uint64_t> WatchLog(const std::string& path, LogWatch& watch) {
  const auto logs = std::make_shared<LogsReadInParts>(watch);
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(logs);
  rocksdb::DBOptions options = OpenOptions(/*read_only=*/true);
  options.env = env.get();
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  options.wal_filter = &watch;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const Family family : {Family::kDefault, Family::kCatalog}) {
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, nullptr));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  rocksdb::Status status = rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &raw);
  while (RefusedByReader(status) && logs->SkipRefused()) {
    watch.ReadAgain();
    status = rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &raw);
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "checking the log of " + path));
  const std::unique_ptr<rocksdb::DB> db(raw);
  const auto format = FormatInTables(*db);
  const auto in_tables = BatchInTables(*db, handles[1]);
  for (rocksdb::ColumnFamilyHandle* handle : handles) delete handle;
  ENGRAM_RETURN_IF_ERROR(format.status());
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion(path, std::max(*format, watch.format_version())));
  ENGRAM_RETURN_IF_ERROR(in_tables.status());
  return *in_tables;
}

}  // namespace

absl::StatusOr<LogExtent> CheckLog(const std::string& path) {
  LogWatch watch(/*apply_to=*/0);
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t in_tables, WatchLog(path, watch));
  return watch.Judge(in_tables, path);
}

absl::StatusOr<LogExtent> MeasureLog(const std::string& path) {
  LogWatch watch(/*apply_to=*/0);
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t in_tables, WatchLog(path, watch));
  return watch.Measure(in_tables, path);
}

}  // namespace engram::storage

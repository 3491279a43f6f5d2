#include "storage/log_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "storage/base/status.h"
#include "storage/database.h"
#include "storage/format/record_format.h"

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
  CommitFinder finder(catalog_);
  const rocksdb::Status status = batch.Iterate(&finder);
  const auto commit = DecodeCommitRecord(finder.commit());
  const bool beyond = apply_to_ > 0 && commit.ok() && commit->batch > apply_to_;
  if (beyond) return WalProcessingOption::kIgnoreCurrentRecord;
  if (status.ok() && commit.ok()) Add(commit->batch);
  const auto meta = DecodeStoreMeta(finder.meta());
  if (status.ok() && meta.ok()) format_version_ = meta->format_version;
  return apply_to_ > 0 ? WalProcessingOption::kContinueProcessing
                       : WalProcessingOption::kIgnoreCurrentRecord;
}

void LogWatch::Add(std::uint64_t number) {
  if (first_ == 0) {
    first_ = number;
  } else if (number != last_ + 1 && gap_.empty()) {
    gap_ = absl::StrFormat("batch %d is followed by batch %d", last_, number);
  }
  last_ = number;
}

absl::Status LogWatch::Check(std::uint64_t in_tables, const std::string& path) const {
  std::string gap = gap_;
  if (gap.empty() && first_ > in_tables + 1) {
    gap = absl::StrFormat("table files end with batch %d, and the log begins with batch %d",
                          in_tables, first_);
  }
  if (gap.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "the log of %s is damaged: %s, and every batch in between was acknowledged", path, gap));
}

absl::StatusOr<LogExtent> CheckLog(const std::string& path) {
  LogWatch watch(/*apply_to=*/0);
  rocksdb::DBOptions options = OpenOptions(/*read_only=*/true);
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  options.wal_filter = &watch;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const Family family : {Family::kDefault, Family::kCatalog}) {
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, nullptr));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &raw);
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "checking the log of " + path));
  const std::unique_ptr<rocksdb::DB> db(raw);
  const auto format = FormatInTables(*db);
  const auto in_tables = BatchInTables(*db, handles[1]);
  for (rocksdb::ColumnFamilyHandle* handle : handles) delete handle;
  ENGRAM_RETURN_IF_ERROR(format.status());
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion(path, std::max(*format, watch.format_version())));
  ENGRAM_RETURN_IF_ERROR(in_tables.status());
  ENGRAM_RETURN_IF_ERROR(watch.Check(*in_tables, path));
  return LogExtent{.in_tables = *in_tables, .first = watch.first(), .last = watch.last()};
}

}  // namespace engram::storage

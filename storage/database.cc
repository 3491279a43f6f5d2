#include "storage/database.h"

#include <algorithm>
#include <limits>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "rocksdb/convenience.h"
#include "rocksdb/listener.h"
#include "rocksdb/metadata.h"
#include "storage/base/status.h"
#include "storage/catalog.h"
#include "storage/format/edge_format.h"
#include "storage/format/record_format.h"
#include "storage/log_check.h"
#include "storage/reader_gate.h"
#include "storage/store_directory.h"
#include "storage/table_check.h"

namespace engram::storage {
namespace {

// A reader can lose the race with a writer that removes files, where it could not tell it to wait.
constexpr int kReaderAttempts = 20;
constexpr int kReaderAttemptsBesideWrites = 100;
constexpr std::chrono::milliseconds kReaderPause{10};
// How long the last to close waits for readers that are just opening; the next open deletes what
// is left for them.
constexpr std::chrono::seconds kClosePatience{1};

std::vector<rocksdb::ColumnFamilyDescriptor> Descriptors(std::uint64_t cache_bytes) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  const auto cache = rocksdb::NewLRUCache(cache_bytes);
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    descriptors.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, cache));
  }
  return descriptors;
}

absl::Status NotAStore(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s is not an Engram store: it is a RocksDB database of something else", path));
}

// Returns: 0 when the default family is empty, as a creation leaves it that ended early.
absl::StatusOr<std::uint32_t> FormatVersionOf(const std::string& path) {
  rocksdb::DB* raw = nullptr;
  const rocksdb::Options options(OpenOptions(/*read_only=*/true),
                                 FamilyOptions(Family::kDefault, nullptr));
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::OpenForReadOnly(options, path, &raw), "opening " + path));
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::string value;
  const rocksdb::Status status =
      db->Get(rocksdb::ReadOptions(), rocksdb::Slice(kMetaKey.data(), kMetaKey.size()), &value);
  if (status.IsNotFound()) {
    const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(rocksdb::ReadOptions()));
    it->SeekToFirst();
    if (it->Valid()) return NotAStore(path);
    ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "reading what the store is"));
    return 0;
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "reading what the store is"));
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, DecodeStoreMeta(value));
  return meta.format_version;
}

absl::Status CheckUndescribed(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const std::uint32_t version, FormatVersionOf(path));
  return version == 0 ? absl::OkStatus() : StoreExists(path);
}

// Refuses what is not ours, or is newer, before a write-open could change it.
absl::Status CheckFamilies(const DatabaseOptions& options, const std::string& path) {
  std::vector<std::string> names;
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::ListColumnFamilies(OpenOptions(/*read_only=*/true), path, &names),
                "opening " + path));
  std::set<std::string> missing;
  for (int i = 0; i < kFamilyCount; ++i) {
    missing.emplace(FamilyName(static_cast<Family>(i)));
  }
  std::string unknown;
  for (const std::string& name : names) {
    if (missing.erase(name) == 0) unknown = name;
  }
  if (missing.empty() && unknown.empty()) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const std::uint32_t version, FormatVersionOf(path));
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion(path, version));
  if (version == 0 && unknown.empty()) {
    if (options.create_if_missing && !options.read_only) return absl::OkStatus();
    // With none of our families it may be anybody's.
    return names.size() > 1 ? UnfinishedCreation(path) : NotAStore(path);
  }
  if (version == 0) return NotAStore(path);
  return absl::DataLossError(absl::StrFormat("%s has no column family %s", path,
                                             missing.empty() ? unknown : *missing.begin()));
}

absl::Status CheckDirectory(const DatabaseOptions& options, const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const DirectoryState state, ClassifyDirectory(path));
  if (state == DirectoryState::kDatabase) {
    ENGRAM_RETURN_IF_ERROR(CheckFamilies(options, path));
    return options.error_if_exists ? CheckUndescribed(path) : absl::OkStatus();
  }
  if (options.create_if_missing && !options.read_only) return MakeDirectory(path);
  return absl::NotFoundError(absl::StrFormat(
      "there is no store in %s: %s", path,
      state == DirectoryState::kAbsent ? "nothing is there" : "the directory is empty"));
}

bool MayBeARace(const absl::Status& status) {
  return !status.ok() && !absl::IsNotFound(status) && !absl::IsFailedPrecondition(status);
}

void RaiseTo(std::atomic<std::uint64_t>& number, std::uint64_t to) {
  std::uint64_t now = number;
  while (now < to && !number.compare_exchange_weak(now, to)) continue;
}

bool HasLog(const std::string& path) { return MeasureDirectory(path).log > 0; }

// What must be known before RocksDB recovers, and so rewrites, the files.
absl::StatusOr<LogExtent> CheckBeforeRecovery(const std::string& path) {
  if (HasLog(path)) return CheckLog(path);
  ENGRAM_ASSIGN_OR_RETURN(const std::uint32_t version, FormatVersionOf(path));
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion(path, version));
  return LogExtent{};
}

// Returns: what recovers a log of which the check found `extent`: RocksDB alone would go on
// behind a gap.
std::unique_ptr<LogWatch> WatchOf(const LogExtent& extent) {
  const bool any = extent.first > 0 || extent.in_tables > 0;
  return std::make_unique<LogWatch>(any ? extent.kept : std::numeric_limits<std::uint64_t>::max());
}

// After an error of the background only an open knows what is on the disk. RocksDB would try to
// go on by itself, and ends the process where it finds what it did not expect.
class ErrorWatch : public rocksdb::EventListener {
 public:
  explicit ErrorWatch(Database& database) : database_(database) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) override {
    if (reason == rocksdb::BackgroundErrorReason::kCompaction) return;
    database_.LogFailed(FromRocks(*status, "working on " + database_.path()));
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  Database& database_;
};

}  // namespace

absl::Status UnfinishedCreation(std::string_view path) {
  return absl::NotFoundError(absl::StrFormat(
      "there is no store in %s: its creation ended early, and can be begun again", path));
}

absl::Status StoreExists(std::string_view path) {
  return absl::AlreadyExistsError(absl::StrFormat("%s holds a store already", path));
}

absl::Status CheckFormatVersion(std::string_view path, std::uint32_t version) {
  if (version <= kFormatVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s has format version %d; this library reads versions 1 to %d", path,
                      version, kFormatVersion));
}

absl::StatusOr<std::shared_ptr<Database>> Database::Open(const DatabaseOptions& options,
                                                         const std::string& path) {
  RaiseOpenFileLimit();
  if (!options.read_only) return OpenWriter(options, path);
  ReaderPass pass(path);
  absl::Status status = CheckDirectory(options, path);
  // A writer that opens the store replaces the manifest, maybe after CURRENT was read.
  for (int attempt = 1; MayBeARace(status) && attempt < kReaderAttempts; ++attempt) {
    std::this_thread::sleep_for(kReaderPause);
    status = CheckDirectory(options, path);
  }
  ENGRAM_RETURN_IF_ERROR(status);
  return OpenReader(options, path, pass);
}

absl::StatusOr<std::shared_ptr<Database>> Database::OpenWriter(const DatabaseOptions& options,
                                                               const std::string& path) {
  std::shared_ptr<Database> database(new Database(path, /*read_only=*/false));
  ENGRAM_ASSIGN_OR_RETURN(database->lock_, DirectoryLock::Acquire(path, options.lock_timeout, [&] {
                            return CheckDirectory(options, path);
                          }));
  ENGRAM_ASSIGN_OR_RETURN(const DirectoryState state, ClassifyDirectory(path));
  const bool exists = state == DirectoryState::kDatabase;
  database->TakeDirectory();
  LogExtent extent;
  if (exists) {
    ENGRAM_ASSIGN_OR_RETURN(extent, CheckBeforeRecovery(path));
  }
  database->watch_ = WatchOf(extent);
  rocksdb::DBOptions open_options = OpenOptions(/*read_only=*/false);
  open_options.create_if_missing = !exists;
  open_options.create_missing_column_families = true;
  ENGRAM_RETURN_IF_ERROR(database->Recover(open_options, options.block_cache_bytes));
  ENGRAM_RETURN_IF_ERROR(database->HasAtLeast(extent.kept));
  if (options.check_columns) ENGRAM_RETURN_IF_ERROR(database->CheckColumns());
  return database;
}

void Database::TakeDirectory() {
  gate_ = std::make_unique<ReaderGate>(path_);
  files_ = std::make_shared<StoreFileSystem>(gate_.get());
  env_ = rocksdb::NewCompositeEnv(files_);
}

absl::Status Database::Recover(const rocksdb::DBOptions& options, std::uint64_t cache_bytes) {
  rocksdb::DBOptions watched = options;
  watched.wal_filter = watch_.get();
  if (env_ != nullptr) watched.env = env_.get();
  if (!read_only_) watched.listeners.push_back(std::make_shared<ErrorWatch>(*this));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const auto families = Descriptors(cache_bytes);
  const rocksdb::Status status =
      read_only_ ? rocksdb::DB::OpenForReadOnly(watched, path_, families, &handles, &raw)
                 : rocksdb::DB::Open(watched, path_, families, &handles, &raw);
  if (!read_only_ && DirectoryLock::IsTaken(status)) return DirectoryLock::OpenElsewhere(path_);
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "opening " + path_));
  db_.reset(raw);
  std::copy(handles.begin(), handles.end(), handles_.begin());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Database>> Database::OpenReader(const DatabaseOptions& options,
                                                               const std::string& path,
                                                               ReaderPass& pass) {
  absl::Status last;
  LogExtent first, before;
  std::uint64_t gap_over = std::numeric_limits<std::uint64_t>::max();
  const auto moves = [&] { return first.last > 0 && before.last != first.last; };
  for (int attempt = 0; attempt < (moves() ? kReaderAttemptsBesideWrites : kReaderAttempts);
       ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kReaderPause);
    pass.TryAgain();
    const auto extent = CheckLog(path);
    last = extent.status();
    if (absl::IsFailedPrecondition(last)) return last;  // no store of ours at any moment
    if (!last.ok()) continue;
    before = *extent;
    if (first.last == 0) first = before;
    // A writer may have put into table files what was missing from the log, and has then
    // named them: the same gap over the same tables is one that a power loss has left.
    if (before.has_gap() && std::exchange(gap_over, before.in_tables) != before.in_tables) {
      last =
          absl::DataLossError(absl::StrFormat("batch %d of %s is missing", before.kept + 1, path));
      continue;
    }
    std::shared_ptr<Database> database(new Database(path, /*read_only=*/true));
    // RocksDB reads its manifest first and the log last. What a writer seals or imports in between
    // would be in the catalog and in no file, so the log is taken as it was before, empty too.
    database->watch_ = WatchOf(before);
    last = database->Recover(OpenOptions(/*read_only=*/true), options.block_cache_bytes);
    if (!last.ok()) continue;
    // A log file that went between the check and the open leaves a hole.
    const auto applied = database->watch_->Judge(before.in_tables, path);
    last = applied.status();
    if (last.ok() && applied->has_gap()) {
      last = absl::DataLossError(
          absl::StrFormat("batch %d of %s is missing", applied->kept + 1, path));
    }
    if (last.ok()) last = database->HasAtLeast(before.kept);
    if (!last.ok()) continue;
    // A compaction may still have dropped files that the catalog names. When they stay away it is
    // damage, which the blocks themselves tell of.
    last = database->HasNamedFiles();
    if (!last.ok() && (attempt + 1 < kReaderAttempts || moves())) continue;
    if (options.check_columns) last = database->CheckColumns();
    if (last.ok() || !options.check_columns) return database;
    if (!absl::IsUnavailable(last)) return last;
  }
  if (!moves()) return last;
  return absl::UnavailableError(absl::StrFormat(
      "a writer replaces the files of %s faster than they can be opened; the last attempt: %s",
      path, std::string(last.message())));
}

absl::Status Database::CheckColumns() const {
  ENGRAM_RETURN_IF_ERROR(CheckTables(*this, Family::kBlocks));
  return CheckTables(*this, Family::kEdges);
}

absl::StatusOr<std::uint64_t> Database::NewestBatch() const {
  ENGRAM_ASSIGN_OR_RETURN(const std::string value, Get(Family::kCatalog, kCommitKey));
  ENGRAM_ASSIGN_OR_RETURN(const CommitRecord commit, DecodeCommitRecord(value));
  return commit.batch;
}

absl::Status Database::HasAtLeast(std::uint64_t batch) const {
  if (batch == 0) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t newest, NewestBatch());
  if (newest >= batch) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%s shows batch %d, and had batch %d before", path_, newest, batch));
}

absl::Status Database::HasNamedFiles() const {
  ENGRAM_ASSIGN_OR_RETURN(const Catalog catalog, Catalog::Load(*this));
  rocksdb::ColumnFamilyMetaData meta;
  db_->GetColumnFamilyMetaData(family(Family::kBlocks), &meta);
  std::set<std::pair<std::uint64_t, std::uint32_t>> there;
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const auto key = DecodeBlockKey(file.smallestkey);
      if (key.has_value()) there.emplace(key->first_row, key->generation);
    }
  }
  for (const auto& [first_row, entry] : catalog.files()) {
    if (there.contains({first_row, entry.generation})) continue;
    return absl::DataLossError(
        absl::StrFormat("%s names blocks from row %d, generation %d, and no "
                        "file has them",
                        path_, first_row, entry.generation));
  }
  return HasNamedEdges();
}

absl::Status Database::HasNamedEdges() const {
  const auto value = Get(Family::kCatalog, kEdgeCatalogKey);
  if (absl::IsNotFound(value.status())) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(value.status());
  ENGRAM_ASSIGN_OR_RETURN(const EdgeCatalog catalog, DecodeEdgeCatalog(*value));
  if (catalog.blocks.empty()) return absl::OkStatus();
  rocksdb::ColumnFamilyMetaData meta;
  db_->GetColumnFamilyMetaData(family(Family::kEdges), &meta);
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const auto key = DecodeBlockKey(file.smallestkey);
      if (key.has_value() && key->generation == catalog.generation) return absl::OkStatus();
    }
  }
  return absl::DataLossError(
      absl::StrFormat("%s names edges of generation %d, and no file has "
                      "them",
                      path_, catalog.generation));
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    // Fails only for a handle that is not the database's.
    if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  // What matters was synced by StoreFiles::Close, which reports.
  db_->Close().PermitUncheckedError();
  db_.reset();
  if (files_ == nullptr) return;
  const auto deadline = std::chrono::steady_clock::now() + kClosePatience;
  while (files_->DeleteDeferred() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kReaderPause);
  }
}

absl::StatusOr<std::string> Database::Get(Family which, std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), family(which),
                                          rocksdb::Slice(key.data(), key.size()), &value);
  if (!status.ok()) {
    return FromRocks(status, absl::StrFormat("reading from %s of %s", FamilyName(which), path_));
  }
  return value;
}

void Database::LogFailed(const absl::Status& status) {
  absl::MutexLock lock(&log_mutex_);
  log_status_.Update(status);
}

absl::Status Database::LogStatus() const {
  absl::MutexLock lock(&log_mutex_);
  return log_status_;
}

absl::Status Database::SyncLog() {
  ENGRAM_RETURN_IF_ERROR(LogStatus());
  const std::uint64_t written = written_;
  const absl::Status status =
      FromRocks(db_->FlushWAL(/*sync=*/true), "syncing the log of " + path_);
  LogFailed(status);
  ENGRAM_RETURN_IF_ERROR(status);
  RaiseTo(synced_, written);
  return absl::OkStatus();
}

void Database::Wrote(std::uint64_t batch, bool synced) {
  RaiseTo(written_, batch);
  if (synced) RaiseTo(synced_, batch);
}

absl::Status Database::FlushFamilies() {
  ENGRAM_RETURN_IF_ERROR(LogStatus());
  const std::vector<rocksdb::ColumnFamilyHandle*> all(handles_.begin(), handles_.end());
  return FromRocks(db_->Flush(rocksdb::FlushOptions(), all), "flushing " + path_);
}

absl::StatusOr<bool> DropUnnamed(const Database& database, Family family,
                                 absl::FunctionRef<bool(const BlockKey&)> is_named) {
  rocksdb::ColumnFamilyMetaData meta;
  database.db().GetColumnFamilyMetaData(database.family(family), &meta);
  std::vector<std::pair<rocksdb::Slice, rocksdb::Slice>> ends;
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const auto key = DecodeBlockKey(file.smallestkey);
      if (!key.has_value() || !is_named(*key)) ends.emplace_back(file.smallestkey, file.largestkey);
    }
  }
  if (ends.empty()) return false;
  std::vector<rocksdb::RangePtr> ranges;
  for (const auto& [first, last] : ends) ranges.emplace_back(&first, &last);
  // At once: each call writes and syncs the manifest.
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(rocksdb::DeleteFilesInRanges(&database.db(), database.family(family), ranges.data(),
                                             ranges.size()),
                absl::StrFormat("dropping files of %s that nothing names", FamilyName(family))));
  return true;
}

}  // namespace engram::storage

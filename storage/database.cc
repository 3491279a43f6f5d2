#include "storage/database.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "rocksdb/convenience.h"
#include "rocksdb/metadata.h"
#include "storage/base/status.h"
#include "storage/catalog.h"
#include "storage/format/edge_format.h"
#include "storage/format/record_format.h"
#include "storage/log_check.h"
#include "storage/store_directory.h"

namespace engram::storage {
namespace {

// A reader can lose the race with a writer that flushes and removes files.
constexpr int kReaderAttempts = 20;
constexpr int kReaderAttemptsBesideWrites = 100;
constexpr std::chrono::milliseconds kReaderPause{10};

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

// Returns: 0 when the default family is empty, as a creation leaves it that died early.
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
  // A creation that died between the families and the description is begun again.
  if (version == 0 && unknown.empty() && options.create_if_missing && !options.read_only) {
    return absl::OkStatus();
  }
  if (version == 0) return NotAStore(path);
  return absl::DataLossError(absl::StrFormat("%s has no column family %s", path,
                                             missing.empty() ? unknown : *missing.begin()));
}

absl::Status CheckDirectory(const DatabaseOptions& options, const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const DirectoryState state, ClassifyDirectory(path));
  if (state == DirectoryState::kDatabase) {
    if (options.error_if_exists) {
      return absl::AlreadyExistsError(absl::StrFormat("%s holds a store already", path));
    }
    return CheckFamilies(options, path);
  }
  if (options.create_if_missing && !options.read_only) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (!error) return absl::OkStatus();
    const auto text = absl::StrFormat("cannot create the directory %s: %s", path, error.message());
    if (error == std::errc::permission_denied || error == std::errc::read_only_file_system) {
      return absl::PermissionDeniedError(text);
    }
    if (error == std::errc::no_space_on_device) return absl::ResourceExhaustedError(text);
    return absl::InternalError(text);
  }
  return absl::NotFoundError(absl::StrFormat(
      "there is no store in %s: %s", path,
      state == DirectoryState::kAbsent ? "nothing is there" : "the directory is empty"));
}

bool HasLog(const std::string& path) { return MeasureDirectory(path).log > 0; }

// What must be known before RocksDB recovers, and so rewrites, the files.
absl::Status CheckBeforeRecovery(const std::string& path) {
  if (HasLog(path)) return CheckLog(path).status();
  ENGRAM_ASSIGN_OR_RETURN(const std::uint32_t version, FormatVersionOf(path));
  return CheckFormatVersion(path, version);
}

}  // namespace

absl::Status CheckFormatVersion(std::string_view path, std::uint32_t version) {
  if (version <= kFormatVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s has format version %d; this library reads versions 1 to %d", path,
                      version, kFormatVersion));
}

absl::StatusOr<std::shared_ptr<Database>> Database::Open(const DatabaseOptions& options,
                                                         const std::string& path) {
  RaiseOpenFileLimit();
  ENGRAM_RETURN_IF_ERROR(CheckDirectory(options, path));
  return options.read_only ? OpenReader(options, path) : OpenWriter(options, path);
}

absl::StatusOr<std::shared_ptr<Database>> Database::OpenWriter(const DatabaseOptions& options,
                                                               const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(auto lock, DirectoryLock::Acquire(path, options.lock_timeout));
  ENGRAM_ASSIGN_OR_RETURN(const DirectoryState state, ClassifyDirectory(path));
  const bool exists = state == DirectoryState::kDatabase;
  if (exists) ENGRAM_RETURN_IF_ERROR(CheckBeforeRecovery(path));
  lock.reset();  // RocksDB takes it again for itself

  rocksdb::DBOptions open_options = OpenOptions(/*read_only=*/false);
  open_options.create_if_missing = !exists;
  open_options.create_missing_column_families = true;
  std::shared_ptr<Database> database(new Database(path, /*read_only=*/false));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(open_options, path, Descriptors(options.block_cache_bytes), &handles, &raw);
  if (status.IsIOError() && status.ToString().find("lock") != std::string::npos) {
    // Somebody was quicker between the two locks: say who, as above.
    ENGRAM_RETURN_IF_ERROR(DirectoryLock::Acquire(path, std::chrono::milliseconds(0)).status());
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "opening " + path));
  database->db_.reset(raw);
  std::copy(handles.begin(), handles.end(), database->handles_.begin());
  return database;
}

absl::StatusOr<std::shared_ptr<Database>> Database::OpenReader(const DatabaseOptions& options,
                                                               const std::string& path) {
  absl::Status last;
  LogExtent first, before;
  const auto moves = [&] { return first.last > 0 && before.last != first.last; };
  for (int attempt = 0; attempt < (moves() ? kReaderAttemptsBesideWrites : kReaderAttempts);
       ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kReaderPause);
    const auto extent = CheckLog(path);
    last = extent.status();
    if (absl::IsFailedPrecondition(last)) return last;  // no store of ours at any moment
    if (!last.ok()) continue;
    before = *extent;
    if (first.last == 0) first = before;
    const std::uint64_t newest = std::max(before.in_tables, before.last);
    std::shared_ptr<Database> database(new Database(path, /*read_only=*/true));
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    // RocksDB reads its manifest first and the log last. What a writer seals or imports in between
    // would be in the catalog and in no file, so the log is taken as it was before, empty too.
    database->watch_ = std::make_unique<LogWatch>(
        /*apply_to=*/newest > 0 ? newest : std::numeric_limits<std::uint64_t>::max());
    rocksdb::DBOptions open_options = OpenOptions(/*read_only=*/true);
    open_options.wal_filter = database->watch_.get();
    last =
        FromRocks(rocksdb::DB::OpenForReadOnly(
                      open_options, path, Descriptors(options.block_cache_bytes), &handles, &raw),
                  "opening " + path);
    if (!last.ok()) continue;
    database->db_.reset(raw);
    std::copy(handles.begin(), handles.end(), database->handles_.begin());
    // A log file that went between the check and the open leaves a hole.
    last = database->watch_->Check(before.in_tables, path);
    if (last.ok()) last = database->HasAtLeast(newest);
    if (!last.ok()) continue;
    // A compaction may still have dropped files that the catalog names. When they stay away it is
    // damage, which the blocks themselves tell of.
    last = database->HasNamedFiles();
    if (last.ok() || (attempt + 1 >= kReaderAttempts && !moves())) return database;
  }
  if (!moves()) return last;
  return absl::UnavailableError(absl::StrFormat(
      "a writer replaces the files of %s faster than they can be opened; the last attempt: %s",
      path, std::string(last.message())));
}

absl::Status Database::HasAtLeast(std::uint64_t batch) const {
  if (batch == 0) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const std::string value, Get(Family::kCatalog, kCommitKey));
  ENGRAM_ASSIGN_OR_RETURN(const CommitRecord commit, DecodeCommitRecord(value));
  if (commit.batch >= batch) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%s shows batch %d, and had batch %d before", path_, commit.batch, batch));
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

absl::Status Database::SyncLog() {
  return FromRocks(db_->FlushWAL(/*sync=*/true), "syncing the log of " + path_);
}

absl::Status Database::FlushFamilies() {
  const std::vector<rocksdb::ColumnFamilyHandle*> all(handles_.begin(), handles_.end());
  return FromRocks(db_->Flush(rocksdb::FlushOptions(), all), "flushing " + path_);
}

absl::Status DropUnnamed(const Database& database, Family family,
                         absl::FunctionRef<bool(const BlockKey&)> is_named) {
  rocksdb::ColumnFamilyMetaData meta;
  database.db().GetColumnFamilyMetaData(database.family(family), &meta);
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const auto key = DecodeBlockKey(file.smallestkey);
      if (key.has_value() && is_named(*key)) continue;
      const rocksdb::Slice begin(file.smallestkey), end(file.largestkey);
      ENGRAM_RETURN_IF_ERROR(FromRocks(
          rocksdb::DeleteFilesInRange(&database.db(), database.family(family), &begin, &end),
          absl::StrFormat("dropping files of %s that nothing names", FamilyName(family))));
    }
  }
  return absl::OkStatus();
}

}  // namespace engram::storage

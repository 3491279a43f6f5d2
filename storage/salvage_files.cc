#include "storage/salvage_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "rocksdb/metadata.h"
#include "rocksdb/sst_file_reader.h"
#include "rocksdb/table_properties.h"
#include "storage/base/status.h"
#include "storage/format/record_format.h"
#include "storage/log_check.h"

namespace engram::storage {
namespace fs = std::filesystem;
namespace {

std::vector<rocksdb::ColumnFamilyDescriptor> AllFamilies() {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, nullptr));
  }
  return families;
}

bool Copied(const std::string& name) {
  return name == "CURRENT" || name == "IDENTITY" || name.ends_with(".sst") ||
         name.ends_with(".log") || name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-");
}

absl::Status FileError(const std::string& doing, const std::error_code& error) {
  if (error == std::errc::no_space_on_device) return absl::ResourceExhaustedError(doing);
  return absl::InternalError(absl::StrFormat("%s: %s", doing, error.message()));
}

// Returns: the number in the name of a table or manifest; 0 where there is none. Later files have
// higher ones, and not always as many digits.
std::uint64_t NumberOf(const std::string& path) {
  std::string digits = fs::path(path).stem();
  if (digits.starts_with("MANIFEST-")) digits.erase(0, std::string_view("MANIFEST-").size());
  std::uint64_t number = 0;
  return absl::SimpleAtoi(digits, &number) ? number : 0;
}

bool IsNewer(const std::string& a, const std::string& b) {
  return std::make_pair(NumberOf(a), a) > std::make_pair(NumberOf(b), b);
}

// Returns: the family of which the entries of a table are that does not name it: what is made
// outside and taken in carries no name.
std::optional<Family> FamilyOfEntry(std::string_view key) {
  if (key == kMetaKey) return Family::kDefault;
  if (key == kCommitKey || DecodeFileKey(key).has_value()) return Family::kCatalog;
  if (key.size() == sizeof(std::uint64_t) + 1 && key.back() <= 2) return Family::kRecords;
  if (key.size() == kBlockKeyBytes && key[0] == '\0') return Family::kBlocks;
  if (!key.empty() && std::string_view("iknrw").find(key[0]) != std::string_view::npos) {
    return Family::kIds;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> Losses::Findings() const {
  std::vector<std::string> findings = findings_;
  if (total_ > findings.size()) {
    findings.back() = absl::StrFormat("and %d more findings", total_ - findings.size() + 1);
  }
  return findings;
}

SalvageFiles::~SalvageFiles() { CloseDatabase(); }

void SalvageFiles::CloseDatabase() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle*& handle : handles_) {
    // The copies go; nothing of them needs to be told.
    if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    handle = nullptr;
  }
  db_->Close().PermitUncheckedError();
  db_.reset();
}

rocksdb::Status SalvageFiles::Get(Family which, std::string_view key, std::string* value) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  return db_->Get(options, family(which), rocksdb::Slice(key.data(), key.size()), value);
}

bool SalvageFiles::Names(Family family, const std::string& table) const {
  const auto found = named_.find(table);
  return rebuilt_ || (found != named_.end() && found->second == FamilyName(family));
}

absl::StatusOr<std::unique_ptr<SalvageFiles>> SalvageFiles::Open(const std::string& damaged,
                                                                 const std::string& scratch,
                                                                 Losses* losses) {
  RaiseOpenFileLimit();
  std::unique_ptr<SalvageFiles> files(new SalvageFiles());
  ENGRAM_RETURN_IF_ERROR(files->Copy(damaged, scratch));
  ENGRAM_RETURN_IF_ERROR(files->OpenCopies(scratch, losses));
  return files;
}

absl::Status SalvageFiles::Copy(const std::string& damaged, const std::string& scratch) {
  std::error_code error;
  bool any = false;
  for (fs::directory_iterator it(damaged, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (!Copied(name)) continue;
    any = any || name != "IDENTITY";
    const fs::path to = fs::path(scratch) / name;
    std::error_code refused;
    if (name.ends_with(".sst")) {
      tables_.push_back(it->path());
      fs::create_hard_link(it->path(), to, refused);
      if (!refused) continue;
    }
    fs::copy_file(it->path(), to, error);
    if (error) return FileError("copying " + it->path().string(), error);
  }
  if (error) return FileError("reading " + damaged, error);
  std::sort(tables_.begin(), tables_.end(), IsNewer);
  if (any) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s is not an Engram store: it holds no file of one", damaged));
}

absl::Status SalvageFiles::OpenCopies(const std::string& scratch, Losses* losses) {
  ENGRAM_RETURN_IF_ERROR(RestoreCurrent(scratch, losses));
  const absl::Status first = OpenAsIs(scratch, losses);
  if (first.ok()) return first;
  losses->Add(
      absl::StrFormat("the store could not be opened as it is: %s", std::string(first.message())));
  const absl::Status status = OpenRebuilt(scratch, losses);
  // A manifest that was cut off early names no family of ours, as that of a foreign database.
  std::string description;
  const bool ours = status.ok() && Get(Family::kDefault, kMetaKey, &description).ok();
  if (absl::IsFailedPrecondition(first) && !ours) return first;
  if (status.ok() || absl::IsFailedPrecondition(status)) return status;
  return absl::DataLossError(
      absl::StrFormat("nothing could be salvaged: %s", std::string(status.message())));
}

// CURRENT only says which manifest counts, and there is one, but for a moment.
absl::Status SalvageFiles::RestoreCurrent(const std::string& scratch, Losses* losses) {
  std::string newest, said;
  std::error_code error;
  for (fs::directory_iterator it(scratch, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.starts_with("MANIFEST-") && (newest.empty() || IsNewer(name, newest))) newest = name;
  }
  if (error) return FileError("reading " + scratch, error);
  const std::string path = scratch + "/CURRENT";
  std::ifstream(path) >> said;
  if (newest.empty() || said == newest) return absl::OkStatus();
  losses->Add(absl::StrFormat("CURRENT is missing or damaged; %s was taken", newest));
  std::ofstream file(path, std::ios::trunc);
  file << newest << '\n';
  file.close();
  return file ? absl::OkStatus() : absl::InternalError("writing " + path);
}

absl::Status SalvageFiles::OpenAsIs(const std::string& scratch, Losses* losses) {
  std::vector<std::string> names;
  rocksdb::DBOptions options = OpenOptions(/*read_only=*/true);
  ENGRAM_RETURN_IF_ERROR(FromRocks(rocksdb::DB::ListColumnFamilies(options, scratch, &names),
                                   "reading the manifest of the store"));
  if (std::find(names.begin(), names.end(), FamilyName(Family::kBlocks)) == names.end()) {
    return absl::FailedPreconditionError(
        "it is not an Engram store: it is a RocksDB database of something else");
  }
  ENGRAM_ASSIGN_OR_RETURN(const LogExtent extent, MeasureLog(scratch));
  if (extent.has_gap()) {
    losses->Add(absl::StrFormat(
        "log: batch %d is missing, and with it all after it up to batch %d are left out",
        extent.kept + 1, extent.last));
  }
  const bool any = extent.first > 0 || extent.in_tables > 0;
  watch_ =
      std::make_unique<LogWatch>(any ? extent.kept : std::numeric_limits<std::uint64_t>::max());
  options.wal_filter = watch_.get();
  // What it cannot read, the watch has seen, and ends before it.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::OpenForReadOnly(options, scratch, AllFamilies(), &handles, &raw),
                "opening the store"));
  db_.reset(raw);
  std::copy(handles.begin(), handles.end(), handles_.begin());
  std::string value;
  if (!Get(Family::kDefault, kMetaKey, &value).ok() ||
      !Get(Family::kCatalog, kCommitKey, &value).ok()) {
    CloseDatabase();
    return absl::DataLossError("the manifest does not lead to what describes the store");
  }
  std::vector<rocksdb::LiveFileMetaData> tables;
  db_->GetLiveFilesMetaData(&tables);
  for (const rocksdb::LiveFileMetaData& table : tables) {
    named_[fs::path(table.name).filename().string()] = table.column_family_name;
  }
  whole_ = !extent.has_gap();
  return absl::OkStatus();
}

// Moves away the tables that do not say of which family they are: rebuilt, all of them would be
// in the first.
absl::Status SalvageFiles::SetAside(const std::string& scratch, const std::string& aside) {
  std::error_code error;
  fs::create_directory(aside, error);
  std::vector<fs::path> moved;
  for (fs::directory_iterator it(scratch, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".sst") continue;
    rocksdb::SstFileReader reader(rocksdb::Options(OpenOptions(/*read_only=*/true),
                                                   FamilyOptions(Family::kRecords, nullptr)));
    const bool named = reader.Open(it->path()).ok() && reader.GetTableProperties() != nullptr &&
                       !reader.GetTableProperties()->column_family_name.empty();
    if (!named) moved.push_back(it->path());
  }
  for (const fs::path& path : moved) {
    if (!error) fs::rename(path, fs::path(aside) / path.filename(), error);
  }
  return error ? FileError("reading " + scratch, error) : absl::OkStatus();
}

absl::Status SalvageFiles::OpenRebuilt(const std::string& scratch, Losses* losses) {
  const std::string aside = scratch + "/aside";
  ENGRAM_RETURN_IF_ERROR(SetAside(scratch, aside));
  rocksdb::DBOptions options = OpenOptions(/*read_only=*/false);
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(rocksdb::RepairDB(scratch, options, AllFamilies()), "making a new manifest"));
  options.create_missing_column_families = true;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::Open(options, scratch, AllFamilies(), &handles, &raw),
                "opening what was rebuilt"));
  db_.reset(raw);
  rebuilt_ = true;
  std::copy(handles.begin(), handles.end(), handles_.begin());
  std::error_code error;
  for (const std::string& from : {scratch + "/lost", aside}) {
    std::vector<std::string> paths;
    for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() == ".sst") paths.push_back(it->path());
    }
    std::sort(paths.begin(), paths.end(), IsNewer);
    for (const std::string& path : paths) AddLeftOut(path, losses);
  }
  return absl::OkStatus();
}

// Puts what a table left out holds and nothing else has: what was taken in from outside was new
// then, and whatever the others say of it came later.
void SalvageFiles::AddLeftOut(const std::string& path, Losses* losses) {
  const std::string name = fs::path(path).filename();
  rocksdb::SstFileReader reader(
      rocksdb::Options(OpenOptions(/*read_only=*/true), FamilyOptions(Family::kRecords, nullptr)));
  rocksdb::Status status = reader.Open(path);
  if (!status.ok()) return losses->Add(absl::StrFormat("table %s: %s", name, status.ToString()));
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const auto which = FamilyOfEntry(it->key().ToStringView());
    if (which == Family::kBlocks) return;  // found without a table
    std::string there;
    if (!which.has_value() || !Get(*which, it->key().ToStringView(), &there).IsNotFound()) continue;
    status = db_->Put(rocksdb::WriteOptions(), family(*which), it->key(), it->value());
    if (!status.ok()) break;
  }
  if (status.ok()) status = it->status();
  if (!status.ok()) losses->Add(absl::StrFormat("table %s: %s", name, status.ToString()));
}

}  // namespace engram::storage

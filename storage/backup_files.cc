#include "storage/backup_files.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "absl/strings/str_format.h"
#include "rocksdb/env.h"
#include "storage/base/status.h"
#include "storage/target_directory.h"

namespace engram::storage {
namespace {

constexpr std::uint64_t kCopyBytes = std::uint64_t{1} << 20;

rocksdb::EnvOptions PlainFiles() {
  rocksdb::EnvOptions options;
  options.use_mmap_reads = false;
  options.use_mmap_writes = false;
  return options;
}

absl::Status Finish(rocksdb::WritableFile& file, const std::string& path) {
  ENGRAM_RETURN_IF_ERROR(FromRocks(file.Sync(), "syncing " + path));
  return FromRocks(file.Close(), "closing " + path);
}

absl::Status WriteWhole(std::string_view bytes, const std::string& to) {
  std::unique_ptr<rocksdb::WritableFile> target;
  ENGRAM_RETURN_IF_ERROR(FromRocks(
      rocksdb::Env::Default()->NewWritableFile(to, &target, PlainFiles()), "creating " + to));
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(target->Append(rocksdb::Slice(bytes.data(), bytes.size())), "writing " + to));
  return Finish(*target, to);
}

// The first `size` bytes of `from`.
absl::Status CopyFile(const std::string& from, std::uint64_t size, const std::string& to) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  std::unique_ptr<rocksdb::SequentialFile> source;
  std::unique_ptr<rocksdb::WritableFile> target;
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(env.NewSequentialFile(from, &source, PlainFiles()), "reading " + from));
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(env.NewWritableFile(to, &target, PlainFiles()), "creating " + to));
  std::string buffer(std::min(kCopyBytes, size), '\0');
  for (std::uint64_t left = size; left > 0;) {
    rocksdb::Slice bytes;
    ENGRAM_RETURN_IF_ERROR(FromRocks(
        source->Read(std::min(kCopyBytes, left), &bytes, buffer.data()), "reading " + from));
    if (bytes.empty()) {
      return absl::DataLossError(
          absl::StrFormat("%s ends %d bytes before its %d", from, left, size));
    }
    ENGRAM_RETURN_IF_ERROR(FromRocks(target->Append(bytes), "writing " + to));
    left -= bytes.size();
  }
  return Finish(*target, to);
}

absl::Status CopyOne(const rocksdb::LiveFileStorageInfo& file, const std::string& directory) {
  const std::string from = file.directory + "/" + file.relative_filename;
  const std::string to = directory + "/" + file.relative_filename;
  if (!file.replacement_contents.empty()) return WriteWhole(file.replacement_contents, to);
  if (file.file_type == rocksdb::kTableFile && !file.trim_to_size) {
    std::error_code refused;  // whatever the reason, a copy works too or says why not
    std::filesystem::create_hard_link(from, to, refused);
    if (!refused) return absl::OkStatus();
  }
  return CopyFile(from, file.size, to);
}

absl::Status SyncDirectory(const std::string& path) {
  std::unique_ptr<rocksdb::Directory> directory;
  const std::string doing = "syncing " + path;
  ENGRAM_RETURN_IF_ERROR(FromRocks(rocksdb::Env::Default()->NewDirectory(path, &directory), doing));
  return FromRocks(directory->Fsync(), doing);
}

}  // namespace

BackupFiles::~BackupFiles() {
  hold_.reset();
  // Fails only for what a later start makes good: files that nobody needs stay.
  if (kept_) database_.db().EnableFileDeletions(/*force=*/false).PermitUncheckedError();
}

absl::Status BackupFiles::Note() {
  hold_.emplace(database_.files());  // RocksDB lists logs that it has given up, too
  ENGRAM_RETURN_IF_ERROR(FromRocks(database_.db().DisableFileDeletions(), "preparing the backup"));
  kept_ = true;
  ENGRAM_ASSIGN_OR_RETURN(batch_, database_.NewestBatch());
  return FromRocks(
      database_.db().GetLiveFilesStorageInfo(rocksdb::LiveFilesStorageInfoOptions(), &files_),
      "preparing the backup");
}

absl::Status BackupFiles::Fill(const std::string& directory, const ProgressFunction& progress) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (progress && !progress(i, files_.size())) {
      return absl::CancelledError(
          absl::StrFormat("the backup was cancelled after %d of %d files", i, files_.size()));
    }
    ENGRAM_RETURN_IF_ERROR(Annotate(CopyOne(files_[i], directory), "backing up to " + directory));
  }
  return SyncDirectory(directory);
}

absl::Status BackupFiles::CheckOpens(const std::string& directory) const {
  const auto opened = Database::Open({.read_only = true}, directory);
  if (opened.ok()) return (*opened)->HasAtLeast(batch_);
  return absl::InternalError(
      absl::StrFormat("what was copied cannot be opened, after a failure that the store has to be "
                      "opened again for: %s",
                      std::string(opened.status().message())));
}

absl::Status BackupFiles::CopyTo(const std::string& directory, const ProgressFunction& progress) {
  namespace fs = std::filesystem;
  fs::path target(directory);
  if (!target.has_filename()) target = target.parent_path();  // a slash at the end
  const std::string staging = target.string() + ".tmp";
  std::error_code error;
  if (fs::exists(fs::symlink_status(staging, error))) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "%s exists already, and is where a backup to %s is made", staging, directory));
  }
  ENGRAM_RETURN_IF_ERROR(
      Annotate(MakeDirectoryLike(staging, database_.path()), "backing up to " + directory));
  absl::Status status = Fill(staging, progress);
  if (status.ok()) status = Annotate(CheckOpens(staging), "backing up to " + directory);
  if (status.ok()) {
    status = FromRocks(rocksdb::Env::Default()->RenameFile(staging, target.string()),
                       "backing up to " + directory);
  }
  if (!status.ok()) {
    std::error_code ignored;  // what stays only costs space
    fs::remove_all(staging, ignored);
    return status;
  }
  const fs::path parent = target.parent_path();
  ENGRAM_RETURN_IF_ERROR(SyncDirectory(parent.empty() ? "." : parent.string()));
  if (progress) progress(files_.size(), files_.size());
  return absl::OkStatus();
}

}  // namespace engram::storage

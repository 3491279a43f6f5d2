#include "storage/store_file_system.h"

#include <utility>

#include "storage/log_types.h"

namespace engram::storage {
namespace {

// Whether this thread ingests.
thread_local bool ingesting = false;

// Whether a reader opens such files by what it read before.
bool IsReadAtOpen(const std::string& name) {
  return name.ends_with(".sst") || IsLogOfRecords(name);
}

}  // namespace

rocksdb::IOStatus StoreFileSystem::DeleteFile(const std::string& name,
                                              const rocksdb::IOOptions& options,
                                              rocksdb::IODebugContext* debug) {
  if (ingesting && name.ends_with(".sst")) return rocksdb::IOStatus::OK();
  if (gate_ == nullptr || !IsReadAtOpen(name)) {
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }
  absl::MutexLock lock(&mutex_);
  if (holds_ == 0) {
    const ReaderGate::Closed closed(*gate_);
    if (closed) {
      waiting_.erase(name);
      return FileSystemWrapper::DeleteFile(name, options, debug);
    }
  }
  waiting_.emplace(name, Clock::now());
  if (deferred_) deferred_();
  return rocksdb::IOStatus::OK();
}

rocksdb::IOStatus StoreFileSystem::NewSequentialFile(
    const std::string& name, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSSequentialFile>* file, rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
  if (status.ok() && IsLogOfRecords(name)) *file = WithKnownTypes(std::move(*file));
  return status;
}

void StoreFileSystem::Defer() {
  absl::MutexLock lock(&mutex_);
  if (deferred_) deferred_();
}

bool StoreFileSystem::DeleteDeferred() {
  absl::MutexLock lock(&mutex_);
  if (waiting_.empty()) return false;
  if (holds_ > 0) return true;
  const ReaderGate::Closed closed(*gate_);
  const Clock::time_point now = Clock::now();
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!closed && now - it->second < patience_) {
      ++it;
      continue;
    }
    // Where it fails the file stays until the next open removes it, as RocksDB's own would.
    FileSystemWrapper::DeleteFile(it->first, rocksdb::IOOptions(), nullptr).PermitUncheckedError();
    it = waiting_.erase(it);
  }
  return !waiting_.empty();
}

void StoreFileSystem::OnDeferred(std::function<void()> deferred) {
  absl::MutexLock lock(&mutex_);
  deferred_ = std::move(deferred);
  if (deferred_ && !waiting_.empty()) deferred_();
}

StoreFileSystem::Hold::Hold(StoreFileSystem& files) : files_(files) {
  absl::MutexLock lock(&files_.mutex_);
  ++files_.holds_;
}

StoreFileSystem::Hold::~Hold() {
  absl::MutexLock lock(&files_.mutex_);
  --files_.holds_;
}

rocksdb::Env* ReadersEnv() {
  static rocksdb::Env* const env =
      rocksdb::NewCompositeEnv(std::make_shared<StoreFileSystem>(nullptr)).release();
  return env;
}

rocksdb::Status IngestFiles(rocksdb::DB& db,
                            const std::vector<rocksdb::IngestExternalFileArg>& families) {
  ingesting = true;
  rocksdb::Status status = db.IngestExternalFiles(families);
  ingesting = false;
  return status;
}

}  // namespace engram::storage

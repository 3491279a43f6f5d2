#include "storage/ingestion.h"

#include <memory>
#include <string>
#include <utility>

#include "rocksdb/file_system.h"
#include "storage/log_types.h"

namespace engram::storage {
namespace {

// Whether this thread ingests.
thread_local bool ingesting = false;

// Where RocksDB's own ways with files would cost a store.
//
// It removes its links to the files when it could not sync the manifest, though what it had
// written there may be on the disk and name them. It does so in the thread that ingests. And it
// reads logs and manifests: log_types.h.
class StoreFileSystem : public rocksdb::FileSystemWrapper {
 public:
  StoreFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "engram.StoreFileSystem"; }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (ingesting && name.ends_with(".sst")) return rocksdb::IOStatus::OK();
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
    if (status.ok() && IsLogOfRecords(name)) *file = WithKnownTypes(std::move(*file));
    return status;
  }
};

}  // namespace

rocksdb::Env* StoreEnv() {
  static rocksdb::Env* const env =
      rocksdb::NewCompositeEnv(std::make_shared<StoreFileSystem>()).release();
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

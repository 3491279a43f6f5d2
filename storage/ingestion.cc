#include "storage/ingestion.h"

#include <memory>
#include <string>

#include "rocksdb/file_system.h"

namespace engram::storage {
namespace {

// Whether this thread ingests.
thread_local bool ingesting = false;

// RocksDB removes its links to the files when it could not sync the manifest, though what it had
// written there may be on the disk and name them. It does so in the thread that ingests.
class KeepsIngested : public rocksdb::FileSystemWrapper {
 public:
  KeepsIngested() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "engram.KeepsIngested"; }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (ingesting && name.ends_with(".sst")) return rocksdb::IOStatus::OK();
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }
};

}  // namespace

rocksdb::Env* IngestionEnv() {
  static rocksdb::Env* const env =
      rocksdb::NewCompositeEnv(std::make_shared<KeepsIngested>()).release();
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

#include "storage/ingestion.h"

#include "storage/store_file_system.h"

namespace engram::storage {

rocksdb::Status IngestFiles(rocksdb::DB& db,
                            const std::vector<rocksdb::IngestExternalFileArg>& families) {
  const IngestingThread ingesting;
  return db.IngestExternalFiles(families);
}

}  // namespace engram::storage

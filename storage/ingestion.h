// The one way table files become part of the database, such that no failure on the way leaves a
// manifest that names a file which is not there: RocksDB could not open that any more.
#ifndef ENGRAM_STORAGE_INGESTION_H_
#define ENGRAM_STORAGE_INGESTION_H_

#include <vector>

#include "rocksdb/db.h"

namespace engram::storage {

// As DB::IngestExternalFiles, of a database with a StoreFileSystem. Where it fails, table files
// may stay that nothing may come to name; the next open removes those.
rocksdb::Status IngestFiles(rocksdb::DB& db,
                            const std::vector<rocksdb::IngestExternalFileArg>& families);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_INGESTION_H_

// What RocksDB reads of its logs and manifests, such that no byte of theirs makes it read for
// ever. It knows records of logs that are used again, and takes one in any other log for bad, but
// does not go past it: one byte of damage, or of garbage behind the end, and an open does not end.
#ifndef ENGRAM_STORAGE_LOG_TYPES_H_
#define ENGRAM_STORAGE_LOG_TYPES_H_

#include <memory>
#include <string>

#include "rocksdb/file_system.h"

namespace engram::storage {

// Returns: whether RocksDB writes the file of this name as a log of records.
bool IsLogOfRecords(const std::string& path);

// Returns: `file`, where a record has a type that no store has as one with a wrong checksum, which
// such a record is.
std::unique_ptr<rocksdb::FSSequentialFile> WithKnownTypes(
    std::unique_ptr<rocksdb::FSSequentialFile> file);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_LOG_TYPES_H_

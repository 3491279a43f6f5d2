// Gives back the space of payloads, ids and keys that were replaced or deleted. RocksDB does so by
// itself in time, and lets some hundred megabytes wait for it: more than a small store is.
#ifndef ENGRAM_STORAGE_RECORD_COMPACTION_H_
#define ENGRAM_STORAGE_RECORD_COMPACTION_H_

#include "absl/status/status.h"
#include "storage/database.h"

namespace engram::storage {

// Moves what is in memory into table files, which ends the log, and has RocksDB write the files of
// all families but those of block columns anew where they overlap. Others may read and
// write meanwhile. A family with a damaged file stays as it is, because RocksDB takes no write once
// it has met one; the first is in the error, kDataLoss, when the others are done.
absl::Status CompactRecords(Database& database);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_RECORD_COMPACTION_H_

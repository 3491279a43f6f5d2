// Walks a family from end to end, past the table blocks that are damaged.
#ifndef ENGRAM_STORAGE_SALVAGE_WALK_H_
#define ENGRAM_STORAGE_SALVAGE_WALK_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "rocksdb/db.h"

namespace engram::storage {

// Calls `visit` for every entry under `prefix` whose bytes are sound, in order, and `lost` for
// every gap, with what RocksDB says of it.
void WalkSound(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view prefix,
               absl::FunctionRef<void(std::string_view key, std::string_view value)> visit,
               absl::FunctionRef<void(const std::string& why)> lost);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_SALVAGE_WALK_H_

// The names of edge types: numbers are what edges hold, names what people write.
#ifndef ENGRAM_STORAGE_EDGE_TYPES_H_
#define ENGRAM_STORAGE_EDGE_TYPES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "rocksdb/options.h"
#include "storage/database.h"

namespace engram::storage {

// What type 0 is called in every store, without an entry.
inline constexpr std::string_view kDefaultEdgeTypeName = "link";

using EdgeTypeNames = std::vector<std::pair<std::uint32_t, std::string>>;

// Returns: the types that have a name, by number. Errors: kDataLoss for a damaged entry.
absl::StatusOr<EdgeTypeNames> ReadEdgeTypes(const Database& database,
                                            const rocksdb::ReadOptions& options);

// Returns: the number of the type `name`, which is given the next one if it has none: then
// *batch puts it. Errors: kResourceExhausted when all numbers are given.
absl::StatusOr<std::uint32_t> NumberOfEdgeType(const Database& database, std::string_view name,
                                               rocksdb::WriteBatch* batch);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_EDGE_TYPES_H_

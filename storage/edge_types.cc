#include "storage/edge_types.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_format.h"
#include "rocksdb/write_batch.h"
#include "storage/base/status.h"
#include "storage/format/edge_format.h"

namespace engram::storage {

absl::StatusOr<EdgeTypeNames> ReadEdgeTypes(const Database& database,
                                            const rocksdb::ReadOptions& options) {
  EdgeTypeNames names{{0, std::string(kDefaultEdgeTypeName)}};
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator(options, database.family(Family::kCatalog)));
  const std::string prefix(1, kTypePrefix);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    const std::string name = it->key().ToString().substr(1);
    const auto number = DecodeEdgeType(it->value().ToStringView());
    if (!number.ok()) return Annotate(number.status(), "edge type \"" + name + "\"");
    names.emplace_back(*number, name);
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "reading the edge types"));
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::uint32_t> NumberOfEdgeType(const Database& database, std::string_view name,
                                               rocksdb::WriteBatch* batch) {
  ENGRAM_ASSIGN_OR_RETURN(const EdgeTypeNames names,
                          ReadEdgeTypes(database, rocksdb::ReadOptions()));
  for (const auto& [number, known] : names) {
    if (known == name) return number;
  }
  if (names.back().first == std::numeric_limits<std::uint32_t>::max()) {
    return absl::ResourceExhaustedError("all numbers of edge types are given");
  }
  const std::uint32_t number = names.back().first + 1;
  ENGRAM_RETURN_IF_ERROR(FromRocks(
      batch->Put(database.family(Family::kCatalog), TypeKey(name), EncodeEdgeType(number)),
      "building a batch"));
  return number;
}

}  // namespace engram::storage

#include "storage/memory_records.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

rocksdb::Status ReadRecord(const Database& database, const rocksdb::ReadOptions& options,
                           std::uint64_t id, RecordKind kind, std::string* value) {
  return database.db().Get(options, database.family(Family::kRecords), RecordKey(id, kind), value);
}

}  // namespace

absl::StatusOr<PayloadRecord> ReadPayloadOf(const Database& database,
                                            const rocksdb::ReadOptions& options, std::uint64_t id,
                                            std::string* value) {
  const rocksdb::Status status = ReadRecord(database, options, id, RecordKind::kPayload, value);
  if (status.IsNotFound()) {
    return absl::DataLossError(absl::StrFormat("the payload of id %d is missing", id));
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, absl::StrFormat("reading the payload of id %d", id)));
  const auto record = DecodePayload(*value);
  if (!record.ok()) return Annotate(record.status(), absl::StrFormat("id %d", id));
  return *record;
}

absl::StatusOr<Strength> ReadStrengthOf(const Database& database,
                                        const rocksdb::ReadOptions& options, std::uint64_t id) {
  std::string value;
  ENGRAM_ASSIGN_OR_RETURN(const PayloadRecord put, ReadPayloadOf(database, options, id, &value));
  Strength strength{.value = 1.0, .last_use = put.put_at};
  const rocksdb::Status status = ReadRecord(database, options, id, RecordKind::kStrength, &value);
  if (status.IsNotFound()) return strength;
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, absl::StrFormat("reading the strength of id %d", id)));
  const auto added = DecodeStrength(value);
  if (!added.ok()) return Annotate(added.status(), absl::StrFormat("id %d", id));
  const std::uint64_t sum = std::min(kStrengthOne + added->added, kMaxStrengthAdded);
  strength.value = static_cast<double>(sum) / static_cast<double>(kStrengthOne);
  strength.last_use = std::max(put.put_at.value_or(added->last_use), added->last_use);
  return strength;
}

}  // namespace engram::storage

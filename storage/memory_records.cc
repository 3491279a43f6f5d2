#include "storage/memory_records.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::storage {

FoundValues::FoundValues(const Database& database, const rocksdb::ReadOptions& options,
                         Family family, const std::vector<std::string>& keys)
    : values_(keys.size()), statuses_(keys.size()) {
  if (keys.empty()) return;
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  database.db().MultiGet(options, database.family(family), keys.size(), slices.data(),
                         values_.data(), statuses_.data());
}

absl::StatusOr<PayloadRecord> ReadPayloadOf(const Database& database,
                                            const rocksdb::ReadOptions& options, std::uint64_t id,
                                            std::string* value) {
  const rocksdb::Status status = database.db().Get(options, database.family(Family::kRecords),
                                                   RecordKey(id, RecordKind::kPayload), value);
  if (status.IsNotFound()) {
    return absl::DataLossError(absl::StrFormat("the payload of id %d is missing", id));
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, absl::StrFormat("reading the payload of id %d", id)));
  const auto record = DecodePayload(*value);
  if (!record.ok()) return Annotate(record.status(), absl::StrFormat("id %d", id));
  return *record;
}

namespace {

// Appends the strengths of `ids` to *strengths.
absl::Status AppendStrengths(const Database& database, const rocksdb::ReadOptions& options,
                             absl::Span<const std::uint64_t> ids,
                             std::vector<Strength>* strengths) {
  std::vector<std::string> keys;
  for (const std::uint64_t id : ids) {
    keys.push_back(RecordKey(id, RecordKind::kPayload));
    keys.push_back(RecordKey(id, RecordKind::kStrength));
  }
  const FoundValues found(database, options, Family::kRecords, keys);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string whose = absl::StrFormat("id %d", ids[i]);
    const rocksdb::Status& put = found.status(2 * i);
    const rocksdb::Status& reinforced = found.status(2 * i + 1);
    if (put.IsNotFound()) return absl::DataLossError("the payload of " + whose + " is missing");
    ENGRAM_RETURN_IF_ERROR(FromRocks(put, "reading the payload of " + whose));
    const auto record = DecodePayload(found.value(2 * i));
    if (!record.ok()) return Annotate(record.status(), whose);
    Strength& strength = strengths->emplace_back();
    strength.last_use = record->put_at;
    if (reinforced.IsNotFound()) continue;
    ENGRAM_RETURN_IF_ERROR(FromRocks(reinforced, "reading the strength of " + whose));
    const auto added = DecodeStrength(found.value(2 * i + 1));
    if (!added.ok()) return Annotate(added.status(), whose);
    const std::uint64_t sum = std::min(kStrengthOne + added->added, kMaxStrengthAdded);
    strength.value = static_cast<double>(sum) / static_cast<double>(kStrengthOne);
    strength.last_use = std::max(strength.last_use.value_or(added->last_use), added->last_use);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Strength>> ReadStrengthsOf(const Database& database,
                                                      const rocksdb::ReadOptions& options,
                                                      absl::Span<const std::uint64_t> ids) {
  // The payloads that come along are held no longer than a few of them are.
  constexpr std::size_t kTogether = 64;
  std::vector<Strength> strengths;
  for (std::size_t begin = 0; begin < ids.size(); begin += kTogether) {
    ENGRAM_RETURN_IF_ERROR(
        AppendStrengths(database, options, ids.subspan(begin, kTogether), &strengths));
  }
  return strengths;
}

}  // namespace engram::storage

// The records of one memory: its payload, and what tells how strong it is.
#ifndef ENGRAM_STORAGE_MEMORY_RECORDS_H_
#define ENGRAM_STORAGE_MEMORY_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "rocksdb/options.h"
#include "storage/database.h"
#include "storage/format/record_format.h"

namespace engram::storage {

// How strong a memory was when it was last used; it fades from there on.
struct Strength {
  double value = 1.0;
  std::optional<std::int64_t> last_use;  // seconds since 1970; nullopt: nothing tells

  friend bool operator==(const Strength&, const Strength&) = default;
};

// The values of several keys of one family, read together. Belongs to one thread.
class FoundValues {
 public:
  FoundValues(const Database& database, const rocksdb::ReadOptions& options, Family family,
              const std::vector<std::string>& keys);

  const rocksdb::Status& status(std::size_t i) const { return statuses_[i]; }
  // Precondition: status(i) is ok.
  std::string_view value(std::size_t i) const { return values_[i].ToStringView(); }

 private:
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
};

// For both: the memory lives. Errors: kDataLoss naming the id when its payload is missing or
// a record is damaged.

// Returns: the payload record, which points into *value.
absl::StatusOr<PayloadRecord> ReadPayloadOf(const Database& database,
                                            const rocksdb::ReadOptions& options, std::uint64_t id,
                                            std::string* value);
// Returns: of each, 1 and what reinforcement has added, and the last use.
absl::StatusOr<std::vector<Strength>> ReadStrengthsOf(const Database& database,
                                                      const rocksdb::ReadOptions& options,
                                                      absl::Span<const std::uint64_t> ids);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_MEMORY_RECORDS_H_

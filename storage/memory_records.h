// The records of one memory: its payload, and what tells how strong it is.
#ifndef ENGRAM_STORAGE_MEMORY_RECORDS_H_
#define ENGRAM_STORAGE_MEMORY_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
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

// For both: the memory lives. Errors: kDataLoss naming the id when its payload is missing or
// a record is damaged.

// Returns: the payload record, which points into *value.
absl::StatusOr<PayloadRecord> ReadPayloadOf(const Database& database,
                                            const rocksdb::ReadOptions& options, std::uint64_t id,
                                            std::string* value);
// Returns: 1 and what reinforcement has added, and the last use.
absl::StatusOr<Strength> ReadStrengthOf(const Database& database,
                                        const rocksdb::ReadOptions& options, std::uint64_t id);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_MEMORY_RECORDS_H_

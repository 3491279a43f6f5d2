// The text keys of a memory, from the index by id.
#ifndef ENGRAM_STORAGE_ID_KEYS_H_
#define ENGRAM_STORAGE_ID_KEYS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "rocksdb/options.h"
#include "storage/database.h"
#include "storage/view.h"

namespace engram::storage {

// Returns: the keys of memory `id`, in byte order.
absl::StatusOr<std::vector<std::string>> ReadKeysOf(const Database& database,
                                                    rocksdb::ReadOptions options, std::uint64_t id);

// Reads the keys of one memory after the other in one pass, as long as ids ascend; others
// cost a seek. Belongs to one thread.
class IdKeysWalk {
 public:
  // `view` outlives it.
  explicit IdKeysWalk(const View& view);

  absl::StatusOr<std::vector<std::string>> KeysOf(std::uint64_t id);

 private:
  std::unique_ptr<rocksdb::Iterator> it_;
  std::string last_;  // prefix of the id that was read last; empty: none was
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_ID_KEYS_H_

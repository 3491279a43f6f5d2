// The block columns that lie in table files, found by their own headers and checksums: what
// of a damaged file is sound is found without its index, and whichever files are named.
#ifndef ENGRAM_STORAGE_SALVAGED_COLUMNS_H_
#define ENGRAM_STORAGE_SALVAGED_COLUMNS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/format/block_format.h"

namespace engram::storage {

// Belongs to one thread.
class SalvagedColumns {
 public:
  SalvagedColumns() = default;
  SalvagedColumns(const SalvagedColumns&) = delete;
  SalvagedColumns& operator=(const SalvagedColumns&) = delete;
  ~SalvagedColumns();

  // Maps the file and takes what is in it; the bytes stay mapped. Errors: kInternal when it
  // cannot be read.
  absl::Status AddFile(const std::string& path);

  // Returns: the sound column of that block, or null.
  const BlockColumn* Find(std::uint32_t generation, std::uint64_t first, ColumnKind kind) const;

  // By generation, first row and column.
  using Key = std::tuple<std::uint32_t, std::uint64_t, ColumnKind>;
  const std::map<Key, BlockColumn>& sound() const { return sound_; }

  // A column whose header is sound and whose bytes are not.
  struct Damaged {
    BlockHeader header;
    std::string file;
  };
  const std::vector<Damaged>& damaged() const { return damaged_; }

 private:
  void Scan(std::string_view bytes, const std::string& name);

  std::vector<std::pair<void*, std::size_t>> mapped_;
  std::map<Key, BlockColumn> sound_;
  std::vector<Damaged> damaged_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_SALVAGED_COLUMNS_H_

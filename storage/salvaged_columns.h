// The block columns that lie in table files, found by their own headers and checksums: what
// of a damaged file is sound is found without its index, and whichever files are named. Columns
// of two files are never put together: the same block of two files may have other rows.
#ifndef ENGRAM_STORAGE_SALVAGED_COLUMNS_H_
#define ENGRAM_STORAGE_SALVAGED_COLUMNS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/format/block_format.h"

namespace engram::storage {

// What is sound of a block in one file.
struct SalvagedBlock {
  std::uint32_t generation = 0;
  std::uint64_t first = 0;  // row or node
  std::uint32_t file = 0;   // which of those added
  std::map<ColumnKind, BlockColumn> columns;

  // Returns: the column, or null.
  const BlockColumn* Find(ColumnKind kind) const;
};

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

  // By file in the order they were added, then generation and first row or node.
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>;
  const std::map<Key, SalvagedBlock>& blocks() const { return blocks_; }

  // Returns: the block as it lies in that file, or null.
  const SalvagedBlock* Find(std::uint32_t file, std::uint32_t generation,
                            std::uint64_t first) const;

  // The names of the files that could be read, as they were added.
  const std::vector<std::string>& files() const { return files_; }

  // A column whose header is sound and whose bytes are not.
  struct Damaged {
    BlockHeader header;
    std::string file;
  };
  const std::vector<Damaged>& damaged() const { return damaged_; }

 private:
  void Scan(std::string_view bytes, std::uint32_t file);

  std::vector<std::pair<void*, std::size_t>> mapped_;
  std::vector<std::string> files_;
  std::map<Key, SalvagedBlock> blocks_;
  std::vector<Damaged> damaged_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_SALVAGED_COLUMNS_H_

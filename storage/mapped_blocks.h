// The sealed blocks as a view sees them: pointers into the mapped table files.
//
// One iterator over the block family, opened with pin_data and walked once, is
// what keeps every pointer valid: RocksDB neither unmaps nor frees a file that
// a live iterator's version names. It is never moved again. A RocksDB snapshot
// would not do: it protects versions of keys, not mappings.
#ifndef ENGRAM_STORAGE_MAPPED_BLOCKS_H_
#define ENGRAM_STORAGE_MAPPED_BLOCKS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/catalog.h"
#include "storage/database.h"
#include "storage/format/block_format.h"
#include "storage/row_slice.h"

namespace engram::storage {

// One sealed block. Immutable but for what Check() remembers; thread-safe.
class MappedBlock {
 public:
  const BlockExtent& extent() const { return extent_; }
  std::uint32_t generation() const { return generation_; }

  // The rows where they lie; without codes where those cannot be used. Precondition: usable() is
  // OK.
  const RowSlice& slice() const { return slice_; }

  // Returns: kDataLoss, naming block and column, when a column that rows are read from is missing
  // or its header is damaged.
  const absl::Status& usable() const { return usable_; }
  // The same of codes and their rotation, which follow from the rows: OK where there are none.
  const absl::Status& codes_usable() const { return codes_usable_; }

  // Compares the payload of every column that rows are read from with its checksum the first time
  // anybody asks, and remembers the answer for the life of the file in this process.
  // Returns: OK, or kDataLoss naming block and column.
  absl::Status Check() const;

  // As Check(), and the codes as well, of which a part, the rotation, lies under the file's first
  // block.
  absl::Status CheckWithCodes() const;

  // Returns: whether CheckWithCodes() found it whole before.
  bool checked() const { return sound_->codes.load(std::memory_order_acquire); }

  // Read the bytes of this block's own columns again, whatever is remembered, and forget that they
  // were found whole when they are not: first those that rows are read from, then the codes too.
  absl::Status CheckRowsAgain() const;
  absl::Status CheckAgain() const;

  std::uint64_t mapped_bytes() const;
  // Of these, what codes take, the rotation included.
  std::uint64_t code_bytes() const;
  const std::vector<BlockColumn>& columns() const { return columns_; }

 private:
  friend class MappedBlocks;
  // Shared by the views that map the same block, so that each is checked once.
  struct Checked {
    std::atomic<bool> rows{false}, codes{false};
  };

  void ReadCodes(const MappedBlock& first_of_file, std::uint32_t dimension);
  absl::Status FitRotation(const MappedBlock& first_of_file);
  absl::Status CheckColumns(bool derived) const;
  absl::Status CheckColumn(const BlockColumn& column) const;
  absl::Status CheckDecoded() const;
  absl::Status CheckRotation() const;

  BlockExtent extent_;
  std::uint32_t generation_ = 0;
  RowSlice slice_;
  absl::Status usable_, codes_usable_;
  std::vector<BlockColumn> columns_;
  std::shared_ptr<Checked> sound_;
  std::uint32_t dimension_ = 0;
  CodeView codes_;
  RotationView rotation_;
  const MappedBlock* rotation_owner_ = nullptr;  // the block that has it, if it is another
};

// Every block the catalog names, in row order. Immutable, thread-safe.
class MappedBlocks {
 public:
  // Walks the block family of `database` once. Blocks the catalog does not name
  // are passed over; a block it names and that is not there is one whose
  // usable() says so. What `previous` has checked stays checked.
  static absl::StatusOr<std::shared_ptr<const MappedBlocks>> Map(std::shared_ptr<Database> database,
                                                                 const Catalog& catalog,
                                                                 std::uint32_t dimension,
                                                                 const MappedBlocks* previous);

  MappedBlocks(const MappedBlocks&) = delete;
  MappedBlocks& operator=(const MappedBlocks&) = delete;

  const std::vector<MappedBlock>& blocks() const { return blocks_; }

  // Returns: the block whose extent holds `row`, or null.
  const MappedBlock* Find(std::uint64_t row) const;

  std::uint64_t mapped_bytes() const { return mapped_bytes_; }
  std::uint64_t code_bytes() const { return code_bytes_; }
  std::uint64_t coded_rows() const { return coded_rows_; }

  // Brings every mapped page in. Errors: what madvise says, as kInternal.
  absl::Status Prefault() const;

 private:
  MappedBlocks() = default;
  void AddColumn(const BlockKey& key, std::string_view value, std::uint32_t dimension);
  void Finish(const Catalog& catalog, std::uint32_t dimension, const MappedBlocks* previous);

  std::shared_ptr<Database> database_;  // outlives the iterator
  std::unique_ptr<rocksdb::Iterator> pin_;
  std::vector<MappedBlock> blocks_;
  std::uint64_t mapped_bytes_ = 0, code_bytes_ = 0, coded_rows_ = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_MAPPED_BLOCKS_H_

// Rows that lie together in memory, sealed or not: what a scan works on.
#ifndef ENGRAM_STORAGE_ROW_SLICE_H_
#define ENGRAM_STORAGE_ROW_SLICE_H_

#include <cstdint>

#include "storage/format/code_format.h"

namespace engram::storage {

class MappedBlock;

// The rows of a slice come out of [first_row, end_row).
struct RowExtent {
  std::uint64_t first_row = 0;
  std::uint64_t end_row = 0;
};

// `count` rows in ascending order. The arrays live as long as the view the
// slice came from. Some rows may be dead: ask the view's tombstones.
struct RowSlice {
  const float* embeddings = nullptr;  // row-major, `dimension` apart, 64-byte aligned
  const float* norms = nullptr;
  const std::uint32_t* nodes = nullptr;
  const std::uint64_t* ids = nullptr;
  const std::uint32_t* row_offsets = nullptr;  // null: the rows have no gaps
  std::uint64_t first_row = 0;
  std::uint32_t count = 0;
  const MappedBlock* block = nullptr;      // null: rows of the tail
  const CodeView* codes = nullptr;         // null: these rows have none
  const RotationView* rotation = nullptr;  // what the codes are of; null: of the rows as they are

  std::uint64_t row(std::uint32_t index) const {
    return first_row + (row_offsets == nullptr ? index : row_offsets[index]);
  }
  // Precondition: count > 0.
  std::uint64_t end_row() const { return row(count - 1) + 1; }
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_ROW_SLICE_H_

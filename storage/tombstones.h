// Which rows are dead: an immutable bitmap per view, shared chunk by chunk with
// the view before it, so that a delete costs the chunk it touches. It takes as much memory as
// there are dead rows, whatever their numbers say.
#ifndef ENGRAM_STORAGE_TOMBSTONES_H_
#define ENGRAM_STORAGE_TOMBSTONES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace engram::storage {

// Immutable and thread-safe; copying shares the chunks.
class Tombstones {
 public:
  bool Contains(std::uint64_t row) const {
    const auto found = LowerBound(row / kChunkRows);
    if (found == chunks_.end() || found->index != row / kChunkRows) return false;
    const std::uint64_t bit = row % kChunkRows;
    return ((*found->bits)[bit / 64] >> (bit % 64)) & 1;
  }

  // Returns: how many rows of [first, end) are dead.
  std::uint64_t CountIn(std::uint64_t first, std::uint64_t end) const;

  std::uint64_t size() const { return size_; }
  std::size_t HeapBytes() const;

  // Returns: this set with `rows` added, or with `rows` taken away.
  Tombstones With(absl::Span<const std::uint64_t> rows) const { return Changed(rows, true); }
  Tombstones Without(absl::Span<const std::uint64_t> rows) const { return Changed(rows, false); }

 private:
  static constexpr std::uint64_t kChunkRows = 65536;
  using Bits = std::array<std::uint64_t, kChunkRows / 64>;
  struct Chunk {
    std::uint64_t index;  // of its first row, in chunks
    std::shared_ptr<const Bits> bits;
  };

  std::vector<Chunk>::const_iterator LowerBound(std::uint64_t index) const {
    return std::lower_bound(
        chunks_.begin(), chunks_.end(), index,
        [](const Chunk& chunk, std::uint64_t wanted) { return chunk.index < wanted; });
  }
  Tombstones Changed(absl::Span<const std::uint64_t> rows, bool dead) const;

  std::vector<Chunk> chunks_;  // by index; none is empty
  std::uint64_t size_ = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_TOMBSTONES_H_

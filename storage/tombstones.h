// Which rows are dead: an immutable bitmap per view, shared chunk by chunk with
// the view before it, so that a delete costs the chunk it touches.
#ifndef ENGRAM_STORAGE_TOMBSTONES_H_
#define ENGRAM_STORAGE_TOMBSTONES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace engram::storage {

// Immutable and thread-safe; copying shares the chunks.
class Tombstones {
 public:
  bool Contains(std::uint64_t row) const {
    const std::uint64_t chunk = row / kChunkRows;
    if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return false;
    const std::uint64_t bit = row % kChunkRows;
    return ((*chunks_[chunk])[bit / 64] >> (bit % 64)) & 1;
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
  using Chunk = std::array<std::uint64_t, kChunkRows / 64>;

  void FreeEmpty(const std::map<std::uint64_t, std::shared_ptr<Chunk>>& changed);
  Tombstones Changed(absl::Span<const std::uint64_t> rows, bool dead) const;

  std::vector<std::shared_ptr<const Chunk>> chunks_;
  std::uint64_t size_ = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_TOMBSTONES_H_

#include "storage/tombstones.h"

#include <algorithm>
#include <bit>

namespace engram::storage {

std::uint64_t Tombstones::CountIn(std::uint64_t first, std::uint64_t end) const {
  std::uint64_t count = 0;
  while (first < end) {
    const std::uint64_t chunk = first / kChunkRows;
    if (chunk >= chunks_.size()) break;
    const std::uint64_t chunk_end = std::min(end, (chunk + 1) * kChunkRows);
    if (chunks_[chunk] == nullptr) {
      first = chunk_end;
      continue;
    }
    const Chunk& words = *chunks_[chunk];
    while (first < chunk_end) {
      const std::uint64_t bit = first % kChunkRows;
      const std::uint64_t in_word = std::min<std::uint64_t>(64 - bit % 64, chunk_end - first);
      std::uint64_t word = words[bit / 64] >> (bit % 64);
      if (in_word < 64) word &= (std::uint64_t{1} << in_word) - 1;
      count += static_cast<std::uint64_t>(std::popcount(word));
      first += in_word;
    }
  }
  return count;
}

std::size_t Tombstones::HeapBytes() const {
  std::size_t bytes = chunks_.capacity() * sizeof(chunks_[0]);
  for (const auto& chunk : chunks_) bytes += chunk == nullptr ? 0 : sizeof(Chunk);
  return bytes;
}

void Tombstones::FreeEmpty(const std::map<std::uint64_t, std::shared_ptr<Chunk>>& changed) {
  for (const auto& [index, chunk] : changed) {
    const bool empty =
        std::all_of(chunk->begin(), chunk->end(), [](std::uint64_t word) { return word == 0; });
    if (empty) chunks_[index].reset();
  }
}

Tombstones Tombstones::Changed(absl::Span<const std::uint64_t> rows, bool dead) const {
  Tombstones result = *this;
  std::map<std::uint64_t, std::shared_ptr<Chunk>> fresh;
  for (const std::uint64_t row : rows) {
    const std::uint64_t index = row / kChunkRows;
    if (index >= result.chunks_.size()) {
      if (!dead) continue;
      result.chunks_.resize(index + 1);
    }
    std::shared_ptr<Chunk>& chunk = fresh[index];
    if (chunk == nullptr) {
      const auto& shared = result.chunks_[index];
      chunk = shared == nullptr ? std::make_shared<Chunk>() : std::make_shared<Chunk>(*shared);
      result.chunks_[index] = chunk;
    }
    const std::uint64_t bit = row % kChunkRows;
    std::uint64_t& word = (*chunk)[bit / 64];
    const std::uint64_t mask = std::uint64_t{1} << (bit % 64);
    if (((word & mask) != 0) == dead) continue;
    word ^= mask;
    result.size_ += dead ? 1 : std::uint64_t(-1);
  }
  if (!dead) result.FreeEmpty(fresh);
  return result;
}

}  // namespace engram::storage

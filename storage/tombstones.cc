#include "storage/tombstones.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

namespace engram::storage {

std::uint64_t Tombstones::CountIn(std::uint64_t first, std::uint64_t end) const {
  std::uint64_t count = 0;
  for (auto chunk = LowerBound(first / kChunkRows); chunk != chunks_.end(); ++chunk) {
    const std::uint64_t chunk_first = chunk->index * kChunkRows;
    first = std::max(first, chunk_first);
    if (first >= end) break;
    const std::uint64_t chunk_end = std::min(end, chunk_first + kChunkRows);
    while (first < chunk_end) {
      const std::uint64_t bit = first % kChunkRows;
      const std::uint64_t in_word = std::min<std::uint64_t>(64 - bit % 64, chunk_end - first);
      std::uint64_t word = (*chunk->bits)[bit / 64] >> (bit % 64);
      if (in_word < 64) word &= (std::uint64_t{1} << in_word) - 1;
      count += static_cast<std::uint64_t>(std::popcount(word));
      first += in_word;
    }
  }
  return count;
}

std::size_t Tombstones::HeapBytes() const {
  return chunks_.capacity() * sizeof(chunks_[0]) + chunks_.size() * sizeof(Bits);
}

Tombstones Tombstones::Changed(absl::Span<const std::uint64_t> rows, bool dead) const {
  Tombstones result;
  result.size_ = size_;
  std::map<std::uint64_t, std::shared_ptr<Bits>> changed;
  for (const std::uint64_t row : rows) {
    const std::uint64_t index = row / kChunkRows;
    std::shared_ptr<Bits>& bits = changed[index];
    if (bits == nullptr) {
      const auto shared = LowerBound(index);
      const bool known = shared != chunks_.end() && shared->index == index;
      bits = known ? std::make_shared<Bits>(*shared->bits) : std::make_shared<Bits>();
    }
    std::uint64_t& word = (*bits)[row % kChunkRows / 64];
    const std::uint64_t mask = std::uint64_t{1} << (row % 64);
    if (((word & mask) != 0) == dead) continue;
    word ^= mask;
    result.size_ += dead ? 1 : std::uint64_t(-1);
  }
  auto before = chunks_.begin();
  for (auto& [index, bits] : changed) {
    for (; before != chunks_.end() && before->index < index; ++before) {
      result.chunks_.push_back(*before);
    }
    if (before != chunks_.end() && before->index == index) ++before;
    const bool empty =
        std::all_of(bits->begin(), bits->end(), [](std::uint64_t word) { return word == 0; });
    if (!empty) result.chunks_.push_back({.index = index, .bits = std::move(bits)});
  }
  result.chunks_.insert(result.chunks_.end(), before, chunks_.end());
  return result;
}

}  // namespace engram::storage

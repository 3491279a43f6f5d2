// What readers make in memory beside the files, counted while it lives, whoever holds it:
// else Stats() could tell only of what is kept for the next call.
#ifndef ENGRAM_STORAGE_HEAP_BYTES_H_
#define ENGRAM_STORAGE_HEAP_BYTES_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace engram::storage {

using HeapTotal = std::shared_ptr<std::atomic<std::uint64_t>>;

inline HeapTotal NewHeapTotal() { return std::make_shared<std::atomic<std::uint64_t>>(0); }

// Its bytes are in the total as long as it lives. A total outlives them all.
class HeapBytes {
 public:
  HeapBytes() = default;
  HeapBytes(HeapTotal total, std::uint64_t bytes) : total_(std::move(total)), bytes_(bytes) {
    total_->fetch_add(bytes_, std::memory_order_relaxed);
  }
  HeapBytes(HeapBytes&& other) noexcept { *this = std::move(other); }
  HeapBytes& operator=(HeapBytes&& other) noexcept {
    std::swap(total_, other.total_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HeapBytes() {
    if (total_ != nullptr) total_->fetch_sub(bytes_, std::memory_order_relaxed);
  }

 private:
  HeapTotal total_;
  std::uint64_t bytes_ = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_HEAP_BYTES_H_

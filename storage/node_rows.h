// Where the embedding of a node is, for those who come from the edges: rows know
// their node by a column, and this turns it around.
#ifndef ENGRAM_STORAGE_NODE_ROWS_H_
#define ENGRAM_STORAGE_NODE_ROWS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/heap_bytes.h"

namespace engram::storage {

class View;

// Immutable and thread-safe; copies share their chunks.
class NodeRows {
 public:
  // Returns: the newest row that `node` was given below the end of the view this was
  // made for, or kNoRow. The row may be dead, or gone: the view knows.
  std::uint64_t Find(std::uint32_t node) const;

 private:
  friend class NodeRowsCache;
  static constexpr std::uint32_t kChunkNodes = 4096;
  struct Chunk {
    explicit Chunk(const HeapTotal& total) : bytes(total, sizeof(Chunk)) {}

    std::array<std::uint64_t, kChunkNodes> rows;
    HeapBytes bytes;
  };

  void Set(std::uint32_t node, std::uint64_t row, const HeapTotal& total);

  std::vector<std::shared_ptr<Chunk>> chunks_;
};

// Makes tables, each from the one before where that is possible. Thread-safe.
class NodeRowsCache {
 public:
  // Errors: those of View::ReadySlice.
  absl::StatusOr<std::shared_ptr<const NodeRows>> Get(const View& view, bool verify);

  // Returns: what all tables hold, those that readers have included.
  std::uint64_t heap_bytes() const { return total_->load(std::memory_order_relaxed); }

 private:
  const HeapTotal total_ = NewHeapTotal();
  absl::Mutex mutex_;
  std::shared_ptr<const NodeRows> newest_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t end_row_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_NODE_ROWS_H_

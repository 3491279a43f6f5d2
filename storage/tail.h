// The tail in memory: rows that are not sealed yet, in chunks that only grow.
//
// The one writer appends behind the length that views have been given and then
// publishes a longer one, so readers need no lock and rows never move.
#ifndef ENGRAM_STORAGE_TAIL_H_
#define ENGRAM_STORAGE_TAIL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace engram::storage {

// A row on its way into the tail.
struct NewRow {
  std::uint64_t row = 0;
  std::uint64_t id = 0;
  std::uint32_t node = 0;
  float norm = 0.0f;
  absl::Span<const float> embedding;
};

// Up to `capacity` rows in ascending order. Append is the writer's; readers
// use only indexes below a length they got from a view.
class TailChunk {
 public:
  TailChunk(std::uint32_t dimension, std::uint32_t capacity);
  TailChunk(const TailChunk&) = delete;
  TailChunk& operator=(const TailChunk&) = delete;

  // Precondition: Accepts(row.row), and it is above every row here.
  void Append(const NewRow& row);

  // Returns: a copy that has room for no more.
  std::shared_ptr<TailChunk> Fitted() const;

  // Returns: whether there is room and the row is near enough to first_row().
  bool Accepts(std::uint64_t row) const;

  std::uint32_t size() const { return size_; }
  std::uint32_t capacity() const { return capacity_; }
  std::uint64_t first_row() const { return first_row_; }
  const float* embeddings() const { return embeddings_.get(); }  // 64-byte aligned
  const float* norms() const { return norms_.get(); }
  const std::uint32_t* nodes() const { return nodes_.get(); }
  const std::uint64_t* ids() const { return ids_.get(); }
  const std::uint32_t* row_offsets() const { return row_offsets_.get(); }
  std::size_t HeapBytes() const;  // of the rows in use

 private:
  struct AlignedFree {
    void operator()(float* pointer) const;
  };
  const std::uint32_t dimension_;
  const std::uint32_t capacity_;
  std::uint32_t size_ = 0;
  std::uint64_t first_row_ = 0;
  std::unique_ptr<float[], AlignedFree> embeddings_;
  std::unique_ptr<float[]> norms_;
  std::unique_ptr<std::uint32_t[]> nodes_;
  std::unique_ptr<std::uint64_t[]> ids_;
  std::unique_ptr<std::uint32_t[]> row_offsets_;
};

// What a view holds of the tail: chunks, and how much of the last one it sees.
// Immutable and thread-safe.
struct TailView {
  std::vector<std::shared_ptr<const TailChunk>> chunks;
  std::vector<std::uint32_t> sizes;

  std::uint64_t rows() const;
};

// The writer's side. One thread at a time.
class Tail {
 public:
  Tail(std::uint32_t dimension, std::uint32_t rows_per_chunk)
      : dimension_(dimension), rows_per_chunk_(rows_per_chunk) {}

  void Append(const NewRow& row);

  // Starts a new chunk with the next row, so that those here can be sealed.
  void CloseChunk() { open_ = false; }

  // Returns: the chunks that will not grow any more, in row order.
  std::vector<std::shared_ptr<const TailChunk>> ClosedChunks() const;

  // Forgets the first `count` chunks. Precondition: they are closed.
  void DropChunks(std::size_t count);

  TailView View() const;
  std::uint64_t rows() const { return rows_; }
  // Of all rows, and of those in a chunk that may still grow.
  std::size_t EmbeddingBytes() const { return rows_ * dimension_ * sizeof(float); }
  std::size_t OpenBytes() const {
    return open_ ? std::size_t{chunks_.back()->size()} * dimension_ * sizeof(float) : 0;
  }
  std::size_t HeapBytes() const;

 private:
  const std::uint32_t dimension_;
  const std::uint32_t rows_per_chunk_;
  bool open_ = false;
  std::uint64_t rows_ = 0;
  std::vector<std::shared_ptr<TailChunk>> chunks_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_TAIL_H_

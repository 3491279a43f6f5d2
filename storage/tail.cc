#include "storage/tail.h"

#include <cassert>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "storage/format/block_format.h"

namespace engram::storage {
namespace {

// Not std::vector: value-initialising a chunk would touch, and so make resident,
// memory that a small tail never uses.
float* AllocateAligned(std::size_t floats) {
  return static_cast<float*>(
      ::operator new (floats * sizeof(float), std::align_val_t{kPayloadAlignment}));
}

}  // namespace

void TailChunk::AlignedFree::operator()(float* pointer) const {
  ::operator delete (pointer, std::align_val_t{kPayloadAlignment});
}

TailChunk::TailChunk(std::uint32_t dimension, std::uint32_t capacity)
    : dimension_(dimension),
      capacity_(capacity),
      embeddings_(AllocateAligned(std::size_t{dimension} * capacity)),
      norms_(new float[capacity]),
      nodes_(new std::uint32_t[capacity]),
      ids_(new std::uint64_t[capacity]),
      row_offsets_(new std::uint32_t[capacity]) {}

bool TailChunk::Accepts(std::uint64_t row) const {
  if (size_ == 0) return true;
  return size_ < capacity_ && row - first_row_ < std::numeric_limits<std::uint32_t>::max();
}

std::shared_ptr<TailChunk> TailChunk::Fitted() const {
  auto copy = std::make_shared<TailChunk>(dimension_, size_);
  for (std::uint32_t i = 0; i < size_; ++i) {
    copy->Append({.row = first_row_ + row_offsets_[i],
                  .id = ids_[i],
                  .node = nodes_[i],
                  .norm = norms_[i],
                  .embedding = {embeddings_.get() + std::size_t{i} * dimension_, dimension_}});
  }
  return copy;
}

void TailChunk::Append(const NewRow& row) {
  assert(Accepts(row.row) && row.embedding.size() == dimension_);
  if (size_ == 0) first_row_ = row.row;
  std::memcpy(embeddings_.get() + std::size_t{size_} * dimension_, row.embedding.data(),
              std::size_t{dimension_} * sizeof(float));
  norms_[size_] = row.norm;
  nodes_[size_] = row.node;
  ids_[size_] = row.id;
  row_offsets_[size_] = static_cast<std::uint32_t>(row.row - first_row_);
  ++size_;
}

std::size_t TailChunk::HeapBytes() const {
  const std::size_t per_row = dimension_ * sizeof(float) + sizeof(float) +
                              2 * sizeof(std::uint32_t) + sizeof(std::uint64_t);
  return size_ * per_row;
}

std::uint64_t TailView::rows() const {
  std::uint64_t total = 0;
  for (const std::uint32_t size : sizes) total += size;
  return total;
}

void Tail::Append(const NewRow& row) {
  if (!open_ || !chunks_.back()->Accepts(row.row)) {
    // Rows far apart, of which a disk may hold as many as it likes, take the room of themselves.
    if (open_ && chunks_.back()->size() < chunks_.back()->capacity()) {
      chunks_.back() = chunks_.back()->Fitted();
    }
    chunks_.push_back(std::make_shared<TailChunk>(dimension_, rows_per_chunk_));
    open_ = true;
  }
  chunks_.back()->Append(row);
  ++rows_;
}

std::vector<std::shared_ptr<const TailChunk>> Tail::ClosedChunks() const {
  std::vector<std::shared_ptr<const TailChunk>> closed(chunks_.begin(), chunks_.end());
  const bool last_grows =
      open_ && !chunks_.empty() && chunks_.back()->size() < chunks_.back()->capacity();
  if (last_grows) closed.pop_back();
  return closed;
}

void Tail::DropChunks(std::size_t count) {
  assert(count <= chunks_.size());
  for (std::size_t i = 0; i < count; ++i) rows_ -= chunks_[i]->size();
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(count));
  if (chunks_.empty()) open_ = false;
}

TailView Tail::View() const {
  TailView view;
  view.chunks.assign(chunks_.begin(), chunks_.end());
  view.sizes.reserve(chunks_.size());
  for (const auto& chunk : chunks_) view.sizes.push_back(chunk->size());
  return view;
}

std::size_t Tail::HeapBytes() const {
  std::size_t bytes = 0;
  for (const auto& chunk : chunks_) bytes += chunk->HeapBytes();
  return bytes;
}

}  // namespace engram::storage

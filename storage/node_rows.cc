#include "storage/node_rows.h"

#include <utility>

#include "storage/base/status.h"
#include "storage/view.h"

namespace engram::storage {

std::uint64_t NodeRows::Find(std::uint32_t node) const {
  const std::size_t chunk = node / kChunkNodes;
  if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return kNoRow;
  return chunks_[chunk]->rows[node % kChunkNodes];
}

void NodeRows::Set(std::uint32_t node, std::uint64_t row, const HeapTotal& total) {
  const std::size_t at = node / kChunkNodes;
  if (at >= chunks_.size()) chunks_.resize(at + 1);
  std::shared_ptr<Chunk>& chunk = chunks_[at];
  if (chunk == nullptr || chunk.use_count() > 1) {  // an older table may have it too
    auto own = std::make_shared<Chunk>(total);
    if (chunk == nullptr) {
      own->rows.fill(kNoRow);
    } else {
      own->rows = chunk->rows;
    }
    chunk = std::move(own);
  }
  std::uint64_t& known = chunk->rows[node % kChunkNodes];
  if (known == kNoRow || known < row) known = row;
}

absl::StatusOr<std::shared_ptr<const NodeRows>> NodeRowsCache::Get(const View& view, bool verify) {
  absl::MutexLock lock(&mutex_);
  const std::uint64_t end = view.commit().next_row;
  // What is kept was checked, and so is good for all.
  const bool fits = newest_ != nullptr && end_row_ <= end;
  if (fits && end_row_ == end) return newest_;
  auto rows = fits ? std::make_shared<NodeRows>(*newest_) : std::make_shared<NodeRows>();
  const std::uint64_t begin = fits ? end_row_ : 0;
  for (std::size_t i = 0; i < view.slice_count(); ++i) {
    const RowExtent extent = view.extent(i);
    if (extent.end_row <= begin) continue;
    ENGRAM_RETURN_IF_ERROR(view.ReadySlice(i, verify));
    const RowSlice slice = view.slice(i);
    for (std::uint32_t r = 0; r < slice.count; ++r) {
      const std::uint64_t row = slice.row(r);
      // Every node was given before its row; a damaged one would make the table as large
      // as it says.
      if (row >= begin && slice.nodes[r] < view.commit().next_node) {
        rows->Set(slice.nodes[r], row, total_);
      }
    }
  }
  if (verify && end >= end_row_) {
    newest_ = rows;
    end_row_ = end;
  }
  return std::shared_ptr<const NodeRows>(std::move(rows));
}

}  // namespace engram::storage

#include "engram/write_batch.h"

#include <cassert>

namespace engram {

void WriteBatch::Put(MemoryId id, absl::Span<const float> vector, std::string_view payload) {
  entries_.push_back(
      {OpKind::kPut, id, floats_.size(), vector.size(), bytes_.size(), payload.size()});
  floats_.insert(floats_.end(), vector.begin(), vector.end());
  bytes_.append(payload);
}

void WriteBatch::SetKey(std::string_view key, MemoryId id) {
  entries_.push_back({OpKind::kSetKey, id, floats_.size(), 0, bytes_.size(), key.size()});
  bytes_.append(key);
}

void WriteBatch::Delete(MemoryId id) {
  entries_.push_back({OpKind::kDelete, id, floats_.size(), 0, bytes_.size(), 0});
}

void WriteBatch::PutEdge(const Edge& edge) {
  entries_.push_back({OpKind::kPutEdge, edge.from, floats_.size(), 0, bytes_.size(), 0, edge.to,
                      edge.type, edge.weight});
}

void WriteBatch::DeleteEdge(MemoryId from, MemoryId to, std::uint32_t type) {
  entries_.push_back({OpKind::kDeleteEdge, from, floats_.size(), 0, bytes_.size(), 0, to, type});
}

void WriteBatch::Reinforce(MemoryId id, float amount) {
  entries_.push_back({OpKind::kReinforce, id, floats_.size(), 0, bytes_.size(), 0, 0, 0, amount});
}

void WriteBatch::Clear() {
  entries_.clear();
  floats_.clear();
  bytes_.clear();
}

WriteBatch::Op WriteBatch::op(std::size_t i) const {
  assert(i < entries_.size());
  const Entry& entry = entries_[i];
  return {.kind = entry.kind,
          .id = entry.id,
          .vector = absl::MakeConstSpan(floats_.data() + entry.vector_begin, entry.vector_size),
          .bytes = std::string_view(bytes_).substr(entry.bytes_begin, entry.bytes_size),
          .to = entry.to,
          .type = entry.type,
          .weight = entry.weight};
}

}  // namespace engram

// Changes of edges in memory that no seal has folded in yet, in their order, in
// chunks that only grow: as the tail is for rows.
#ifndef ENGRAM_STORAGE_EDGE_LOG_H_
#define ENGRAM_STORAGE_EDGE_LOG_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "storage/format/edge_format.h"

namespace engram::storage {

struct EdgeLogChunk {
  static constexpr std::size_t kCapacity = 2048;
  std::array<EdgeEvent, kCapacity> events;
};

using EdgeLogChunks = std::vector<std::shared_ptr<EdgeLogChunk>>;

// The events from first() up to end(). Immutable and thread-safe: what the writer
// adds later lies behind end().
class EdgeLogView {
 public:
  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return end_; }
  bool empty() const { return first_ == end_; }

  // Precondition: first() <= number < end().
  const EdgeEvent& event(std::uint64_t number) const {
    const std::uint64_t at = skip_ + (number - first_);
    return (*chunks_)[at / EdgeLogChunk::kCapacity]->events[at % EdgeLogChunk::kCapacity];
  }

 private:
  friend class EdgeLog;
  std::uint64_t first_ = 0, end_ = 0, skip_ = 0;
  std::shared_ptr<const EdgeLogChunks>
      chunks_;  // every view is taken often, and few chunks are new
};

// The writer's side. One thread at a time.
class EdgeLog {
 public:
  // Starts over, empty; the next event gets `number`.
  void Reset(std::uint64_t number) {
    view_ = {};
    chunks_.clear();
    view_.first_ = view_.end_ = number;
  }

  void Append(const EdgeEvent& event) {
    const std::uint64_t at = view_.skip_ + (view_.end_ - view_.first_);
    if (at == chunks_.size() * EdgeLogChunk::kCapacity) {
      chunks_.push_back(std::make_shared<EdgeLogChunk>());
      view_.chunks_ = std::make_shared<const EdgeLogChunks>(chunks_);
    }
    chunks_[at / EdgeLogChunk::kCapacity]->events[at % EdgeLogChunk::kCapacity] = event;
    ++view_.end_;
  }

  // Forgets events below `number`. Precondition: first() <= number <= end().
  void DropBefore(std::uint64_t number) {
    view_.skip_ += number - view_.first_;
    view_.first_ = number;
    const auto whole = static_cast<std::ptrdiff_t>(view_.skip_ / EdgeLogChunk::kCapacity);
    chunks_.erase(chunks_.begin(), chunks_.begin() + whole);
    view_.chunks_ = std::make_shared<const EdgeLogChunks>(chunks_);
    view_.skip_ %= EdgeLogChunk::kCapacity;
  }

  const EdgeLogView& View() const { return view_; }
  std::uint64_t end() const { return view_.end_; }

 private:
  EdgeLogView view_;
  EdgeLogChunks chunks_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_EDGE_LOG_H_

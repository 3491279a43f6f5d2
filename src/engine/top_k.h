// The k best of a stream of scores, in one total order: higher score first, and
// of equal scores the smaller id.
#ifndef ENGRAM_ENGINE_TOP_K_H_
#define ENGRAM_ENGINE_TOP_K_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "engram/types.h"

namespace engram::engine {

inline bool Better(const Hit& a, const Hit& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

// Precondition: no score is NaN. Belongs to one thread.
class TopK {
 public:
  // Keeps the `k` best of those that score at least `floor`; k >= 1.
  TopK(std::size_t k, float floor) : k_(k), threshold_(floor) {}

  // Returns: no hit below it can enter; one that equals it may.
  float threshold() const { return threshold_; }

  void Offer(const Hit& hit) {
    if (hit.score < threshold_) return;
    if (heap_.size() == k_) {
      if (!Better(hit, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), Better);
      heap_.back() = hit;
    } else {
      heap_.push_back(hit);
    }
    std::push_heap(heap_.begin(), heap_.end(), Better);
    if (heap_.size() == k_) threshold_ = heap_.front().score;
  }

  // Precondition: `other` has the same k and floor.
  void Merge(TopK&& other) {
    if (heap_.empty()) {
      *this = std::move(other);
      return;
    }
    for (const Hit& hit : other.heap_) Offer(hit);
  }

  // Returns: the hits, best first; the object is empty afterwards.
  std::vector<Hit> Take() {
    std::sort(heap_.begin(), heap_.end(), Better);
    return std::move(heap_);
  }

 private:
  std::size_t k_;
  float threshold_;
  std::vector<Hit> heap_;  // the worst kept hit in front
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_TOP_K_H_

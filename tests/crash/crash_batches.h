// What the crash writer writes and the crash test expects.
#ifndef ENGRAM_TESTS_CRASH_CRASH_BATCHES_H_
#define ENGRAM_TESTS_CRASH_CRASH_BATCHES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace engram::crash {

inline constexpr std::uint32_t kDimension = 8;
inline constexpr MemoryId kBatch = 20;

inline std::vector<float> VectorOf(MemoryId id) {
  std::vector<float> vector(kDimension, 1.0f);
  vector[id % kDimension] = static_cast<float>(id + 2);
  return vector;
}

// Batches that are imported, and large enough to be written as files.
inline bool IsBulk(std::uint64_t batch) { return batch % 6 == 0; }

inline std::string PayloadOf(MemoryId id) {
  std::string payload = std::to_string(id);
  if (IsBulk(id / kBatch)) payload.resize((std::size_t{1} << 20) / kBatch + 64, '.');
  return payload;
}

// The edges that batch `batch` puts: a ring of its memories and, from even batches, one each to
// the batch before. Odd ones put those too, before they delete that batch, so that none is left.
inline std::vector<Edge> EdgesOf(std::uint64_t batch, bool to_the_one_before) {
  std::vector<Edge> edges;
  const MemoryId first = batch * kBatch;
  for (MemoryId i = 0; i < kBatch; ++i) {
    edges.push_back({.from = first + i,
                     .to = first + (i + 1) % kBatch,
                     .weight = static_cast<float>(first + i),
                     .type = static_cast<std::uint32_t>(batch % 3)});
    if (batch > 0 && to_the_one_before) {
      edges.push_back({.from = first + i, .to = first + i - kBatch, .type = 7});
    }
  }
  return edges;
}

inline StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  return options;
}

}  // namespace engram::crash

#endif  // ENGRAM_TESTS_CRASH_CRASH_BATCHES_H_

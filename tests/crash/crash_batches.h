// What the crash writer writes and the crash test expects.
#ifndef ENGRAM_TESTS_CRASH_CRASH_BATCHES_H_
#define ENGRAM_TESTS_CRASH_CRASH_BATCHES_H_

#include <cstdint>
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

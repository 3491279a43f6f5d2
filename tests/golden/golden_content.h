// What the golden stores hold. The program that writes them and the test that
// reads them share this file, so it is as frozen as the stores: a change to it
// needs another folder beside v1.
#ifndef ENGRAM_TESTS_GOLDEN_GOLDEN_CONTENT_H_
#define ENGRAM_TESTS_GOLDEN_GOLDEN_CONTENT_H_

#include <cstdint>
#include <limits>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace engram::golden {

inline constexpr std::uint32_t kDimension = 5;
inline constexpr std::uint32_t kRowsPerBlock = 64;
inline constexpr MemoryId kFarId = std::numeric_limits<MemoryId>::max();

// One store of the folder: "sealed" ones were closed, "log" was left as a
// process that dies leaves it, with all its memories in the log.
struct StoreKind {
  const char* name;
  Metric metric;
  bool sealed;
};
inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }
inline constexpr StoreKind kStores[] = {
    {"cosine", Metric::kCosine, true},
    {"dot", Metric::kDot, true},
    {"l2", Metric::kL2Squared, true},
    {"log", Metric::kCosine, false},
};

// Eighths of small integers: their products and sums are exact in f32, so the
// scores have the same bits at every level.
inline std::vector<float> Embedding(std::uint64_t seed) {
  std::vector<float> vector(kDimension);
  for (std::uint32_t i = 0; i < kDimension; ++i) {
    vector[i] = (static_cast<float>((seed * (7 + 6 * i) + 13 * i) % 29) - 14.0f) / 8.0f;
  }
  vector[seed % kDimension] += 4.0f;
  return vector;
}

inline std::string Payload(std::uint64_t seed) {
  std::string payload = "memory " + std::to_string(seed);
  payload.push_back('\0');  // payloads are bytes, not text
  payload.append(seed % 40, '\xfe');
  return payload;
}

struct Memory {
  std::vector<float> vector;
  std::string payload;
  std::vector<std::string> keys;
};
using Memories = std::map<MemoryId, Memory>;

inline constexpr bool DeletedBeforeCompaction(MemoryId id) { return id < 128 && id % 3 == 1; }
inline constexpr bool DeletedAfterSeal(MemoryId id) { return id >= 310 && id < 320; }

// Returns: what a store holds in the end.
inline Memories ExpectedMemories() {
  Memories memories;
  for (MemoryId id = 0; id < 420; ++id) {
    if (DeletedBeforeCompaction(id) || DeletedAfterSeal(id) || id == 405) continue;
    memories[id] = {Embedding(id), Payload(id), {}};
    if (id < 300 && id % 50 == 0) memories[id].keys = {"key " + std::to_string(id)};
  }
  memories[5] = {Embedding(1005), Payload(1005), {}};
  memories[50].keys = {};  // its key has moved
  memories[kFarId] = {{}, Payload(7), {"far\xff", "key 50"}};
  return memories;
}

inline std::vector<std::vector<float>> Queries() {
  return {Embedding(3), Embedding(77), Embedding(2024)};
}

}  // namespace engram::golden

#endif  // ENGRAM_TESTS_GOLDEN_GOLDEN_CONTENT_H_

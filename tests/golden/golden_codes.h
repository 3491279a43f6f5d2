// What the golden stores "codes-cosine" and "codes-l2" hold: enough rows with codes that searches
// read them, some of them dead, and some rows in the tail. As frozen as the stores.
#ifndef ENGRAM_TESTS_GOLDEN_GOLDEN_CODES_H_
#define ENGRAM_TESTS_GOLDEN_GOLDEN_CODES_H_

#include <cstdint>
#include <ostream>
#include <vector>

#include "engram/engram.h"

namespace engram::golden {

inline constexpr std::uint32_t kCodesDimension = 8;
inline constexpr std::uint32_t kCodesRowsPerBlock = 1152;
inline constexpr MemoryId kCodesSealed = 1100, kCodesAll = 1105;

struct CodesKind {
  const char* name;
  Metric metric;
};
inline void PrintTo(const CodesKind& kind, std::ostream* out) { *out << kind.name; }
inline constexpr CodesKind kCodesStores[] = {{"codes-cosine", Metric::kCosine},
                                             {"codes-l2", Metric::kL2Squared}};

// Eighths of small integers, as in golden_content.h: their sums are exact in f32, so the scores
// have the same bits at every level.
inline std::vector<float> CodesEmbedding(std::uint64_t seed) {
  std::vector<float> vector(kCodesDimension);
  for (std::uint32_t i = 0; i < kCodesDimension; ++i) {
    vector[i] =
        (static_cast<float>((seed * (7 + 6 * i) + 13 * i + seed / 61 * (i + 3)) % 61) - 30.0f) /
        8.0f;
  }
  vector[seed % kCodesDimension] += 4.0f;
  return vector;
}

inline constexpr bool CodesDeleted(MemoryId id) { return id >= 100 && id < 110; }

inline absl::Status FillCodes(Store& store) {
  std::vector<float> vector;
  MemoryId next = 0;
  const auto imported = store.Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (next == kCodesSealed) return false;
    vector = CodesEmbedding(next);
    row->id = next++;
    row->vector = vector;
    return true;
  });
  if (!imported.ok()) return imported.status();
  if (const absl::Status status = store.Seal(); !status.ok()) return status;
  WriteBatch batch;
  for (MemoryId id = 0; id < kCodesSealed; ++id) {
    if (CodesDeleted(id)) batch.Delete(id);
  }
  for (MemoryId id = kCodesSealed; id < kCodesAll; ++id) batch.Put(id, CodesEmbedding(id));
  return store.Write({}, batch);
}

inline std::vector<std::vector<float>> CodesQueries() {
  return {CodesEmbedding(105), CodesEmbedding(1102), CodesEmbedding(7777)};
}

}  // namespace engram::golden

#endif  // ENGRAM_TESTS_GOLDEN_GOLDEN_CODES_H_

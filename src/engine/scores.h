// The score of a row: what a kernel says of it and, where f32 could not hold what the
// kernel summed, the same formula in double.
//
// Vectors of any norm that CheckVector takes get right scores so: norms of 1e20 have no
// product in f32, and those of 1e-23 have one that keeps no bits.
#ifndef ENGRAM_ENGINE_SCORES_H_
#define ENGRAM_ENGINE_SCORES_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "engram/types.h"
#include "kernels/abi.h"
#include "storage/row_slice.h"

namespace engram::engine {

// A checked query. The span lives as long as the search.
struct Query {
  absl::Span<const float> vector;
  float norm = 0.0f;
};

// Scores `count` rows from row `begin` of the slice on; every score is finite. Precondition:
// the slice is ready.
void ScoreRows(const engram_kernels& kernels, Metric metric, const Query& query,
               const storage::RowSlice& slice, std::size_t begin, std::size_t count, float* scores);

// Returns: the score of one row, the very bits that ScoreRows gives it. Precondition: the
// slice is ready.
float ScoreRow(const engram_kernels& kernels, Metric metric, const Query& query,
               const storage::RowSlice& slice, std::uint32_t index);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_SCORES_H_

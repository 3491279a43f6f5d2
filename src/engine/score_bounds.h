// From the score of a plain scan to what is true of a row, and from there to what its codes
// may say: the inequalities of docs/exactness.md, numbered as there, each in a function of its own.
//
// All of it is in double. A coded row x and a query q enter as u and p: themselves, or under
// Metric cosine what is left of them when they are divided by their norms.
#ifndef ENGRAM_ENGINE_SCORE_BOUNDS_H_
#define ENGRAM_ENGINE_SCORE_BOUNDS_H_

#include <cstdint>
#include <vector>

#include "engine/scores.h"
#include "engram/types.h"
#include "kernels/abi.h"
#include "storage/format/code_format.h"

namespace engram::engine {

// The largest relative error of a sum of `dimension` products by those kernels (1): of the sum of
// their sizes.
double DotError(const engram_kernels& kernels, std::uint32_t dimension);

// A query as it is held against codes.
struct CodedQuery {
  std::vector<std::int8_t> codes;  // 8 a group
  double step = 0;                 // codes x step stands for M p
  double lost = 0;                 // at least |M p - step x codes|
  double kept = 0;                 // at least |M p|
  double outside = 0;              // at least sqrt(|p|^2 - |M p|^2)
  std::int32_t bias = 0;           // 15 x the sum of codes
};

// A query as it is held against fine codes.
struct FineQuery {
  std::vector<std::int16_t> codes;
  double step = 0;
  double lost = 0;  // at least |p - step x codes|
};

// What does not depend on the block.
class ScoreBounds {
 public:
  // Precondition: CanBound(query).
  ScoreBounds(const engram_kernels& kernels, Metric metric, const Query& query);

  // Whether the norm of a query is one that products with coded rows hold in f32.
  static bool CanBound(const Query& query);

  // Returns: the query under `rotation`; null: none.
  CodedQuery Code(const storage::RotationView* rotation) const;
  FineQuery CodeFine() const;

  // Returns: U such that no row with <p, u> < U, of L2 <p, u> - |u|^2 / 2 < U, has a plain
  // score of at least `score` (2). `most_norm`: of the rows, at least |u|.
  double LeastProduct(float score, double most_norm) const;

  // The kernel's query for rows that matter only when LeastProduct() of them is at
  // least `least`, and how to read its bounds (3): <p, u>, of L2 less |u|^2 / 2, is at most
  // step x bound + slack.
  struct ForBlock {
    engram_code_query query;
    double step = 0;
    double slack = 0;
  };
  ForBlock Bind(const CodedQuery& coded, const storage::CodeView& codes, double least) const;

  // Returns: a bound of the same by the row's fine codes (4), whose dot with the query's is
  // `dot`. `fine`: the row's place in the column; `norm`: as stored with the row, for L2 only.
  double FineBound(const FineQuery& query, const storage::CodeView& codes, const char* fine,
                   std::int32_t dot, float norm) const;

 private:
  double RotationErrorOf(const storage::CodeView& codes) const;
  double SineBound(const CodedQuery& coded, const storage::CodeView& codes, double least) const;

  const engram_kernels& kernels_;
  const Metric metric_;
  const Query& query_;
  const std::uint32_t dimension_;
  const double error_;  // DotError
  double unit_ = 1;     // p = unit x q
  double norm_ = 0;     // at least |p|
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_SCORE_BOUNDS_H_

// The code columns of a block: its embeddings again, in few bits, with what each row lost
// by it. A search reads them first and looks at the f32 rows of those alone that the codes
// cannot rule out; docs/exactness.md proves that it misses none.
//
// A row is coded as given, or under Metric cosine divided by its norm: call that x. With a
// rotation M, whose rows span where the embeddings vary most, y = M x is coded, else y = x.
//
// Column code, units of 64 bytes: a header, then superblocks of 64 rows.
//
//   offset  size  field of the header
//        0     4  version, 1
//        4     4  flags: 1 the rows were divided by their norms
//        8     4  rows
//       12     4  groups of 8 code dimensions; 0: this block has no codes
//       16     8  payload hash of the rotation; 0: none
//       24     4  residual step, f32
//       28     4  tail step, f32
//       32     4  largest norm of what a row's codes stand for, f32
//       36     4  largest residual, f32
//       40     4  largest tail, f32
//       44     4  least norm of a row, f32
//       48     4  largest norm of a row, f32
//       52    12  zero
//
// A superblock of G groups: 256 G bytes of codes, byte 256 g + 4 r + b holding of row r
// dimension 8 g + b in its low four bits and 8 g + 4 + b in its high ones; then 64 scales s,
// f32; 64 residuals, u8; 64 tails, u8. A code c stands for v = 2 c - 15, a row's codes for s v,
// with s the least-squares scale rounded to f32: before that, y - s v is at right angles to v, and
// docs/exactness.md counts what the rounding changes. The norm of y - s v is at most residual x
// residual step x s, that of the part of x outside the rotation at most tail x tail step x s. Code
// dimensions beyond y's are 0 and count for nothing; rows
// beyond the block's are zeros.
//
// Column fine code, rows of FineRowBytes: scale f32, residual norm f32 (an upper bound), then x
// itself as signed bytes, then zeros.
//
// Column rotation, once a file, under its first block: M, `code dimensions` rows of
// `dimension` f32. No vector is longer after M than before.
//
// Codes follow bit by bit from row and rotation, on every machine: floats are added in one
// order, and none fused.
#ifndef ENGRAM_STORAGE_FORMAT_CODE_FORMAT_H_
#define ENGRAM_STORAGE_FORMAT_CODE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace engram::storage {

inline constexpr std::size_t kSuperblockRows = 64;
inline constexpr std::size_t kCodeUnitBytes = 64;
inline constexpr std::uint32_t kMaxCodeGroups = 8192;
// No store has a rotation of more: what RotationError() counts holds for these.
inline constexpr std::uint32_t kMaxRotatedDimension = 4096;

// Rows of other norms than these, but for zero, have no codes unless they are divided by them:
// products with a query stay far from what f32 cannot hold.
inline constexpr double kLeastCodedNorm = 0x1p-40;
inline constexpr double kMostCodedNorm = 0x1p40;

inline std::uint32_t CodeGroups(std::uint32_t code_dimensions) { return (code_dimensions + 7) / 8; }
inline std::size_t SuperblockBytes(std::uint32_t groups) {
  return std::size_t{256} * groups + 6 * kSuperblockRows;
}
inline std::size_t FineRowBytes(std::uint32_t dimension) {
  return (8 + std::size_t{dimension} + 3) / 4 * 4;
}

// M as it is stored, and the payload hash that names it.
struct RotationView {
  const float* rows = nullptr;  // code_dimensions x dimension, row-major
  std::uint32_t code_dimensions = 0;
  std::uint64_t hash = 0;
};

// Returns: a bound of |fl(M x) - M x| / |x| for M of that shape, fl as Rotate() sums.
double RotationError(std::uint32_t dimension, std::uint32_t code_dimensions);

// y = M x for each of `count` rows.
void Rotate(const RotationView& rotation, std::uint32_t dimension, const float* rows,
            std::size_t count, float* out);

// The payloads of a block's columns.
struct CodePayloads {
  std::string codes;
  std::string fine;
};

// Codes `count` finite rows of `dimension` floats; `rotation` may be null.
CodePayloads EncodeCodes(std::uint32_t dimension, bool normalised, const float* rows,
                         std::size_t count, const RotationView* rotation);

// The codes of a block as they lie in the mapping; points into the payloads decoded.
struct CodeView {
  std::uint32_t rows = 0;
  std::uint32_t groups = 0;  // 0: this block has no codes
  bool normalised = false;
  std::uint64_t rotation = 0;  // hash; 0: none
  float residual_step = 0, tail_step = 0;
  float max_code_norm = 0, max_residual = 0, max_tail = 0;
  float min_norm = 0, max_norm = 0;
  const std::uint8_t* superblocks = nullptr;
  const char* fine = nullptr;  // rows of FineRowBytes

  friend bool operator==(const CodeView&, const CodeView&) = default;

  std::size_t superblock_count() const { return (rows + kSuperblockRows - 1) / kSuperblockRows; }
};

// Checks sizes and numbers against what the block should hold. Errors: kDataLoss saying what
// is wrong; the caller names block and column.
absl::StatusOr<CodeView> DecodeCodes(std::string_view codes, std::string_view fine,
                                     std::uint32_t rows, std::uint32_t dimension);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_FORMAT_CODE_FORMAT_H_

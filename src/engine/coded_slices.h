// The slices of a view whose rows have codes, as a certified scan walks them.
#ifndef ENGRAM_ENGINE_CODED_SLICES_H_
#define ENGRAM_ENGINE_CODED_SLICES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "engine/score_bounds.h"
#include "engine/search_job.h"
#include "storage/format/code_format.h"
#include "storage/row_slice.h"

namespace engram::engine {

// One slice. Its superblocks are numbered through all slices, so that a sample of every
// `stride`-th is spread evenly.
struct CodedSlice {
  storage::RowSlice rows;
  bool has_dead = false;
  std::size_t superblocks = 0;
  std::size_t first = 0;     // the number of its first superblock
  std::size_t rotation = 0;  // its place in CodedSlices::rotations()

  // Returns: the first in the sample that is not before `s`.
  std::size_t NextSampled(std::size_t s, std::size_t stride) const {
    return s + (stride - (first + s) % stride) % stride;
  }

  // Writes what bounds <p, u> (of L2 less |u|^2 / 2) for each of the 64 rows of superblock `s`;
  // minus infinity for those that are dead, or none.
  void Estimate(const SearchJob& job, const ScoreBounds::ForBlock& block, std::size_t s,
                float* out) const;

  // The scan kernel over `count` superblocks from `s`; rows are counted from the first of them,
  // and may be dead, or none.
  std::size_t Scan(const SearchJob& job, const ScoreBounds::ForBlock& block, std::size_t s,
                   std::size_t count, std::uint32_t* rows, float* bounds) const;

  // Returns: whether `index` is a row, and alive.
  bool Lives(const SearchJob& job, std::uint32_t index) const {
    return index < rows.count && !(has_dead && job.view.IsDead(rows.row(index)));
  }

  const char* FineRow(std::uint32_t index, std::uint32_t dimension) const {
    return rows.codes->fine + index * storage::FineRowBytes(dimension);
  }

 private:
  const std::uint8_t* Superblock(std::size_t s) const {
    return rows.codes->superblocks + s * storage::SuperblockBytes(rows.codes->groups);
  }
};

class CodedSlices {
 public:
  // Compares the checksums of all blocks with codes that nobody has looked at yet, with the
  // threads of the search, until the deadline, which `sign` then tells. Errors: kDataLoss of a
  // damaged block.
  static absl::Status Check(const SearchJob& job, StopSign& sign);

  // Precondition: Check() was OK, and in time.
  static CodedSlices Of(const SearchJob& job);

  const std::vector<CodedSlice>& slices() const { return slices_; }
  // The slices of the view without codes that hold for its metric.
  const std::vector<std::size_t>& others() const { return others_; }
  // Each that occurs, once; null: none.
  const std::vector<const storage::RotationView*>& rotations() const { return rotations_; }
  std::size_t superblocks() const { return superblocks_; }
  std::uint64_t bytes() const { return bytes_; }
  double most_norm() const { return most_norm_; }

 private:
  std::vector<CodedSlice> slices_;
  std::vector<std::size_t> others_;
  std::vector<const storage::RotationView*> rotations_;
  std::size_t superblocks_ = 0;
  std::uint64_t bytes_ = 0;  // of superblocks
  double most_norm_ = 0;
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_CODED_SLICES_H_

// The rotation that codes of a file are made under (code_format.h): where the embeddings vary
// in few directions, those alone are coded, and a search reads less.
//
// Which rotation it is matters for speed alone: the bounds of docs/exactness.md hold for any
// matrix that makes no vector longer, and one that is stale only prunes less.
#ifndef ENGRAM_STORAGE_ROTATION_H_
#define ENGRAM_STORAGE_ROTATION_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/format/code_format.h"
#include "storage/mapped_blocks.h"

namespace engram::storage {

// A matrix by itself, in the bytes that are stored. Immutable.
class Rotation {
 public:
  // `bytes`: code_dimensions x dimension f32. Precondition: no vector is longer after it.
  Rotation(std::uint32_t dimension, std::string bytes);

  const std::string& bytes() const { return bytes_; }
  RotationView view() const {
    return {.rows = reinterpret_cast<const float*>(bytes_.data()),
            .code_dimensions = code_dimensions_,
            .hash = hash_};
  }

 private:
  std::string bytes_;
  std::uint32_t code_dimensions_;
  std::uint64_t hash_;
};

// Some of the rows that are to be coded, evenly taken; none where no rotation would pay. Belongs to
// one thread.
class RotationSample {
 public:
  // Of `rows` rows of `dimension` floats, which Offer() gets one by one.
  RotationSample(std::uint32_t dimension, std::uint64_t rows);

  void Offer(const float* row);

  std::uint64_t rows() const { return rows_; }
  std::uint32_t dimension() const { return dimension_; }
  std::size_t size() const { return floats_.size() / dimension_; }
  const std::vector<float>& floats() const { return floats_; }

 private:
  const std::uint32_t dimension_;
  const std::uint64_t rows_;
  const std::uint64_t stride_;  // 0: none are taken
  std::uint64_t offered_ = 0;
  std::uint64_t taken_ = 0;  // which of the next stride_ rows
  std::minstd_rand random_;
  std::vector<float> floats_;
};

// Returns: a rotation for rows like those of the sample; null where none pays: the rows are few,
// or vary in most directions alike. `normalised`: their norms do not count.
std::shared_ptr<const Rotation> TrainRotation(const RotationSample& sample, bool normalised);

// Returns: whether no vector is longer after `rotation`.
bool LengthensNothing(const RotationView& rotation, std::uint32_t dimension);

// Returns: the mean share of a row's square that `rotation` leaves out, over the sample.
double ShareLeftOut(const RotationView& rotation, const RotationSample& sample);

// Chooses rotations for the files of one store, and trains one only when those that the store
// has do not fit. Belongs to one thread at a time.
class RotationChooser {
 public:
  // `blocks`: what the store holds.
  std::shared_ptr<const Rotation> Choose(const RotationSample& sample, bool normalised,
                                         const MappedBlocks& blocks);

 private:
  std::shared_ptr<const Rotation> known_;
  // A training costs as much as coding many rows: after one, as many as were seen by then
  // must come before the next.
  std::uint64_t rows_seen_ = 0;
  std::uint64_t next_training_ = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_ROTATION_H_

// Rows coded as a block holds them, rotations of all kinds, and what is exactly true of both.
#ifndef ENGRAM_TESTS_ENGINE_CODED_BLOCK_H_
#define ENGRAM_TESTS_ENGINE_CODED_BLOCK_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/score_bounds.h"
#include "engine/vectors.h"
#include "tests/engine/random_vectors.h"

namespace engram::engine {

using storage::kSuperblockRows;
using storage::RotationView;

inline long double ExactDot(const float* a, const float* b, std::size_t size) {
  long double sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += static_cast<long double>(a[i]) * b[i];
  return sum;
}
inline long double ExactNorm(const float* a, std::size_t size) {
  return std::sqrt(ExactDot(a, a, size));
}

// Rows of a matrix that lengthens nothing.
struct Matrix {
  std::uint32_t dimension = 0;
  Vector rows;
  RotationView view() const {
    return {.rows = rows.data(),
            .code_dimensions = static_cast<std::uint32_t>(rows.size() / dimension),
            .hash = 77};
  }
};

// Random orthogonal directions; the i-th is shortened to least + (1 - least) i / count.
inline Matrix RandomRotation(std::uint32_t dimension, std::uint32_t count, double least,
                             Random& random) {
  std::vector<std::vector<double>> directions;
  std::normal_distribution<double> normal;
  while (directions.size() < count) {
    std::vector<double> next(dimension);
    for (double& value : next) value = normal(random);
    for (int twice = 0; twice < 2; ++twice) {
      for (const auto& known : directions) {
        double dot = 0;
        for (std::size_t j = 0; j < dimension; ++j) dot += known[j] * next[j];
        for (std::size_t j = 0; j < dimension; ++j) next[j] -= dot * known[j];
      }
      double norm = 0;
      for (const double value : next) norm += value * value;
      for (double& value : next) value /= std::sqrt(norm);
    }
    directions.push_back(next);
  }
  Matrix matrix{.dimension = dimension, .rows = {}};
  for (std::size_t i = 0; i < count; ++i) {
    const double shorter = least + (1 - least) * static_cast<double>(i) / count;
    for (const double value : directions[i]) {
      matrix.rows.push_back(static_cast<float>(value * shorter * (1 - 1e-5)));
    }
  }
  return matrix;
}

// Some of the dimensions as they are.
inline Matrix FirstDimensions(std::uint32_t dimension, std::uint32_t count) {
  Matrix matrix{.dimension = dimension, .rows = Vector(std::size_t{dimension} * count)};
  for (std::size_t i = 0; i < count; ++i) matrix.rows[i * dimension + i] = 1.0f;
  return matrix;
}

// Rows as a block holds them.
class Block {
 public:
  Block(std::uint32_t dimension, Metric metric, const std::vector<Vector>& rows,
        const Matrix* matrix)
      : dimension_(dimension), metric_(metric) {
    for (const Vector& row : rows) {
      for (const float value : row) floats_.push_back(value);
      norms_.push_back(static_cast<float>(Norm(row)));
      exact_norms_.push_back(ExactNorm(row.data(), dimension));
    }
    if (matrix != nullptr) rotation_ = matrix->view();
    payloads_ = storage::EncodeCodes(dimension, metric == Metric::kCosine, floats_.data(),
                                     rows.size(), rotation());
    // As the mapping is aligned.
    aligned_.resize(payloads_.codes.size() / 64 + 2);
    codes_ = reinterpret_cast<char*>(aligned_.data());
    std::memcpy(codes_, payloads_.codes.data(), payloads_.codes.size());
    auto view = storage::DecodeCodes({codes_, payloads_.codes.size()}, payloads_.fine,
                                     static_cast<std::uint32_t>(rows.size()), dimension);
    EXPECT_TRUE(view.ok()) << view.status();
    if (view.ok()) view_ = *view;
    norms_.resize(view_.superblock_count() * kSuperblockRows);
  }

  std::uint32_t size() const { return view_.rows; }
  const storage::CodeView& codes() const { return view_; }
  const RotationView* rotation() const { return rotation_.rows == nullptr ? nullptr : &rotation_; }
  const float* row(std::size_t i) const { return floats_.data() + i * dimension_; }
  float norm(std::size_t i) const { return norms_[i]; }
  storage::RowSlice slice() const {
    storage::RowSlice slice;
    slice.embeddings = floats_.data();
    slice.norms = norms_.data();
    slice.count = size();
    return slice;
  }
  const char* fine(std::size_t i) const {
    return view_.fine + i * storage::FineRowBytes(dimension_);
  }

  // <p, u>, of L2 less |u|^2 / 2.
  long double Truth(const Vector& query, std::size_t i) const {
    const long double dot = ExactDot(query.data(), row(i), dimension_);
    if (metric_ == Metric::kDot) return dot;
    if (metric_ == Metric::kL2Squared) return dot - exact_norms_[i] * exact_norms_[i] / 2;
    return dot / (ExactNorm(query.data(), dimension_) * exact_norms_[i]);
  }

  // The kernel's bound of one row.
  float Estimate(const engram_kernels& kernels, const ScoreBounds::ForBlock& block,
                 std::size_t i) const {
    const std::size_t s = i / kSuperblockRows;
    alignas(64) float out[kSuperblockRows];
    kernels.estimate(&block.query, view_.superblocks + s * storage::SuperblockBytes(view_.groups),
                     metric_ == Metric::kL2Squared ? norms_.data() + s * kSuperblockRows : nullptr,
                     1, out);
    return out[i % kSuperblockRows];
  }

  // What the codes of a row without a rotation stand for.
  std::vector<double> Decoded(std::size_t i) const {
    const std::uint8_t* at =
        view_.superblocks + i / kSuperblockRows * storage::SuperblockBytes(view_.groups);
    const std::size_t r = i % kSuperblockRows;
    float scale;
    std::memcpy(&scale, at + 256 * view_.groups + 4 * r, sizeof scale);
    std::vector<double> values(8 * view_.groups);
    for (std::size_t j = 0; j < values.size(); ++j) {
      const std::uint8_t byte = at[256 * (j / 8) + 4 * r + j % 4];
      values[j] = double{scale} * (2 * (j % 8 < 4 ? byte & 15 : byte >> 4) - 15);
    }
    values.resize(dimension_);
    return values;
  }

 private:
  struct alignas(64) Unit {
    char bytes[64];
  };
  const std::uint32_t dimension_;
  const Metric metric_;
  Vector floats_, norms_;
  std::vector<long double> exact_norms_;
  RotationView rotation_;
  storage::CodePayloads payloads_;
  std::vector<Unit> aligned_;
  char* codes_ = nullptr;
  storage::CodeView view_;
};

}  // namespace engram::engine

#endif  // ENGRAM_TESTS_ENGINE_CODED_BLOCK_H_

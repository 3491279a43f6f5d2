#include "storage/rotation.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "storage/base/hash.h"

namespace engram::storage {
namespace {

// Fewer rows than this are read as fast without one.
constexpr std::uint64_t kLeastRows = 8192;
constexpr std::size_t kSampleRows = 4096;

// In fewer dimensions there is little to leave out; in more, training takes too long.
constexpr std::uint32_t kLeastDimension = 64, kMostDimension = 1024;
static_assert(kMostDimension <= kMaxRotatedDimension);

// The rotation keeps this share of the rows' squares, and pays when so many of the
// dimensions do: with WordNet's sentences that is 264 of 384 (docs/benchmarks.md).
constexpr double kKept = 0.97;
constexpr double kMostDimensionsKept = 0.8;
// A known one is used as long as it leaves out at most this.
constexpr double kMostLeftOut = 0.045;

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

bool MayPay(std::uint32_t dimension, std::uint64_t rows) {
  return rows >= kLeastRows && dimension >= kLeastDimension && dimension <= kMostDimension;
}

double SquaredNormOf(const float* row, std::uint32_t dimension) {
  double sum = 0;
  for (std::uint32_t j = 0; j < dimension; ++j) sum += double{row[j]} * double{row[j]};
  return sum;
}

// The rows of the sample, each of norm 1 when `normalised`; without those of norm 0.
Matrix RowsOf(const RotationSample& sample, bool normalised) {
  Matrix rows(sample.size(), sample.dimension());
  Eigen::Index kept = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const float* row = sample.floats().data() + i * sample.dimension();
    const double norm = std::sqrt(SquaredNormOf(row, sample.dimension()));
    if (!(norm >= kLeastCodedNorm && norm <= kMostCodedNorm)) continue;
    for (std::uint32_t j = 0; j < sample.dimension(); ++j) {
      rows(kept, j) = double{row[j]} / (normalised ? norm : 1.0);
    }
    ++kept;
  }
  rows.conservativeResize(kept, Eigen::NoChange);
  return rows;
}

// Returns: in how many directions the rows vary, as (sum of l)^2 / sum of l^2 over the eigenvalues
// l of their second moments: the squares of the dots of random pairs have the latter as
// their mean.
double EffectiveDimensions(const Matrix& rows) {
  std::mt19937 random(1);
  double squares = 0, norms = 0;
  constexpr int kPairs = 2000;
  for (int i = 0; i < kPairs; ++i) {
    const Eigen::Index a = random() % rows.rows(), b = random() % rows.rows();
    norms += rows.row(a).squaredNorm();
    if (a == b) continue;
    const double dot = rows.row(a).dot(rows.row(b));
    squares += dot * dot;
  }
  norms /= kPairs;
  return squares == 0 ? static_cast<double>(rows.cols()) : norms * norms * kPairs / squares;
}

// An orthogonal matrix without a direction of its own: within the subspace that is kept, every
// code dimension then varies like every other.
Matrix RandomOrthogonal(Eigen::Index size) {
  std::mt19937 random(2);
  Matrix numbers(size, size);
  for (Eigen::Index i = 0; i < size; ++i) {
    for (Eigen::Index j = 0; j < size; ++j) {
      double sum = 0;  // of four uniform numbers: near enough a normal one
      for (int n = 0; n < 4; ++n) sum += static_cast<double>(random()) * 0x1p-31 - 1;
      numbers(i, j) = sum;
    }
  }
  return Eigen::HouseholderQR<Matrix>(numbers).householderQ();
}

// Returns: a bound of the largest factor by which the matrix lengthens a vector: the square is an
// eigenvalue of M M^T, none of which exceeds its largest row sum.
double MostLengthening(const FloatMatrix& m) {
  const Matrix wide = m.cast<double>();
  const Matrix gram = wide * wide.transpose();
  return std::sqrt(gram.cwiseAbs().rowwise().sum().maxCoeff()) * (1 + 1e-9);
}

// Rounds to f32, and so that no vector gets longer.
FloatMatrix Contraction(const Matrix& exact) {
  FloatMatrix m = exact.cast<float>();
  for (double most = MostLengthening(m); most > 1; most = MostLengthening(m)) {
    m *= static_cast<float>((1 - 1e-6) / most);
  }
  return m;
}

std::uint32_t DimensionsToKeep(const Eigen::VectorXd& ascending) {
  const auto size = static_cast<std::uint32_t>(ascending.size());
  double left = ascending.cwiseMax(0.0).sum() * (1 - kKept);
  std::uint32_t kept = size;
  while (kept > 1 && ascending(size - kept) <= left) {
    left -= std::max(ascending(size - kept), 0.0);
    --kept;
  }
  return (kept + 7) / 8 * 8;
}

}  // namespace

Rotation::Rotation(std::uint32_t dimension, std::string bytes)
    : bytes_(std::move(bytes)),
      code_dimensions_(static_cast<std::uint32_t>(bytes_.size() / (dimension * sizeof(float)))),
      hash_(Hash64(bytes_)) {}

RotationSample::RotationSample(std::uint32_t dimension, std::uint64_t rows)
    : dimension_(dimension),
      rows_(rows),
      stride_(MayPay(dimension, rows) ? (rows + kSampleRows - 1) / kSampleRows : 0) {}

void RotationSample::Offer(const float* row) {
  if (stride_ == 0) return;
  const std::uint64_t place = offered_++ % stride_;
  // Any of so many rows: data may have a period of its own, as a fixed one would.
  if (place == 0) taken_ = random_() % stride_;
  if (place != taken_) return;
  floats_.insert(floats_.end(), row, row + dimension_);
}

std::shared_ptr<const Rotation> TrainRotation(const RotationSample& sample, bool normalised) {
  const std::uint32_t dimension = sample.dimension();
  if (!MayPay(dimension, sample.rows())) return nullptr;
  const Matrix rows = RowsOf(sample, normalised);
  if (rows.rows() < dimension || EffectiveDimensions(rows) > 0.5 * dimension) return nullptr;
  Matrix moments = Matrix::Zero(dimension, dimension);
  moments.selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(moments);
  if (solver.info() != Eigen::Success) return nullptr;
  const std::uint32_t kept = DimensionsToKeep(solver.eigenvalues());
  if (kept > kMostDimensionsKept * dimension) return nullptr;
  const Matrix directions = solver.eigenvectors().rightCols(kept).transpose();
  const FloatMatrix m = Contraction(RandomOrthogonal(kept) * directions);
  if (!m.allFinite()) return nullptr;
  return std::make_shared<Rotation>(
      dimension, std::string(reinterpret_cast<const char*>(m.data()), m.size() * sizeof(float)));
}

bool LengthensNothing(const RotationView& rotation, std::uint32_t dimension) {
  const Eigen::Map<const FloatMatrix> m(rotation.rows, rotation.code_dimensions, dimension);
  return m.allFinite() && MostLengthening(m) <= 1;
}

double ShareLeftOut(const RotationView& rotation, const RotationSample& sample) {
  constexpr std::size_t kRows = 256;
  const std::uint32_t dimension = sample.dimension();
  const std::size_t stride = std::max<std::size_t>(1, sample.size() / kRows);
  std::vector<float> rotated(rotation.code_dimensions);
  double left_out = 0;
  std::size_t rows = 0;
  for (std::size_t i = 0; i < sample.size(); i += stride) {
    const float* row = sample.floats().data() + i * dimension;
    const double square = SquaredNormOf(row, dimension);
    if (square == 0) continue;
    Rotate(rotation, dimension, row, 1, rotated.data());
    left_out += 1 - SquaredNormOf(rotated.data(), rotation.code_dimensions) / square;
    ++rows;
  }
  return rows == 0 ? 1 : left_out / static_cast<double>(rows);
}

std::shared_ptr<const Rotation> RotationChooser::Choose(const RotationSample& sample,
                                                        bool normalised,
                                                        const MappedBlocks& blocks) {
  if (sample.size() == 0) return nullptr;
  if (known_ == nullptr) {
    // The newest that is sound: damage must not be copied under a fresh checksum.
    for (auto block = blocks.blocks().rbegin(); block != blocks.blocks().rend(); ++block) {
      const RotationView* view = block->usable().ok() ? block->slice().rotation : nullptr;
      if (view == nullptr || !block->CheckWithCodes().ok()) continue;
      if (!LengthensNothing(*view, sample.dimension())) continue;
      known_ = std::make_shared<Rotation>(
          sample.dimension(),
          std::string(reinterpret_cast<const char*>(view->rows),
                      std::size_t{view->code_dimensions} * sample.dimension() * sizeof(float)));
      break;
    }
  }
  rows_seen_ += sample.rows();
  if (known_ != nullptr && ShareLeftOut(known_->view(), sample) <= kMostLeftOut) return known_;
  if (rows_seen_ < next_training_) return nullptr;
  next_training_ = 2 * rows_seen_;
  auto trained = TrainRotation(sample, normalised);
  if (trained != nullptr) known_ = trained;
  return trained;
}

}  // namespace engram::storage

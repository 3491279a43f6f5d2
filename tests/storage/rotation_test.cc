// Rotations: they lengthen nothing, are made where they pay, and are made again only when they
// must.
#include "storage/rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "storage/store_files.h"
#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

using Random = std::mt19937_64;
using Vector = std::vector<float>;

// Rows that vary along a few axes, and a little along all others.
class Rows {
 public:
  Rows(std::uint32_t dimension, std::size_t axes, double rest, unsigned seed)
      : random_(seed), rest_(rest) {
    for (std::size_t i = 0; i < axes; ++i) axes_.push_back(Normals(dimension, 1));
    next_.resize(dimension);
  }
  const Vector& Next() {
    next_ = Normals(next_.size(), rest_);
    for (const Vector& axis : axes_) {
      const float along = Normals(1, 1)[0];
      for (std::size_t j = 0; j < next_.size(); ++j) next_[j] += along * axis[j];
    }
    return next_;
  }

 private:
  Vector Normals(std::size_t size, double scale) {
    Vector numbers(size);
    for (float& number : numbers) number = static_cast<float>(normal_(random_) * scale);
    return numbers;
  }
  Random random_;
  std::normal_distribution<double> normal_;
  const double rest_;
  std::vector<Vector> axes_;
  Vector next_;
};

RotationSample SampleOf(std::uint32_t dimension, Rows& rows, std::uint64_t count) {
  RotationSample sample(dimension, count);
  for (std::uint64_t i = 0; i < count; ++i) sample.Offer(rows.Next().data());
  return sample;
}

// The largest factor by which M lengthens, by power iteration from `start`.
double Lengthening(const RotationView& view, std::uint32_t dimension, std::vector<double> start) {
  double factor = 0;
  for (int i = 0; i < 100; ++i) {
    double before = 0, after = 0;
    std::vector<double> next(dimension);
    for (const double value : start) before += value * value;
    for (std::size_t o = 0; o < view.code_dimensions; ++o) {
      const float* row = view.rows + o * dimension;
      double dot = 0;
      for (std::size_t j = 0; j < dimension; ++j) dot += double{row[j]} * start[j];
      after += dot * dot;
      for (std::size_t j = 0; j < dimension; ++j) next[j] += dot * double{row[j]};
    }
    factor = std::max(factor, std::sqrt(after / before));
    for (double& value : next) value /= std::sqrt(after);
    start = next;
  }
  return factor;
}

TEST(Rotation, LengthensNothingAndKeepsWhatVaries) {
  constexpr unsigned kSeed = 61;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  std::normal_distribution<double> normal;
  for (const std::uint32_t dimension : {64u, 100u, 250u}) {
    for (const bool normalised : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "dimension " << dimension << ", " << normalised);
      Rows rows(dimension, dimension / 8, 0.2, kSeed + dimension);
      const RotationSample sample = SampleOf(dimension, rows, 8192);
      const auto rotation = TrainRotation(sample, normalised);
      ASSERT_NE(rotation, nullptr);
      const RotationView view = rotation->view();
      EXPECT_GE(view.code_dimensions, dimension / 8);
      EXPECT_LE(view.code_dimensions, dimension * 8 / 10);
      EXPECT_EQ(rotation->bytes().size(), std::size_t{4} * dimension * view.code_dimensions);
      EXPECT_LT(ShareLeftOut(view, sample), 0.04);
      const RotationSample others = SampleOf(dimension, rows, 8192);
      EXPECT_LT(ShareLeftOut(view, others), 0.045);
      for (int i = 0; i < 5; ++i) {
        std::vector<double> start(dimension);
        for (double& value : start) value = normal(random);
        const double factor = Lengthening(view, dimension, start);
        EXPECT_LE(factor, 1.0);
        EXPECT_GE(factor, 0.9999);
      }
      // A direction of its own, in which M is longest if it is too long at all.
      for (std::size_t o = 0; o < view.code_dimensions; o += 7) {
        const float* row = view.rows + o * dimension;
        EXPECT_LE(Lengthening(view, dimension, {row, row + dimension}), 1.0);
      }
      // The same sample, the same bytes.
      EXPECT_EQ(TrainRotation(sample, normalised)->bytes(), rotation->bytes());
    }
  }
}

TEST(Rotation, IsNotMadeWhereItDoesNotPay) {
  constexpr std::uint32_t kDimension = 64;
  Rows falling(kDimension, 8, 0.2, 62), flat(kDimension, 0, 1, 63);
  EXPECT_NE(TrainRotation(SampleOf(kDimension, falling, 8192), false), nullptr);
  EXPECT_EQ(TrainRotation(SampleOf(kDimension, falling, 8191), false), nullptr);
  EXPECT_EQ(TrainRotation(SampleOf(kDimension, flat, 8192), false), nullptr);
  EXPECT_EQ(TrainRotation(SampleOf(kDimension, flat, 8192), true), nullptr);
  Rows few_dimensions(63, 4, 0.1, 64), many(1025, 4, 0.1, 65);
  EXPECT_EQ(TrainRotation(SampleOf(63, few_dimensions, 8192), false), nullptr);
  EXPECT_EQ(TrainRotation(SampleOf(1025, many, 8192), false), nullptr);
}

// Rows that have no codes, and those of zeros, do not count.
TEST(Rotation, IsMadeOfSampleRowsOfAnyNorm) {
  constexpr std::uint32_t kDimension = 64;
  Rows rows(kDimension, 8, 0.2, 66);
  RotationSample sample(kDimension, 8192);
  for (int i = 0; i < 8192; ++i) {
    Vector row = rows.Next();
    const float scale = i % 6 == 2 ? 1e30f : i % 6 == 4 ? 1e-30f : i % 12 == 0 ? 0.0f : 1.0f;
    for (float& value : row) value *= scale;
    sample.Offer(row.data());
  }
  for (const bool normalised : {false, true}) {
    const auto rotation = TrainRotation(sample, normalised);
    ASSERT_NE(rotation, nullptr);
    EXPECT_LT(ShareLeftOut(rotation->view(), SampleOf(kDimension, rows, 8192)), 0.045);
  }
  RotationSample zeros(kDimension, 8192);
  for (int i = 0; i < 8192; ++i) zeros.Offer(Vector(kDimension).data());
  EXPECT_EQ(TrainRotation(zeros, false), nullptr);
}

class Chooser : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kDimension = 64;
  static constexpr std::uint64_t kRows = 8192;

  Chooser() {
    FilesOptions options;
    options.dimension = kDimension;
    options.metric = 2;
    options.create_if_missing = true;
    options.seal_bytes = std::uint64_t{1} << 30;
    auto files = StoreFiles::Open(options, dir_ / "s");
    EXPECT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }
  std::shared_ptr<const Rotation> Choose(Rows& rows, std::uint64_t count = kRows) {
    return chooser_.Choose(SampleOf(kDimension, rows, count), false,
                           files_->CurrentView()->blocks());
  }

  testing::TempDir dir_;
  std::unique_ptr<StoreFiles> files_;
  RotationChooser chooser_;
  Rows one_{kDimension, 8, 0.2, 67}, other_{kDimension, 8, 0.2, 68};
};

TEST_F(Chooser, TrainsAnewWhenRowsDoNotFitAndHaveDoubled) {
  const auto first = Choose(one_);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(Choose(one_, 100), nullptr) << "few rows have none";
  EXPECT_EQ(Choose(one_), first);  // 2 x kRows seen
  const auto second = Choose(other_);
  ASSERT_NE(second, nullptr);  // 3: more than twice what they were at the training
  EXPECT_NE(second->view().hash, first->view().hash);
  EXPECT_EQ(Choose(other_), second);  // 4
  EXPECT_EQ(Choose(one_), nullptr) << "5, and not yet 6";
  const auto third = Choose(one_);
  ASSERT_NE(third, nullptr);
  EXPECT_NE(third->view().hash, second->view().hash);
}

// Rows of no direction must not cost a training each time.
TEST_F(Chooser, DoesNotTryAgainAtOnceWhereNonePays) {
  Rows flat(kDimension, 0, 1, 69);
  EXPECT_EQ(Choose(flat), nullptr);
  EXPECT_EQ(Choose(one_, kRows - 1), nullptr);
  EXPECT_NE(Choose(one_), nullptr);
}

TEST_F(Chooser, TakesTheNewestThatTheStoreHas) {
  std::vector<Vector> rows;
  std::vector<Change> changes;
  for (std::uint64_t i = 0; i < kRows; ++i) rows.push_back(one_.Next());
  for (std::uint64_t i = 0; i < kRows; ++i) {
    double square = 0;
    for (const float value : rows[i]) square += double{value} * double{value};
    changes.push_back(
        {.id = i, .vector = rows[i], .norm = static_cast<float>(std::sqrt(square)), .bytes = {}});
  }
  ASSERT_TRUE(files_->Write({}, changes).ok());
  ASSERT_TRUE(files_->Seal().ok());
  const MappedBlocks& blocks = files_->CurrentView()->blocks();
  ASSERT_FALSE(blocks.blocks().empty());
  const RotationView* stored = blocks.blocks().back().slice().rotation;
  ASSERT_NE(stored, nullptr);
  const auto chosen = Choose(one_);
  ASSERT_NE(chosen, nullptr);
  EXPECT_EQ(chosen->view().hash, stored->hash);
  EXPECT_EQ(chosen->view().code_dimensions, stored->code_dimensions);
}

}  // namespace
}  // namespace engram::storage

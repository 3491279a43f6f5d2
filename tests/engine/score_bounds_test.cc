// Every inequality of docs/exactness.md by itself, against long double: for rows, queries and
// rotations of all kinds, those among them that were built to sit on a bound.
#include "engine/score_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "tests/engine/coded_block.h"

namespace engram::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kDot, Metric::kL2Squared};

struct Widths {
  double of_codes = 0, of_fine = 0;  // mean distance of bound and truth, of |p| |u|
};

// Checks (2), (3) and (4) for every row of `block`.
Widths CheckBounds(const Block& block, Metric metric, const Vector& vector) {
  const Query query{.vector = vector, .norm = static_cast<float>(Norm(vector))};
  EXPECT_TRUE(ScoreBounds::CanBound(query));
  const double most_norm = block.codes().max_norm;
  std::vector<long double> truths;
  for (std::size_t i = 0; i < block.size(); ++i) truths.push_back(block.Truth(vector, i));
  std::vector<std::vector<float>> scores;
  for (const engram_kernels* table : UsableTables()) {
    const ScoreBounds bounds(*table, metric, query);
    scores.emplace_back(block.size());
    ScoreRows(*table, metric, query, block.slice(), 0, block.size(), scores.back().data());
    for (std::size_t i = 0; i < block.size(); ++i) {
      const float score = scores.back()[i];
      for (const float below : {score, score - std::abs(score) * 0x1p-20f, score - 0.1f}) {
        EXPECT_GE(truths[i], bounds.LeastProduct(below, most_norm))
            << "(2) " << table->name << ", row " << i << ", score " << score;
      }
    }
  }
  const engram_kernels& best = *UsableTables().front();
  const ScoreBounds bounds(best, metric, query);
  const CodedQuery coded = bounds.Code(block.rotation());
  const FineQuery fine = bounds.CodeFine();
  Widths widths;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const auto truth = static_cast<double>(truths[i]);
    const double of =
        static_cast<double>(metric == Metric::kCosine ? 1 : Norm(vector) * block.norm(i));
    for (const double least :
         {std::nextafter(truth, -kInfinity), truth - 1e-3 * of,
          bounds.LeastProduct(scores.front()[i], most_norm), truth - of, -kInfinity}) {
      if (least > truths[i]) continue;
      const ScoreBounds::ForBlock bound = bounds.Bind(coded, block.codes(), least);
      const float b = block.Estimate(best, bound, i);
      EXPECT_GE(b, bound.query.threshold)
          << "(3) row " << i << ", least " << least << ", truth " << truth;
      // An overflow downwards stands for what is lower than any f32.
      const double value =
          bound.step * std::max(double{b}, -double{std::numeric_limits<float>::max()}) +
          bound.slack;
      EXPECT_GE(value, truths[i]) << "(3) row " << i << ", least " << least;
      if (least == -kInfinity && of > 0) widths.of_codes += (value - truth) / of;
    }
    // Whatever the threshold, what it rules out is below it.
    for (const float score : {-1.0f, 0.0f, 0.5f, -0x1p79f, 1e30f}) {
      const double least = bounds.LeastProduct(score, most_norm);
      const ScoreBounds::ForBlock bound = bounds.Bind(coded, block.codes(), least);
      if (block.Estimate(best, bound, i) < bound.query.threshold) {
        EXPECT_LT(truths[i], least) << "(3) row " << i << ", score " << score;
      }
    }
    std::int32_t dot = 0;
    const auto which = static_cast<std::uint32_t>(i);
    best.fine(fine.codes.data(), reinterpret_cast<const std::int8_t*>(block.codes().fine + 8),
              storage::FineRowBytes(static_cast<std::uint32_t>(vector.size())), vector.size(),
              &which, 1, &dot);
    const double value = bounds.FineBound(fine, block.codes(), block.fine(i), dot, block.norm(i));
    EXPECT_GE(value, truths[i]) << "(4) row " << i;
    if (of > 0) widths.of_fine += (value - truth) / of;
  }
  widths.of_codes /= block.size();
  widths.of_fine /= block.size();
  return widths;
}

enum Kind {
  kNormal,
  kOneHuge,
  kConstant,
  kTwoValued,
  kSparse,
  kDenormal,
  kAllNorms,
  kNearQuery,
  kKinds
};

Vector RowOf(Kind kind, Metric metric, const Vector& query, Random& random) {
  const std::size_t size = query.size();
  Vector row = Normals(size, random);
  const auto some = [&] { return random() % size; };
  switch (kind) {
    case kOneHuge: row[some()] = random() % 2 == 0 ? 1e6f : -1e6f; break;
    case kConstant: std::fill(row.begin(), row.end(), row[0]); break;
    case kTwoValued:
      for (float& value : row) value = value < 0 ? -0.25f : 0.25f;
      break;
    case kSparse:
      std::fill(row.begin(), row.end(), 0.0f);
      // Zero rows where there may be some.
      for (std::size_t n = random() % 4 + (metric == Metric::kCosine); n > 0; --n) row[some()] = 1;
      break;
    case kDenormal:
      for (float& value : row) value *= 1e-40f;
      row[some()] = 1;
      break;
    case kAllNorms: {
      const int range = metric == Metric::kCosine ? 85 : 29;
      const int exponent = static_cast<int>(random() % (2 * range)) - range;
      row[0] = 1;  // so that no norm is too small
      for (float& value : row) value = std::ldexp(value, exponent);
      break;
    }
    case kNearQuery: {
      const double apart = std::pow(10.0, -static_cast<double>(random() % 8));
      for (std::size_t j = 0; j < size; ++j) {
        row[j] = random() % 8 == 0 ? query[j] : query[j] + row[j] * static_cast<float>(apart);
      }
      if (random() % 4 == 0) row = query;
      break;
    }
    default: break;
  }
  return row;
}

// Rotations of every kind for that dimension; the first is none.
std::vector<std::unique_ptr<Matrix>> Rotations(std::uint32_t dimension, Random& random) {
  std::vector<std::unique_ptr<Matrix>> all(1);
  const std::uint32_t few = std::max(1u, dimension * 2 / 3);
  all.push_back(std::make_unique<Matrix>(RandomRotation(dimension, few, 1, random)));
  all.push_back(std::make_unique<Matrix>(RandomRotation(dimension, few, 0.2, random)));
  all.push_back(std::make_unique<Matrix>(RandomRotation(dimension, dimension, 1, random)));
  all.push_back(std::make_unique<Matrix>(FirstDimensions(dimension, few)));
  return all;
}

// `part` of what the rotation leaves out of a vector stays.
Vector Fitting(const Matrix& matrix, const Vector& vector, double part) {
  std::vector<double> inside(vector.size());
  const RotationView view = matrix.view();
  for (std::size_t i = 0; i < view.code_dimensions; ++i) {
    const float* direction = view.rows + i * vector.size();
    const auto dot = static_cast<double>(ExactDot(direction, vector.data(), vector.size()));
    for (std::size_t j = 0; j < inside.size(); ++j) inside[j] += dot * double{direction[j]};
  }
  Vector fitting(vector.size());
  for (std::size_t j = 0; j < inside.size(); ++j) {
    fitting[j] = static_cast<float>(inside[j] + (double{vector[j]} - inside[j]) * part);
  }
  return fitting;
}

TEST(ScoreBounds, HoldForRowsQueriesAndRotationsOfAllKinds) {
  constexpr unsigned kSeed = 21;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const std::uint32_t dimension : {1u, 2u, 3u, 5u, 8u, 17u, 24u, 33u, 64u, 100u, 192u}) {
    const auto rotations = Rotations(dimension, random);
    for (std::size_t r = 0; r < rotations.size(); ++r) {
      for (const Metric metric : kMetrics) {
        for (int kind = 0; kind < kKinds; ++kind) {
          SCOPED_TRACE(::testing::Message()
                       << "dimension " << dimension << ", rotation " << r << ", metric "
                       << static_cast<int>(metric) << ", kind " << kind);
          const Vector about = Normals(dimension, random);
          std::vector<Vector> rows;
          for (std::size_t i = 0; i < 70; ++i) {
            rows.push_back(RowOf(static_cast<Kind>(kind), metric, about, random));
            // Some rows that fit, where there is something to fit.
            if (r != 0 && random() % 2 == 0 && rows.back() != Vector(dimension)) {
              const Vector fitting = Fitting(*rotations[r], rows.back(), 0.02);
              if (Norm(fitting) > 1e-3 * Norm(rows.back())) rows.back() = fitting;
            }
          }
          const Block block(dimension, metric, rows, rotations[r].get());
          if (block.codes().groups == 0) {
            // Only where a rotation leaves next to nothing of a row.
            EXPECT_EQ(r, 4u);
            EXPECT_TRUE(kind == kSparse || kind == kDenormal || kind == kOneHuge);
            continue;
          }
          Vector opposite = rows[3];
          for (float& value : opposite) value = -value;
          Vector small = Normals(dimension, random, 0x1p-37), large = Normals(dimension, random);
          small[0] = 0x1p-38f;
          for (float& value : large) value *= 0x1p36f / std::sqrt(static_cast<float>(dimension));
          for (const Vector& query : {about, rows[5], opposite, small, large}) {
            const double norm = Norm(query);
            if (!(norm >= 0x1p-39 && norm <= 0x1p39)) continue;
            CheckBounds(block, metric, query);
            if (::testing::Test::HasFailure()) return;
          }
        }
      }
    }
  }
}

// Queries in the plane of a row's codes and of what they miss, at all angles: with its own angle
// to the codes, the row attains what the sine allows.
TEST(ScoreBounds, HoldWhereTheResidualIsParallelToTheQuery) {
  constexpr unsigned kSeed = 22;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const std::uint32_t dimension : {3u, 8u, 100u, 384u}) {
    for (const Metric metric : kMetrics) {
      for (int round = 0; round < 40; ++round) {
        SCOPED_TRACE(::testing::Message() << "dimension " << dimension << ", metric "
                                          << static_cast<int>(metric) << ", round " << round);
        // A block of its own, so that nothing is larger in it than in the row.
        Vector row = Normals(dimension, random);
        if (round % 4 == 1) row[0] *= 100;
        const Block block(dimension, metric, {row}, nullptr);
        const std::vector<double> codes = block.Decoded(0);
        const double unit = metric == Metric::kCosine ? 1 / Norm(row) : 1;
        double code_norm = 0, missed_norm = 0;
        std::vector<double> missed(dimension);
        for (std::size_t j = 0; j < dimension; ++j) {
          missed[j] = double{row[j]} * unit - codes[j];
          code_norm += codes[j] * codes[j];
          missed_norm += missed[j] * missed[j];
        }
        code_norm = std::sqrt(code_norm);
        missed_norm = std::sqrt(missed_norm);
        for (int step = -4; step <= 8; ++step) {
          const double angle = step * M_PI / 16;
          // Of L2 the row itself is where distances get small.
          const double size =
              round % 3 == 0 ? 1 : std::sqrt(code_norm * code_norm + missed_norm * missed_norm);
          Vector query(dimension);
          for (std::size_t j = 0; j < dimension; ++j) {
            query[j] = static_cast<float>(size * (std::cos(angle) * codes[j] / code_norm +
                                                  std::sin(angle) * missed[j] / missed_norm));
          }
          CheckBounds(block, metric, query);
        }
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

// What the rotation leaves out of row and query is parallel too.
TEST(ScoreBounds, HoldWhereTheTailIsParallelToTheQuery) {
  constexpr unsigned kSeed = 23;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  constexpr std::uint32_t kDimension = 24;
  const Matrix matrix = FirstDimensions(kDimension, 16);
  for (const Metric metric : kMetrics) {
    for (int round = 0; round < 200; ++round) {
      Vector row = Normals(kDimension, random);
      for (std::size_t j = 16; j < kDimension; ++j) row[j] *= static_cast<float>(round % 5);
      const Block block(kDimension, metric, {row}, &matrix);
      Vector query = row;
      for (std::size_t j = 0; j < 16; ++j) query[j] *= static_cast<float>(round % 3);
      for (std::size_t j = 16; j < kDimension; ++j) query[j] *= static_cast<float>(1 + round % 7);
      if (Norm(query) > 0) CheckBounds(block, metric, query);
      CheckBounds(block, metric, row);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// Least queries beside largest rows: the square of L2 is more than f32 holds.
TEST(ScoreBounds, HoldAtTheEndsOfTheNormsThatAreCoded) {
  constexpr unsigned kSeed = 24;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  const auto of_norm = [](Vector vector, double norm) {
    const double scale = norm / Norm(vector);
    for (float& value : vector) value = static_cast<float>(double{value} * scale);
    return vector;
  };
  for (const std::uint32_t dimension : {1u, 8u, 384u}) {
    for (const Metric metric : kMetrics) {
      for (const double row_norm : {1.001 * 0x1p-40, 1.0, 0.999 * 0x1p40}) {
        std::vector<Vector> rows;
        for (int i = 0; i < 30; ++i) {
          rows.push_back(of_norm(Normals(dimension, random), row_norm));
          rows.push_back(of_norm(Normals(dimension, random), 0.999 * 0x1p40));
        }
        const Block block(dimension, metric, rows, nullptr);
        for (const double norm : {1.001 * 0x1p-40, 1.0, 0.999 * 0x1p40}) {
          SCOPED_TRACE(::testing::Message()
                       << "dimension " << dimension << ", metric " << static_cast<int>(metric)
                       << ", norms " << row_norm << " and " << norm);
          CheckBounds(block, metric, of_norm(Normals(dimension, random), norm));
          CheckBounds(block, metric, of_norm(rows[2], norm));
          if (::testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

// A query of which the rotation leaves next to nothing, or nothing: no bound is NaN.
TEST(ScoreBounds, HoldForQueriesOutsideTheRotation) {
  constexpr unsigned kSeed = 25;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  constexpr std::uint32_t kDimension = 12;
  const Matrix matrix = FirstDimensions(kDimension, 8);
  for (const Metric metric : kMetrics) {
    for (const float left : {0.0f, 1e-45f, 1e-40f, 1e-30f, 1e-12f}) {
      std::vector<Vector> rows;
      for (int i = 0; i < 40; ++i)
        rows.push_back(Normals(kDimension, random, i % 2 == 0 ? 1 : 100));
      if (metric != Metric::kCosine) rows.emplace_back(kDimension);
      const Block block(kDimension, metric, rows, &matrix);
      Vector query(kDimension);
      query[2] = left;
      query[kDimension - 1] = 1;
      SCOPED_TRACE(::testing::Message()
                   << "metric " << static_cast<int>(metric) << ", left " << left);
      CheckBounds(block, metric, query);
    }
  }
}

TEST(ScoreBounds, DotErrorHoldsForAllKernels) {
  constexpr unsigned kSeed = 26;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const engram_kernels* table : UsableTables()) {
    SCOPED_TRACE(table->name);
    for (const std::uint32_t dimension : {1u, 2u, 15u, 64u, 65u, 384u, 1000u, 4097u}) {
      for (int round = 0; round < 60; ++round) {
        Vector a = Normals(dimension, random), b = Normals(dimension, random);
        // All of one sign, and just above a power of 2, rounding is worst.
        for (std::size_t j = 0; round % 3 != 0 && j < dimension; ++j) {
          a[j] = round % 3 == 1 ? std::abs(a[j]) : 1 + static_cast<float>(random() % 9) * 0x1p-23f;
          b[j] = round % 3 == 1 ? std::abs(b[j]) : 1 + static_cast<float>(random() % 9) * 0x1p-23f;
        }
        float dot = 0;
        table->dot(a.data(), b.data(), 1, dimension, dimension, &dot);
        long double sizes = 0;
        for (std::size_t j = 0; j < dimension; ++j) {
          sizes += std::abs(static_cast<long double>(a[j]) * b[j]);
        }
        ASSERT_LE(std::abs(dot - ExactDot(a.data(), b.data(), dimension)),
                  DotError(*table, dimension) * sizes)
            << "dimension " << dimension;
      }
    }
  }
}

// Constant vectors round every product and sum the same way, as far off as they can be.
TEST(ScoreBounds, HoldWhereRoundingsAddUp) {
  constexpr unsigned kSeed = 29;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  std::uniform_real_distribution<float> some(0.5f, 1.0f);
  for (const std::uint32_t dimension : {4096u, 65536u}) {
    for (const Metric metric : kMetrics) {
      for (int round = 0; round < 8; ++round) {
        SCOPED_TRACE(::testing::Message() << "dimension " << dimension << ", metric "
                                          << static_cast<int>(metric) << ", round " << round);
        const Vector query(dimension, some(random));
        std::vector<Vector> rows;
        for (int i = 0; i < 6; ++i) {
          rows.emplace_back(dimension, some(random));
          // At right angles to the query, so that a cosine is below the 1 it is clamped to.
          const float aside = rows.back()[0] * static_cast<float>(i) * 8;
          rows.back()[0] += aside;
          rows.back()[dimension / 2 + 1] -= aside;
        }
        CheckBounds(Block(dimension, metric, rows, nullptr), metric, query);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(ScoreBounds, NothingIsLeftOutByScoresThatClampingRaised) {
  const Vector vector{1, 0};
  const Query query{.vector = vector, .norm = 1};
  const ScoreBounds cosine(*UsableTables().front(), Metric::kCosine, query);
  EXPECT_EQ(cosine.LeastProduct(-1.0f, 1), -kInfinity);
  EXPECT_GT(cosine.LeastProduct(std::nextafter(-1.0f, 0.0f), 1), -1.0001);
  for (const Metric metric : kMetrics) {
    const ScoreBounds bounds(*UsableTables().front(), metric, query);
    EXPECT_EQ(bounds.LeastProduct(-std::numeric_limits<float>::infinity(), 1), -kInfinity);
  }
}

// A bound that holds always could say nothing.
TEST(ScoreBounds, AreNarrow) {
  constexpr unsigned kSeed = 27;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  constexpr std::uint32_t kDimension = 384;
  const Matrix matrix = RandomRotation(kDimension, 256, 1, random);
  for (const Metric metric : kMetrics) {
    std::vector<Vector> rows;
    for (int i = 0; i < 64; ++i) rows.push_back(Normals(kDimension, random));
    const Vector query = Normals(kDimension, random);
    const Widths widths = CheckBounds(Block(kDimension, metric, rows, nullptr), metric, query);
    EXPECT_LT(widths.of_codes, 0.15);
    EXPECT_LT(widths.of_fine, 0.012);
    for (Vector& row : rows) row = Fitting(matrix, row, 0.1);
    const Widths rotated =
        CheckBounds(Block(kDimension, metric, rows, &matrix), metric, Fitting(matrix, query, 0.1));
    EXPECT_LT(rotated.of_codes, 0.17);
  }
}

// The sine is what makes the bound of a near row narrow.
TEST(ScoreBounds, OfNearRowsAreNarrowerWithAThreshold) {
  constexpr unsigned kSeed = 28;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  constexpr std::uint32_t kDimension = 384;
  const engram_kernels& best = *UsableTables().front();
  for (const Metric metric : kMetrics) {
    const Vector vector = Normals(kDimension, random);
    Vector near = vector;
    for (float& value : near) value += Normals(1, random, 0.2)[0];
    const Block block(kDimension, metric, {near}, nullptr);
    const Query query{.vector = vector, .norm = static_cast<float>(Norm(vector))};
    const ScoreBounds bounds(best, metric, query);
    const CodedQuery coded = bounds.Code(nullptr);
    const auto truth = static_cast<double>(block.Truth(vector, 0));
    const auto width = [&](double least) {
      const auto bound = bounds.Bind(coded, block.codes(), least);
      return bound.step * double{block.Estimate(best, bound, 0)} + bound.slack - truth;
    };
    EXPECT_LT(width(truth), 0.7 * width(-kInfinity)) << "metric " << static_cast<int>(metric);
  }
}

}  // namespace
}  // namespace engram::engine

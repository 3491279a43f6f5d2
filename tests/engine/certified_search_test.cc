// The certified scan against the plain one: the same ids and score bits on whatever data, with all
// kernels.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/engine/certified_store.h"

namespace engram::engine {
namespace {

std::uint32_t AnyThreads(Random& random) { return static_cast<std::uint32_t>(1 + random() % 3); }

// Compares with every k and kernel, min_score at, just above and below the scores there are.
void CompareWays(const TestStore& store, const std::vector<Vector>& vectors, Random& random,
                 Tally& tally) {
  const auto view = store.view();
  const Queries queries(vectors);
  const auto tables = UsableTables();
  constexpr std::uint32_t kKs[] = {1, 10, 100, 1000, 1000000};
  std::size_t way = random();
  for (const engram_kernels* table : tables) {
    SearchOptions options;
    options.k = kKs[way++ % std::size(kKs)];
    Compare(*view, *table, store.metric(), options, AnyThreads(random),
            queries.one(random() % vectors.size()), tally);
  }
  for (const std::uint32_t k : kKs) {
    if (::testing::Test::HasFailure()) return;
    const engram_kernels& table = *tables[random() % 3 % tables.size()];
    SearchOptions options;
    options.k = k;
    const auto query = queries.one(random() % vectors.size());
    const auto plain = Compare(*view, table, store.metric(), options, 1, query, tally);
    if (plain.empty() || plain[0].hits.empty()) continue;
    const float score = plain[0].hits[plain[0].hits.size() / 2].score;
    for (const float least : {score, std::nextafter(score, 1e38f), score - std::abs(score) / 8}) {
      options.min_score = least;
      Compare(*view, table, store.metric(), options, AnyThreads(random), query, tally);
    }
  }
  SearchOptions options;
  options.k = kKs[way % 4];
  Compare(*view, *tables.front(), store.metric(), options, AnyThreads(random), queries.all(),
          tally);
}

enum Kind { kNormal, kClustered, kEqual, kOneHuge, kConstant, kTwoValued, kDenormal, kAllNorms };

Vector RowOf(Kind kind, std::size_t dimension, Metric metric, const Vector& about, Random& random) {
  Vector row = Normals(dimension, random);
  switch (kind) {
    case kClustered:
      for (std::size_t j = 0; j < dimension; ++j) row[j] = about[j] + 1e-3f * row[j];
      break;
    case kEqual: return about;
    case kOneHuge: row[random() % dimension] = 1e3f; break;
    case kConstant: std::fill(row.begin(), row.end(), row[0]); break;
    case kTwoValued:
      for (float& value : row) value = value < 0 ? -0.25f : 0.25f;
      break;
    case kDenormal:
      for (float& value : row) value *= 1e-40f;
      row[random() % dimension] = 1;
      break;
    case kAllNorms: {
      const double range = metric == Metric::kCosine ? 28 : 10;
      std::uniform_real_distribution<double> exponent(-range, range);
      return Scaled(row, std::pow(10, exponent(random)));
    }
    case kNormal: break;
  }
  return row;
}

// Rows of all kinds in turn, so that blocks are of one kind each, nearly.
std::vector<Vector> MixedRows(std::size_t dimension, Metric metric, Random& random) {
  constexpr struct {
    Kind kind;
    std::size_t count;
  } kParts[] = {{kNormal, 700},   {kClustered, 1100}, {kEqual, 1100},   {kOneHuge, 100},
                {kConstant, 100}, {kTwoValued, 200},  {kDenormal, 100}, {kNormal, 55}};
  std::vector<Vector> rows;
  for (const auto& part : kParts) {
    const Vector about = Normals(dimension, random);
    for (std::size_t i = 0; i < part.count; ++i) {
      rows.push_back(RowOf(part.kind, dimension, metric, about, random));
    }
  }
  return rows;
}

// 33: some of the rows, or near them, or opposite; and some of other sizes.
std::vector<Vector> QueriesNear(const std::vector<Vector>& rows, Random& random) {
  std::vector<Vector> queries;
  while (queries.size() < 33) {
    Vector query = rows[random() % rows.size()];
    const std::size_t n = queries.size();
    if (n % 4 == 1) {
      for (float& value : query) value = -value;
    } else if (n % 4 == 2) {
      for (float& value : query) value *= 1 + Normals(1, random, 0.1)[0];
    } else if (n % 4 == 3) {
      query = Normals(query.size(), random);
    }
    if (Norm(query) == 0) continue;
    if (n % 11 == 5) query = Scaled(query, n % 2 == 0 ? 1e-11 : 1e11);
    const double norm = Norm(query);
    if (norm < 1e-12 || norm > 1e12) query = Scaled(query, 1);
    queries.push_back(query);
  }
  return queries;
}

// Sealed; with a tail, dead rows and upserts; sealed again; compacted.
void CompareStates(std::uint32_t dimension, Metric metric, const std::vector<Vector>& rows,
                   Random& random, Tally& tally) {
  TestStore store(dimension, metric);
  store.PutAll(rows);
  store.Seal();
  ASSERT_EQ(RowsOf(*store.view()).coded, rows.size());
  CompareWays(store, QueriesNear(rows, random), random, tally);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    // The first block dies but for a row.
    if (i % 7 == 3 || (i > 0 && i < 256)) store.Delete(i);
  }
  store.Write();
  for (std::size_t i = 2; i < rows.size(); i += 13) store.Put(i, rows[(i * 31) % rows.size()]);
  store.Write();
  CompareWays(store, QueriesNear(rows, random), random, tally);
  if (dimension % 2 == 0) {
    store.Seal();
    CompareWays(store, QueriesNear(rows, random), random, tally);
  }
  store.Compact();
  CompareWays(store, QueriesNear(rows, random), random, tally);
}

TEST(CertifiedSearch, AnswersAsThePlainScanOnAllKindsOfRows) {
  constexpr unsigned kSeed = 41;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  Tally tally;
  for (const std::uint32_t dimension : {1u, 3u, 8u, 17u, 100u, 384u}) {
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE(::testing::Message() << "dimension " << dimension);
      CompareStates(dimension, metric, MixedRows(dimension, metric, random), random, tally);
      if (HasFatalFailure() || HasFailure()) return;
    }
  }
  // So few rows are never given up.
  EXPECT_EQ(tally.given_up, 0u);
  EXPECT_GT(tally.queries, 3000u);
}

TEST(CertifiedSearch, AnswersAsThePlainScanOnRowsOfAllNorms) {
  constexpr unsigned kSeed = 42;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  Tally tally;
  for (const std::uint32_t dimension : {1u, 8u, 100u}) {
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE(::testing::Message() << "dimension " << dimension);
      std::vector<Vector> rows;
      for (int i = 0; i < 1500; ++i) {
        rows.push_back(RowOf(kAllNorms, dimension, metric, {}, random));
      }
      // Ordinary ones, among which are zero rows where there may be some.
      for (int i = 0; i < 500; ++i) rows.push_back(Normals(dimension, random));
      for (int i = 0; i < 70 && metric != Metric::kCosine; ++i) rows.emplace_back(dimension);
      CompareStates(dimension, metric, rows, random, tally);
      if (HasFatalFailure() || HasFailure()) return;
    }
  }
  EXPECT_EQ(tally.given_up, 0u);
}

// The least query that is bounded and the largest rows: f32 holds no bound of such an L2.
TEST(CertifiedSearch, AnswersAsThePlainScanWhereBoundsOverflow) {
  constexpr unsigned kSeed = 43;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  Tally tally;
  for (const Metric metric : kMetrics) {
    TestStore store(64, metric);
    std::vector<Vector> rows;
    for (int i = 0; i < 2000; ++i) {
      rows.push_back(Scaled(Normals(64, random), (0.9 + 0.09 * (i % 7) / 7) * 0x1p40));
    }
    store.PutAll(rows);
    store.Seal();
    std::vector<Vector> queries;
    for (int i = 0; i < 5; ++i) {
      // Of equal sizes, which make the least steps.
      Vector least = Normals(64, random);
      for (float& value : least) value = value < 0 ? -0.1f : 0.1f;
      queries.push_back(Scaled(least, 1.01 * 0x1p-40));
      queries.push_back(Scaled(rows[i], 0.99 * 0x1p40));
    }
    CompareWays(store, queries, random, tally);
  }
}

// Blocks under two rotations, under none because the rows do not fit and training is not due, or
// are few; blocks that have no codes; and a tail.
TEST(CertifiedSearch, AnswersAsThePlainScanUnderSeveralRotations) {
  constexpr unsigned kSeed = 44;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  constexpr std::uint32_t kDimension = 64;
  constexpr std::size_t kMany = 8192;
  Tally tally;
  for (const Metric metric : kMetrics) {
    TestStore store(kDimension, metric, 1024);
    std::vector<Vector> all;
    const auto add = [&](std::size_t count, std::size_t directions) {
      std::vector<Vector> axes;
      for (std::size_t i = 0; i < directions; ++i) axes.push_back(Normals(kDimension, random));
      const std::size_t first = all.size();
      for (std::size_t i = 0; i < count; ++i) {
        Vector row = Normals(kDimension, random, 0.3);
        for (const Vector& axis : axes) {
          const float along = Normals(1, random)[0];
          for (std::size_t j = 0; j < kDimension; ++j) row[j] += along * axis[j];
        }
        all.push_back(row);
      }
      store.PutAll({all.begin() + static_cast<std::ptrdiff_t>(first), all.end()}, first);
    };
    add(kMany, 8);
    store.Seal();
    ASSERT_EQ(RowsOf(*store.view()).rotations.size(), 1u);
    ASSERT_NE(RowsOf(*store.view()).rotations[0], 0u);
    add(kMany, 10);
    store.Seal();
    ASSERT_EQ(RowsOf(*store.view()).rotations.size(), 2u);
    add(kMany, 9);
    store.Seal();
    const Rows sealed = RowsOf(*store.view());
    ASSERT_EQ(sealed.rotations.size(), 3u);
    ASSERT_EQ(sealed.rotations[2], 0u);
    ASSERT_EQ(sealed.coded, sealed.all);
    CompareWays(store, QueriesNear(all, random), random, tally);
    // One row without codes takes them from its block.
    add(500, 3);
    store.PutAll({Scaled(Normals(kDimension, random), metric == Metric::kCosine ? 1e-31 : 1e15)},
                 all.size());
    all.push_back(Normals(kDimension, random));
    store.Seal();
    ASSERT_LT(RowsOf(*store.view()).coded, RowsOf(*store.view()).all);
    add(300, 3);
    for (std::size_t i = 0; i < all.size(); i += 9) store.Delete(i);
    store.Write();
    CompareWays(store, QueriesNear(all, random), random, tally);
    if (HasFatalFailure() || HasFailure()) return;
  }
  EXPECT_LT(tally.given_up, tally.queries / 4);
}

// Enough of them for three threads; and the codes rule out nearly all rows.
TEST(CertifiedSearch, AnswersAsThePlainScanWithThreads) {
  constexpr unsigned kSeed = 45;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  constexpr std::uint32_t kDimension = 384;
  TestStore store(kDimension, Metric::kCosine, 0);
  std::vector<Vector> rows;
  std::vector<Vector> centres;
  for (int i = 0; i < 300; ++i) centres.push_back(Normals(kDimension, random));
  for (std::size_t i = 0; i < 33000; ++i) {
    // A third of them near each other, of which some are equal.
    const Vector& centre = i % 3 == 0 ? centres[0] : centres[i % centres.size()];
    const float apart = i % 15 == 0 ? 0.0f : i % 3 == 0 ? 0.1f : 0.7f;
    rows.push_back(Normals(kDimension, random));
    for (std::size_t j = 0; j < kDimension; ++j) rows[i][j] = centre[j] + apart * rows[i][j];
  }
  store.PutAll(rows);
  store.Seal();
  std::vector<Vector> vectors;
  for (int i = 0; i < 8; ++i) {
    vectors.push_back(rows[random() % rows.size()]);
    vectors.push_back(Normals(kDimension, random));
  }
  Tally tally;
  SearchOptions options;
  for (const std::uint32_t k : {1u, 10u, 1000u}) {
    options.k = k;
    for (const std::uint32_t threads : {1u, 2u, 3u}) {
      Compare(*store.view(), *UsableTables().front(), Metric::kCosine, options, threads,
              Queries(vectors).all(), tally);
      if (HasFatalFailure() || HasFailure()) return;
    }
  }
  // Half of the queries are random, and nothing stands out for them.
  EXPECT_LE(tally.given_up, tally.queries * 2 / 3);
  // Rows of one centre stand out from others, as those near a random query do not.
  Tally near;
  options.k = 10;
  Compare(*store.view(), *UsableTables().front(), Metric::kCosine, options, 3,
          Queries({centres[1], centres[2]}).all(), near);
  EXPECT_EQ(near.given_up, 0u);
  EXPECT_LT(near.rescored, 2 * rows.size() / 20);
}

}  // namespace
}  // namespace engram::engine

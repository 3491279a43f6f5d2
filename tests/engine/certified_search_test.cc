// The certified scan against the plain one: the same ids and score bits on whatever data, with all
// kernels, and what it says of itself.
#include "engine/certified_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/exact_search.h"
#include "engine/plain_search.h"
#include "engine/vectors.h"
#include "kernels/dispatch.h"
#include "storage/store_files.h"
#include "tests/support/temp_dir.h"

namespace engram::engine {
namespace {

using Clock = std::chrono::steady_clock;
using Random = std::mt19937_64;
using Vector = std::vector<float>;

constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kDot, Metric::kL2Squared};

std::vector<const engram_kernels*> UsableTables() {
  std::vector<const engram_kernels*> tables;
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (choice.usable) tables.push_back(choice.table);
  }
  return tables;
}

Vector Normals(std::size_t size, Random& random, double scale = 1) {
  std::normal_distribution<float> normal;
  Vector numbers(size);
  for (float& number : numbers) number = normal(random) * static_cast<float>(scale);
  return numbers;
}

Vector Scaled(Vector vector, double norm) {
  const double scale = norm / Norm(vector);
  for (float& value : vector) value = static_cast<float>(double{value} * scale);
  return vector;
}

// A store below the public API, whose ids are in no order that rows know.
class TestStore {
 public:
  TestStore(std::uint32_t dimension, Metric metric, std::uint32_t rows_per_block = 256)
      : metric_(metric) {
    storage::FilesOptions options;
    options.dimension = dimension;
    options.metric = static_cast<std::uint8_t>(metric);
    options.create_if_missing = true;
    options.rows_per_block = rows_per_block;
    options.seal_bytes = std::uint64_t{1} << 30;  // nothing is sealed but by Seal()
    auto files = storage::StoreFiles::Open(options, dir_ / "s");
    EXPECT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }

  static std::uint64_t IdOf(std::size_t i) { return i * 0x9e3779b97f4a7c15u >> 20; }

  void Put(std::size_t i, const Vector& row) {
    rows_.push_back(std::make_unique<Vector>(row));
    changes_.push_back({.kind = storage::Change::Kind::kPut,
                        .id = IdOf(i),
                        .vector = *rows_.back(),
                        .norm = static_cast<float>(Norm(row)),
                        .bytes = {}});
  }
  void PutAll(const std::vector<Vector>& rows, std::size_t first = 0) {
    for (std::size_t i = 0; i < rows.size(); ++i) Put(first + i, rows[i]);
    Write();
  }
  void Delete(std::size_t i) {
    changes_.push_back(
        {.kind = storage::Change::Kind::kDelete, .id = IdOf(i), .vector = {}, .bytes = {}});
  }
  void Write() {
    const absl::Status written = files_->Write({}, changes_);
    EXPECT_TRUE(written.ok()) << written;
    changes_.clear();
    rows_.clear();
  }
  void Seal() {
    const absl::Status sealed = files_->Seal();
    EXPECT_TRUE(sealed.ok()) << sealed;
  }
  void Compact() {
    const absl::Status compacted = files_->Compact(0, nullptr);
    EXPECT_TRUE(compacted.ok()) << compacted;
  }

  Metric metric() const { return metric_; }
  std::shared_ptr<const storage::View> view() const { return files_->CurrentView(); }

 private:
  testing::TempDir dir_;
  const Metric metric_;
  std::unique_ptr<storage::StoreFiles> files_;
  std::vector<storage::Change> changes_;
  std::vector<std::unique_ptr<Vector>> rows_;
};

// What a view consists of.
struct Rows {
  std::uint64_t all = 0, coded = 0;
  std::vector<std::uint64_t> rotations;  // of the coded slices, 0 for none, each once
};
Rows RowsOf(const storage::View& view) {
  Rows rows;
  for (std::size_t i = 0; i < view.slice_count(); ++i) {
    const storage::RowSlice slice = view.slice(i);
    rows.all += slice.count;
    if (slice.codes == nullptr) continue;
    rows.coded += slice.count;
    auto& known = rows.rotations;
    if (std::find(known.begin(), known.end(), slice.codes->rotation) == known.end()) {
      known.push_back(slice.codes->rotation);
    }
  }
  return rows;
}

// Vectors, and queries that point to them.
class Queries {
 public:
  explicit Queries(std::vector<Vector> vectors) : vectors_(std::move(vectors)) {
    for (const Vector& vector : vectors_) {
      queries_.push_back({.vector = vector, .norm = static_cast<float>(Norm(vector))});
      EXPECT_TRUE(ScoreBounds::CanBound(queries_.back())) << queries_.back().norm;
    }
  }
  Queries(const Queries&) = delete;
  Queries& operator=(const Queries&) = delete;

  absl::Span<const Query> all() const { return queries_; }
  absl::Span<const Query> one(std::size_t i) const { return {&queries_[i], 1}; }

 private:
  const std::vector<Vector> vectors_;
  std::vector<Query> queries_;
};

SearchPool& Pool() {
  static SearchPool pool(2);
  return pool;
}

// The hits have equal ids and equal bits.
void ExpectSameHits(const std::vector<Hit>& found, const std::vector<Hit>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].id, expected[i].id)
        << "rank " << i << ", scores " << found[i].score << " and " << expected[i].score;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(found[i].score),
              std::bit_cast<std::uint32_t>(expected[i].score))
        << "rank " << i;
  }
}

std::uint32_t AnyThreads(Random& random) { return static_cast<std::uint32_t>(1 + random() % 3); }

struct Tally {
  std::size_t queries = 0, given_up = 0;
  std::uint64_t rescored = 0;
};

// Both scans of all queries, compared. Returns: the plain one's answers.
std::vector<SearchResults> Compare(const storage::View& view, const engram_kernels& kernels,
                                   Metric metric, const SearchOptions& options,
                                   std::uint32_t threads, absl::Span<const Query> queries,
                                   Tally& tally) {
  const SearchJob job{view, kernels, metric, options, threads, Pool(), queries};
  auto plain = PlainSearch(job);
  const auto found = CertifiedSearch(job);
  EXPECT_TRUE(plain.ok()) << plain.status();
  EXPECT_TRUE(found.ok()) << found.status();
  if (!plain.ok() || !found.ok()) return {};
  EXPECT_EQ(found->size(), queries.size());
  const Rows rows = RowsOf(view);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    SCOPED_TRACE(::testing::Message()
                 << kernels.name << ", metric " << static_cast<int>(metric) << ", k " << options.k
                 << ", threads " << threads << ", min_score " << options.min_score.value_or(-1e38f)
                 << ", query " << q << " of " << queries.size());
    ++tally.queries;
    if (!(*found)[q].has_value()) {
      ++tally.given_up;
      continue;
    }
    const SearchInfo& info = (*found)[q]->info;
    ExpectSameHits((*found)[q]->hits, (*plain)[q].hits);
    EXPECT_EQ(info.path, SearchPath::kCertifiedScan);
    EXPECT_EQ(info.rows_in_store, view.live_rows());
    EXPECT_EQ(info.rows_scored, rows.all);
    EXPECT_LE(info.rows_rescored, rows.coded);
    EXPECT_GE(info.rows_rescored + (rows.all - rows.coded), (*found)[q]->hits.size());
    EXPECT_EQ(info.exact, options.verify_checksums);
    EXPECT_FALSE(info.truncated);
    tally.rescored += info.rows_rescored;
  }
  return *std::move(plain);
}

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
      queries.push_back(Scaled(Normals(64, random), 1.01 * 0x1p-40));
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
  EXPECT_LT(tally.given_up, tally.queries / 4);
  // Rows of one centre stand out from others, as those near a random query do not.
  Tally near;
  options.k = 10;
  Compare(*store.view(), *UsableTables().front(), Metric::kCosine, options, 3,
          Queries({centres[1], centres[2]}).all(), near);
  EXPECT_EQ(near.given_up, 0u);
  EXPECT_LT(near.rescored, 2 * rows.size() / 20);
}

// More than half of the rows stay candidates: the plain scan answers.
TEST(CertifiedSearch, LeavesToThePlainScanWhatCodesDoNotRuleOut) {
  constexpr unsigned kSeed = 46;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kDot, 8192);
  const std::vector<Vector> rows(40000, Normals(8, random));
  store.PutAll(rows);
  store.Seal();
  const Queries queries({rows[0], Normals(8, random)});
  SearchOptions options;
  const SearchJob job{*store.view(), *UsableTables().front(), Metric::kDot, options, 1, Pool(),
                      queries.all()};
  const auto found = CertifiedSearch(job);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE((*found)[0].has_value());
  const auto exact = ExactSearch(*store.view(), *UsableTables().front(), Metric::kDot, options, 1,
                                 Pool(), queries.all());
  const auto plain = PlainSearch(job);
  ASSERT_TRUE(exact.ok() && plain.ok());
  for (std::size_t q = 0; q < 2; ++q) {
    ExpectSameHits((*exact)[q].hits, (*plain)[q].hits);
    EXPECT_TRUE((*exact)[q].info.exact);
  }
  EXPECT_EQ((*exact)[0].info.path, SearchPath::kPlainScan);
}

TEST(CertifiedSearch, FindsNothingWhereAllRowsAreDead) {
  constexpr unsigned kSeed = 47;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kDot);
  std::vector<Vector> rows;
  for (int i = 0; i < 2000; ++i) rows.push_back(Normals(8, random));
  store.PutAll(rows);
  store.Seal();
  for (std::size_t i = 0; i < rows.size(); ++i) store.Delete(i);
  store.Write();
  ASSERT_EQ(store.view()->live_rows(), 0u);
  Tally tally;
  SearchOptions options;
  const Queries queries({rows[0]});
  Compare(*store.view(), *UsableTables().front(), Metric::kDot, options, 2, queries.all(), tally);
  const auto found = ExactSearch(*store.view(), *UsableTables().front(), Metric::kDot, options, 2,
                                 Pool(), queries.all());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE((*found)[0].hits.empty());
}

// Without checksums nothing is promised.
TEST(CertifiedSearch, IsNotExactWithoutChecksums) {
  constexpr unsigned kSeed = 48;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  TestStore store(8, Metric::kL2Squared);
  std::vector<Vector> rows;
  for (int i = 0; i < 2000; ++i) rows.push_back(Normals(8, random));
  store.PutAll(rows);
  store.Seal();
  SearchOptions options;
  options.verify_checksums = false;
  Tally tally;
  Compare(*store.view(), *UsableTables().front(), Metric::kL2Squared, options, 1,
          Queries({rows[0]}).all(), tally);
}

// The codes of a store of another metric say nothing of this one.
TEST(CertifiedSearch, ScoresRowsWhoseCodesAreOfAnotherMetric) {
  constexpr unsigned kSeed = 49;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const Metric metric : {Metric::kCosine, Metric::kDot}) {
    TestStore store(8, metric);
    std::vector<Vector> rows;
    for (int i = 0; i < 2000; ++i) {
      rows.push_back(RowOf(kAllNorms, 8, Metric::kDot, {}, random));
    }
    store.PutAll(rows);
    store.Seal();
    for (const Metric asked : kMetrics) {
      const Queries queries({rows[5], Normals(8, random)});
      SearchOptions options;
      const SearchJob job{*store.view(), *UsableTables().front(), asked, options, 1, Pool(),
                          queries.all()};
      const auto found = CertifiedSearch(job);
      const auto plain = PlainSearch(job);
      ASSERT_TRUE(found.ok() && plain.ok());
      for (std::size_t q = 0; q < 2; ++q) {
        ASSERT_TRUE((*found)[q].has_value());
        ExpectSameHits((*found)[q]->hits, (*plain)[q].hits);
      }
    }
  }
}

// Kernels that outlast the deadline in their first call.
struct SlowKernels {
  static inline Clock::time_point deadline;
  static inline std::atomic<std::size_t> estimates = 0, scans = 0;
  static inline const engram_kernels* real = nullptr;

  static void Estimate(const engram_code_query* query, const std::uint8_t* superblocks,
                       const float* norms, std::size_t count, float* out) {
    ++estimates;
    std::this_thread::sleep_until(deadline);
    real->estimate(query, superblocks, norms, count, out);
  }
  static std::size_t Scan(const engram_code_query* query, const std::uint8_t* superblocks,
                          const float* norms, std::size_t count, std::uint32_t* rows, float* bounds,
                          std::size_t found) {
    ++scans;
    std::this_thread::sleep_until(deadline);
    return real->scan(query, superblocks, norms, count, rows, bounds, found);
  }
  static void Start(std::chrono::milliseconds time) {
    real = UsableTables().front();
    estimates = scans = 0;
    deadline = Clock::now() + time;
  }
};

class CertifiedDeadlines : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kDimension = 16;
  static constexpr std::size_t kRows = 20000;

  CertifiedDeadlines() : store_(kDimension, Metric::kDot, 1024) {
    Random random(50);
    for (std::size_t i = 0; i < kRows; ++i) rows_.push_back(Normals(kDimension, random));
    store_.PutAll(rows_);
    store_.Seal();
    options_.k = 3;
  }

  // Two rows that are never sealed.
  void AddTail() { store_.PutAll({rows_[8], rows_[9]}, kRows); }

  std::vector<SearchResults> Search(const engram_kernels& kernels, absl::Span<const Query> queries,
                                    std::uint32_t threads) {
    const auto view = store_.view();
    options_.deadline = SlowKernels::deadline;
    auto found = ExactSearch(*view, kernels, Metric::kDot, options_, threads, Pool(), queries);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : std::vector<SearchResults>();
  }

  // What was found are rows with their scores.
  void ExpectTrueHits(const SearchResults& results, const Query& query) {
    SearchOptions options;
    options.k = kRows + 2;
    const auto view = store_.view();
    const auto all = PlainSearch(
        {*view, *UsableTables().front(), Metric::kDot, options, 1, Pool(), {&query, 1}});
    ASSERT_TRUE(all.ok()) << all.status();
    std::map<MemoryId, float> scores;
    for (const Hit& hit : (*all)[0].hits) scores[hit.id] = hit.score;
    for (const Hit& hit : results.hits) EXPECT_EQ(hit.score, scores.at(hit.id));
    EXPECT_TRUE(std::is_sorted(results.hits.begin(), results.hits.end(), Better));
  }

  TestStore store_;
  std::vector<Vector> rows_;
  SearchOptions options_;
};

TEST_F(CertifiedDeadlines, OneInThePastScoresNothing) {
  SlowKernels::Start(std::chrono::milliseconds(-1));
  engram_kernels kernels = *UsableTables().front();
  kernels.estimate = &SlowKernels::Estimate;
  kernels.scan = &SlowKernels::Scan;
  const Queries one({rows_[0]});
  const std::vector<Query> queries(20000, one.all()[0]);
  for (const bool with_tail : {false, true}) {
    if (with_tail) AddTail();
    const auto results = Search(kernels, queries, 3);
    ASSERT_EQ(results.size(), queries.size());
    for (const SearchResults& result : results) {
      ASSERT_TRUE(result.info.truncated);
      ASSERT_FALSE(result.info.exact);
      ASSERT_EQ(result.info.rows_scored, 0u);
      ASSERT_TRUE(result.hits.empty());
    }
  }
  EXPECT_EQ(SlowKernels::estimates, 0u);
  EXPECT_EQ(SlowKernels::scans, 0u);
}

TEST_F(CertifiedDeadlines, OneThatPassesInTheSampleStopsALargeBatch) {
  SlowKernels::Start(std::chrono::milliseconds(300));
  engram_kernels kernels = *UsableTables().front();
  kernels.estimate = &SlowKernels::Estimate;
  kernels.scan = &SlowKernels::Scan;
  AddTail();
  const Queries query({rows_[0]});
  const std::vector<Query> queries(2000, query.all()[0]);
  const auto results = Search(kernels, queries, 1);
  // Of 64 rows each.
  EXPECT_GE(SlowKernels::estimates, 1u);
  EXPECT_LE(SlowKernels::estimates, 300u);
  EXPECT_EQ(SlowKernels::scans, 0u);
  for (const SearchResults& one : results) {
    ASSERT_TRUE(one.info.truncated);
    ASSERT_FALSE(one.info.exact);
    ASSERT_LE(one.info.rows_rescored, one.info.rows_scored);
  }
  ExpectTrueHits(results[0], queries[0]);
  ExpectTrueHits(results[1999], queries[1999]);
}

TEST_F(CertifiedDeadlines, OneThatPassesInTheScanLeavesTrueHits) {
  AddTail();
  const Queries queries({rows_[0], rows_[1], rows_[2], rows_[3]});
  for (const std::uint32_t threads : {1u, 3u}) {
    SlowKernels::Start(std::chrono::milliseconds(300));
    engram_kernels kernels = *UsableTables().front();
    kernels.scan = &SlowKernels::Scan;
    const auto results = Search(kernels, queries.all(), threads);
    // Some 100,000 floats' worth at most of the 320,000 for each query.
    EXPECT_GE(SlowKernels::scans, 1u);
    EXPECT_LE(SlowKernels::scans, 16u);
    ASSERT_EQ(results.size(), 4u);
    for (std::size_t q = 0; q < 4; ++q) {
      EXPECT_TRUE(results[q].info.truncated);
      EXPECT_FALSE(results[q].info.exact);
      EXPECT_EQ(results[q].info.path, SearchPath::kCertifiedScan);
      EXPECT_LT(results[q].info.rows_scored, kRows);
      EXPECT_LE(results[q].info.rows_rescored, results[q].info.rows_scored);
      EXPECT_LE(results[q].hits.size(), 3u);
      EXPECT_FALSE(results[q].hits.empty());
      ExpectTrueHits(results[q], queries.all()[q]);
    }
  }
}

TEST_F(CertifiedDeadlines, OneThatDoesNotPassChangesNothing) {
  SlowKernels::Start(std::chrono::hours(1));
  AddTail();
  const Queries queries({rows_[0], rows_[1]});
  for (const SearchResults& one : Search(*UsableTables().front(), queries.all(), 1)) {
    EXPECT_EQ(one.info.path, SearchPath::kCertifiedScan);
    EXPECT_TRUE(one.info.exact);
    EXPECT_FALSE(one.info.truncated);
    EXPECT_EQ(one.info.rows_scored, kRows + 2);
    EXPECT_EQ(one.hits.size(), 3u);
  }
}

}  // namespace
}  // namespace engram::engine

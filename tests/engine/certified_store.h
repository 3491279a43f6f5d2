// A store whose certified scan is compared with its plain one, and the comparison.
#ifndef ENGRAM_TESTS_ENGINE_CERTIFIED_STORE_H_
#define ENGRAM_TESTS_ENGINE_CERTIFIED_STORE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "engine/certified_search.h"
#include "engine/plain_search.h"
#include "engine/vectors.h"
#include "storage/store_files.h"
#include "tests/engine/random_vectors.h"
#include "tests/support/temp_dir.h"

namespace engram::engine {

inline constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kDot, Metric::kL2Squared};

inline Vector Scaled(Vector vector, double norm) {
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
inline Rows RowsOf(const storage::View& view) {
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

inline SearchPool& Pool() {
  static SearchPool pool(2);
  return pool;
}

// The hits have equal ids and equal bits.
inline void ExpectSameHits(const std::vector<Hit>& found, const std::vector<Hit>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].id, expected[i].id)
        << "rank " << i << ", scores " << found[i].score << " and " << expected[i].score;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(found[i].score),
              std::bit_cast<std::uint32_t>(expected[i].score))
        << "rank " << i;
  }
}

struct Tally {
  std::size_t queries = 0, given_up = 0;
  std::uint64_t rescored = 0;
};

// Both scans of all queries, compared. Returns: the plain one's answers.
inline std::vector<SearchResults> Compare(const storage::View& view, const engram_kernels& kernels,
                                          Metric metric, const SearchOptions& options,
                                          std::uint32_t threads, absl::Span<const Query> queries,
                                          Tally& tally) {
  const SearchJob job{view,
                      kernels,
                      metric,
                      options,
                      threads,
                      Pool(),
                      queries,
                      /*bytes_per_thread=*/1};
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
    if ((*found)[q].given_up) {
      ++tally.given_up;
      continue;
    }
    const SearchResults& results = (*found)[q].results;
    const SearchInfo& info = results.info;
    ExpectSameHits(results.hits, (*plain)[q].hits);
    EXPECT_EQ(info.path, SearchPath::kCertifiedScan);
    EXPECT_EQ(info.rows_in_store, view.live_rows());
    EXPECT_EQ(info.rows_scored, rows.all);
    EXPECT_LE(info.rows_rescored, rows.coded);
    EXPECT_GE(info.rows_rescored + (rows.all - rows.coded), results.hits.size());
    EXPECT_EQ(info.exact, options.verify_checksums);
    EXPECT_FALSE(info.truncated);
    tally.rescored += info.rows_rescored;
  }
  return *std::move(plain);
}

}  // namespace engram::engine

#endif  // ENGRAM_TESTS_ENGINE_CERTIFIED_STORE_H_

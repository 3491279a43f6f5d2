// The scan: what a deadline stops, batches too, and that one row scored alone has the bits
// that the scan gives it.
#include "engine/exact_search.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <random>
#include <thread>

#include "engine/vectors.h"
#include "kernels/dispatch.h"
#include "storage/store_files.h"
#include "tests/support/temp_dir.h"

namespace engram::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Rows 0, 1, ... of a store without a meaning of their own.
std::unique_ptr<storage::StoreFiles> FilesWith(const std::string& path, std::uint32_t dimension,
                                               const std::vector<std::vector<float>>& rows) {
  storage::FilesOptions options;
  options.dimension = dimension;
  options.metric = static_cast<std::uint8_t>(Metric::kDot);
  options.create_if_missing = true;
  auto files = storage::StoreFiles::Open(options, path);
  EXPECT_TRUE(files.ok()) << files.status();
  std::vector<storage::Change> changes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    changes.push_back({.kind = storage::Change::Kind::kPut,
                       .id = i,
                       .vector = rows[i],
                       .norm = static_cast<float>(Norm(rows[i])),
                       .bytes = {}});
  }
  const absl::Status written = (*files)->Write({}, changes);
  EXPECT_TRUE(written.ok()) << written;
  return *std::move(files);
}

Query QueryOf(const std::vector<float>& vector) {
  return {.vector = vector, .norm = static_cast<float>(Norm(vector))};
}

// A dot kernel that outlasts the deadline in its first call.
struct SlowKernel {
  static inline Clock::time_point deadline;
  static inline std::size_t calls = 0;
  static void Dot(const float*, const float*, std::size_t count, std::size_t, std::size_t,
                  float* out) {
    ++calls;
    std::this_thread::sleep_until(deadline);
    for (std::size_t i = 0; i < count; ++i) out[i] = 1.0f;
  }
};

TEST(ExactSearch, ADeadlineThatPassesStopsALargeBatchInItsFirstPiece) {
  constexpr std::uint32_t kDimension = 8;
  constexpr std::size_t kQueries = 50000, kRows = 2000;
  testing::TempDir dir;
  const auto files = FilesWith(dir / "s", kDimension, std::vector(kRows, std::vector(8, 1.0f)));
  const std::vector<float> query(kDimension, 1.0f);
  const std::vector<Query> queries(kQueries, QueryOf(query));
  engram_kernels kernels = *kernels::FindKernels("");
  kernels.dot = &SlowKernel::Dot;
  SearchPool pool(0);
  SearchOptions options;
  options.k = 3;
  options.deadline = SlowKernel::deadline = Clock::now() + std::chrono::milliseconds(300);
  SlowKernel::calls = 0;
  const auto results =
      ExactSearch(*files->CurrentView(), kernels, Metric::kDot, options, 1, pool, queries);
  ASSERT_TRUE(results.ok()) << results.status();
  const std::size_t scored = SlowKernel::calls;
  EXPECT_GE(scored, 1u);
  // Of 256 rows each: some hundred thousand floats at most, and not those of 50,000 queries.
  EXPECT_LE(scored, 16u);
  for (std::size_t q = 0; q < kQueries; ++q) {
    ASSERT_TRUE((*results)[q].info.truncated);
    ASSERT_FALSE((*results)[q].info.exact);
    ASSERT_EQ((*results)[q].info.rows_scored, q < scored ? 256u : 0u);
    ASSERT_EQ((*results)[q].hits.size(), q < scored ? 3u : 0u);
  }
}

TEST(ExactSearch, ADeadlineInThePastScoresNothing) {
  testing::TempDir dir;
  const auto files = FilesWith(dir / "s", 8, std::vector(2000, std::vector(8, 1.0f)));
  const std::vector<float> query(8, 1.0f);
  const std::vector<Query> queries(50000, QueryOf(query));
  SearchPool pool(2);
  SearchOptions options;
  options.deadline = Clock::now() - std::chrono::seconds(1);
  const auto results = ExactSearch(*files->CurrentView(), *kernels::FindKernels(""), Metric::kDot,
                                   options, 3, pool, queries);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const SearchResults& one : *results) {
    ASSERT_TRUE(one.info.truncated);
    ASSERT_EQ(one.info.rows_scored, 0u);
    ASSERT_TRUE(one.hits.empty());
  }
}

// Norms from the least to the largest f32, so that some rows are scored in double.
std::vector<std::vector<float>> RowsOfAllSizes(std::mt19937_64& random, std::uint32_t dimension) {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-110, 120);
  std::vector<std::vector<float>> rows(1000, std::vector<float>(dimension));
  for (auto& row : rows) {
    const int size = random() % 2 == 0 ? 0 : exponent(random);
    for (float& value : row) value = std::ldexp(normal(random), size);
  }
  return rows;
}

TEST(ExactSearch, ScoreRowHasTheBitsOfTheScanWithAnyNumberOfThreads) {
  constexpr unsigned kSeed = 5;
  std::printf("seed %u\n", kSeed);
  std::mt19937_64 random(kSeed);
  SearchPool pool(3);
  for (const std::uint32_t dimension : {1u, 7u, 100u, 3001u}) {
    testing::TempDir dir;
    const auto rows = RowsOfAllSizes(random, dimension);
    const auto files = FilesWith(dir / "s", dimension, rows);
    ASSERT_TRUE(files->Seal().ok());
    const auto view = files->CurrentView();
    for (const kernels::Choice& choice : kernels::AllKernels()) {
      if (!choice.usable) continue;
      for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2Squared}) {
        SCOPED_TRACE(choice.table->name);
        const Query query = QueryOf(rows[random() % rows.size()]);
        std::map<MemoryId, std::uint32_t> bits;
        for (std::size_t s = 0; s < view->slice_count(); ++s) {
          const storage::RowSlice slice = view->slice(s);
          for (std::uint32_t i = 0; i < slice.count; ++i) {
            const float score = ScoreRow(*choice.table, metric, query, slice, i);
            bits[slice.ids[i]] = std::bit_cast<std::uint32_t>(score);
          }
        }
        SearchOptions options;
        options.k = 1000;
        for (const std::uint32_t threads : {1u, 4u}) {
          const auto found =
              ExactSearch(*view, *choice.table, metric, options, threads, pool, {&query, 1});
          ASSERT_TRUE(found.ok()) << found.status();
          ASSERT_EQ((*found)[0].hits.size(), bits.size());
          for (const Hit& hit : (*found)[0].hits) {
            ASSERT_EQ(std::bit_cast<std::uint32_t>(hit.score), bits.at(hit.id)) << hit.score;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace engram::engine

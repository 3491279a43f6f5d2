// How many files stay and how often a row is written, over many seals.
#include "storage/merge_runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>
#include <vector>

namespace engram::storage {
namespace {

constexpr std::uint64_t kFull = 4096;

std::vector<MergeCandidate> Files(const std::vector<std::uint64_t>& rows) {
  std::vector<MergeCandidate> files;
  for (const std::uint64_t n : rows) files.push_back({.rows = n});
  return files;
}

// Adds files as seals do and merges as maintenance does.
struct Model {
  std::vector<MergeCandidate> files;
  std::vector<int> written;  // how often that row of a file was that was most often
  std::uint64_t rows = 0;
  int most_written = 0;

  void Add(std::uint64_t added) {
    files.push_back({.rows = added});
    rows += added;
    written.push_back(1);
    for (MergeRun run; (run = FindMergeRun(files, kFull)).count > 0;) Merge(run);
    most_written = std::max(most_written, *std::max_element(written.begin(), written.end()));
  }
  void Merge(const MergeRun& run) {
    std::uint64_t together = 0;
    int most = 0;
    for (std::size_t i = run.begin; i < run.begin + run.count; ++i) {
      together += files[i].rows;
      most = std::max(most, written[i]);
    }
    ASSERT_LE(together, kFull);
    const auto at = static_cast<std::ptrdiff_t>(run.begin);
    const auto end = at + static_cast<std::ptrdiff_t>(run.count);
    files.erase(files.begin() + at + 1, files.begin() + end);
    written.erase(written.begin() + at + 1, written.begin() + end);
    files[run.begin].rows = together;
    written[run.begin] = most + 1;
  }
};

void ExpectBounded(const Model& model) {
  EXPECT_LE(model.most_written, std::bit_width(kFull));
  std::printf("%zu files of %g full ones, written %d times\n", model.files.size(),
              static_cast<double>(model.rows) / kFull, model.most_written);
  EXPECT_LE(model.files.size(), 32 + 4 * model.rows / kFull);
}

TEST(MergeRuns, SealsOfOneRowAreWrittenALogarithmicNumberOfTimes) {
  Model model;
  for (int i = 0; i < 50000; ++i) model.Add(1);
  ExpectBounded(model);
}

TEST(MergeRuns, SoAreSealsOfAnySize) {
  constexpr unsigned kSeed = 11;
  std::printf("seed %u\n", kSeed);
  std::mt19937_64 random(kSeed);
  Model model;
  for (int i = 0; i < 20000; ++i) model.Add(std::uint64_t{1} << random() % 11);
  ExpectBounded(model);
  // As large imports do that leave a remainder.
  Model imports;
  for (int i = 0; i < 2000; ++i) {
    for (std::uint64_t n = random() % 5; n > 0; --n) imports.Add(kFull / 4);
    imports.Add(1 + random() % (kFull / 4 - 1));
  }
  ExpectBounded(imports);
}

TEST(MergeRuns, AFewFilesAreMergedOnlyWhenTheyFillOne) {
  EXPECT_EQ(FindMergeRun(Files({10, 10, 10, 10, 10, 10, 10}), kFull).count, 0u);
  EXPECT_EQ(FindMergeRun(Files({10, 10, 10, 10, 10, 10, 10, 10}), kFull).count, 8u);
  EXPECT_EQ(FindMergeRun(Files({800, 800, 800}), kFull).count, 3u);
  EXPECT_EQ(FindMergeRun(Files({1000, 1000}), kFull).count, 0u);
  EXPECT_EQ(FindMergeRun(Files({1000, 1, 1, 1, 1, 1, 1, 1}), kFull).count, 0u);
  EXPECT_EQ(FindMergeRun(Files({1024, 1024, 1024, 1024}), kFull).count, 0u);
  EXPECT_EQ(FindMergeRun(Files({1024, 9, 1024, 9, 1024}), kFull).count, 5u);
  EXPECT_EQ(FindMergeRun({}, kFull).count, 0u);
}

TEST(MergeRuns, WhatIsApartStaysApart) {
  std::vector<MergeCandidate> files = Files(std::vector<std::uint64_t>(16, 10));
  files[5].apart = true;
  const MergeRun run = FindMergeRun(files, kFull);
  EXPECT_EQ(run.begin, 5u);
  EXPECT_EQ(run.count, 11u);
}

TEST(MergeRuns, AFullFileIsBoundedInBytes) {
  EXPECT_EQ(RowsOfFullFile({.dimension = 4, .rows_per_block = 64}), 64u * 64u);
  EXPECT_EQ(RowsOfFullFile({.dimension = 65536, .rows_per_block = 64}), 8u * 64u);
  EXPECT_EQ(RowsOfFullFile({.dimension = 65536, .rows_per_block = 4096}), 4096u);
}

}  // namespace
}  // namespace engram::storage

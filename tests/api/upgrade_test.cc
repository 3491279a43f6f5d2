// Stores of before there were codes: read and searched as they are, and given codes by Compact
// alone.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>

#include "engram/engram.h"
#include "storage/format/record_format.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using storage::ColumnKind;

constexpr std::uint32_t kDimension = 16;
constexpr MemoryId kRows = 5000;

class Upgrade : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    for (MemoryId begin = 0; begin < kRows; begin += kRows / 2) Import(begin, begin + kRows / 2);
    for (int i = 0; i < 5; ++i) queries_.push_back(RandomVector());
    for (const auto& query : queries_) before_.push_back(Search(query, false).hits);
    store_.reset();
    testing::StoreSurgery(path_).DropCodes();
    Open();
  }

  void Open() {
    StoreOptions options;
    options.dimension = kDimension;
    options.rows_per_block = 1024;
    options.create_if_missing = true;
    store_.reset();
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::vector<float> RandomVector() {
    std::normal_distribution<float> normal;
    std::vector<float> vector(kDimension);
    for (float& x : vector) x = normal(random_);
    return vector;
  }
  void Import(MemoryId begin, MemoryId end) {
    std::vector<float> vector;
    const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (begin == end) return false;
      vector = RandomVector();
      row->id = begin++;
      row->vector = vector;
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(store_->Seal().ok());
  }
  SearchResults Search(const std::vector<float>& query, bool plain) {
    SearchOptions options;
    options.plain = plain;
    const auto found = store_->Search(options, query);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : SearchResults();
  }
  // The answers are those of before, found by `path`.
  void ExpectAnswers(SearchPath path) {
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      const SearchResults found = Search(queries_[q], false);
      EXPECT_EQ(found.info.path, path);
      EXPECT_TRUE(found.info.exact);
      ASSERT_EQ(found.hits.size(), before_[q].size());
      for (std::size_t i = 0; i < found.hits.size(); ++i) {
        EXPECT_EQ(found.hits[i].id, before_[q][i].id);
        EXPECT_EQ(std::memcmp(&found.hits[i].score, &before_[q][i].score, sizeof(float)), 0);
      }
    }
    const auto report = store_->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
  }
  // Table files of blocks: a file that is written anew has another name.
  std::set<std::string> BlockFiles() const {
    std::set<std::string> files;
    for (const std::string& path : testing::TableFiles(path_)) {
      if (testing::ReadFile(path).find("EBLK") != std::string::npos) files.insert(path);
    }
    return files;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "store";
  std::mt19937 random_{7};
  std::unique_ptr<Store> store_;
  std::vector<std::vector<float>> queries_;
  std::vector<std::vector<Hit>> before_;
};

TEST_F(Upgrade, StoresWithoutCodesAreSearchedPlainly) {
  EXPECT_EQ(store_->Stats().coded_rows, 0u);
  EXPECT_EQ(store_->Stats().bytes_codes, 0u);
  EXPECT_EQ(store_->Stats().rows, kRows);
  ExpectAnswers(SearchPath::kPlainScan);
}

TEST_F(Upgrade, CompactGivesFilesCodesOnce) {
  ASSERT_TRUE(store_->Compact({}).ok());
  EXPECT_EQ(store_->Stats().coded_rows, kRows);
  EXPECT_GT(store_->Stats().bytes_codes, kRows * kDimension);
  ExpectAnswers(SearchPath::kCertifiedScan);
  const std::set<std::string> files = BlockFiles();
  ASSERT_TRUE(store_->Compact({}).ok());
  EXPECT_EQ(BlockFiles(), files);
  store_.reset();
  {
    testing::StoreSurgery surgery(path_);
    const std::vector<storage::FileEntry> entries = surgery.FileEntries();
    EXPECT_EQ(entries.size(), 2u);
    for (const storage::FileEntry& entry : entries) {
      for (const ColumnKind column : {ColumnKind::kCode, ColumnKind::kFineCode}) {
        EXPECT_NE(std::find(entry.columns.begin(), entry.columns.end(), column),
                  entry.columns.end());
      }
    }
  }
  Open();
  ExpectAnswers(SearchPath::kCertifiedScan);
}

TEST_F(Upgrade, NothingElseRewritesFilesForCodes) {
  const std::set<std::string> files = BlockFiles();
  CompactOptions options;
  options.min_dead_fraction = 1e-9;
  ASSERT_TRUE(store_->Compact(options).ok());
  EXPECT_EQ(BlockFiles(), files);
  // What is sealed from now on has codes, and files of both kinds are searched together.
  Import(kRows, kRows + 2000);
  EXPECT_EQ(store_->Stats().coded_rows, 2000u);
  const std::set<std::string> more = BlockFiles();
  EXPECT_TRUE(std::includes(more.begin(), more.end(), files.begin(), files.end()));
  for (const auto& query : queries_) {
    const SearchResults found = Search(query, false), plain = Search(query, true);
    EXPECT_EQ(found.info.path, SearchPath::kPlainScan);  // most rows have none
    ASSERT_EQ(found.hits.size(), plain.hits.size());
  }
  Import(kRows + 2000, kRows + 7000);
  for (const auto& query : queries_) {
    const SearchResults found = Search(query, false), plain = Search(query, true);
    EXPECT_EQ(found.info.path, SearchPath::kCertifiedScan);
    EXPECT_EQ(plain.info.path, SearchPath::kPlainScan);
    ASSERT_EQ(found.hits.size(), plain.hits.size());
    for (std::size_t i = 0; i < found.hits.size(); ++i) {
      EXPECT_EQ(found.hits[i].id, plain.hits[i].id);
      EXPECT_EQ(found.hits[i].score, plain.hits[i].score);
    }
  }
}

}  // namespace
}  // namespace engram

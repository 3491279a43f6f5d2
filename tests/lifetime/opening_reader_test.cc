// A reader that is just opening a store finds every file it has read of, whatever the writer does.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engram/engram.h"
#include "storage/database.h"
#include "storage/reader_gate.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

constexpr MemoryId kRows = 600;

std::set<std::string> FilesIn(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".sst") || name.ends_with(".log") || name.starts_with("MANIFEST-")) {
      names.insert(name);
    }
  }
  return names;
}

class OpeningReader : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    StoreOptions options;
    options.dimension = 8;
    options.create_if_missing = true;
    options.rows_per_block = 64;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Rows and edges anew, sealed and compacted: every table file there was is replaced.
  void ReplaceAll() {
    WriteBatch batch;
    for (MemoryId id = 0; id < kRows; ++id) {
      batch.Put(id, std::vector<float>{1, 2, 3, 4, 5, 6, 7, static_cast<float>(++puts_)});
      batch.PutEdge({.from = id, .to = (id + puts_) % (id + 1)});
    }
    for (const absl::Status& status :
         {store_->Write({}, batch), store_->Seal(), store_->Compact({})}) {
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  bool HasAll(const std::set<std::string>& names) const {
    const std::set<std::string> there = FilesIn(path_);
    return std::includes(there.begin(), there.end(), names.begin(), names.end());
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::unique_ptr<Store> store_;
  std::uint64_t puts_ = 0;
};

TEST_F(OpeningReader, FindsWhatTheWriterReplaces) {
  ReplaceAll();
  const std::set<std::string> before = FilesIn(path_);
  std::optional<storage::ReaderPass> pass(path_);
  ASSERT_TRUE(pass->holds());
  ReplaceAll();
  EXPECT_TRUE(HasAll(before));
  // They are in the manifest as well, by which the reader goes.
  const auto opened = storage::Database::Open({.read_only = true}, path_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::vector<rocksdb::LiveFileMetaData> live;
  (*opened)->db().GetLiveFilesMetaData(&live);
  std::set<std::string> named;
  for (const rocksdb::LiveFileMetaData& file : live) {
    if (file.column_family_name == storage::FamilyName(storage::Family::kBlocks)) {
      named.insert(file.name.substr(1));
    }
  }
  bool any = false;
  for (const std::string& name : before) any |= named.contains(name);
  EXPECT_TRUE(any);
  pass.reset();
  // By itself, soon: nothing else happens here.
  for (int i = 0; i < 500 && HasAll(before); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(HasAll(before));
  const auto report = store_->Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
}

TEST_F(OpeningReader, FindsTheFilesOfAWriterThatOpensAndCloses) {
  ReplaceAll();
  store_.reset();
  const std::set<std::string> before = FilesIn(path_);
  std::optional<storage::ReaderPass> pass(path_);
  Open();  // with a manifest and a log of its own
  ReplaceAll();
  store_.reset();
  EXPECT_TRUE(HasAll(before));
  pass.reset();
  Open();
  store_.reset();
  for (const std::string& name : before) {
    const bool may_be_in_use = name.ends_with(".sst");
    EXPECT_TRUE(may_be_in_use || !fs::exists(path_ + "/" + name)) << name;
  }
  EXPECT_FALSE(HasAll(before));
}

// File numbers begin anew in the same place.
TEST_F(OpeningReader, TakesNoFileFromAStoreThatWasMadeAnew) {
  ReplaceAll();
  std::optional<storage::ReaderPass> pass(path_);
  ReplaceAll();
  store_.reset();
  ASSERT_TRUE(Store::Destroy(path_).ok());
  Open();
  ReplaceAll();
  pass.reset();
  ReplaceAll();
  store_.reset();
  Open();
  const auto report = store_->Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
  EXPECT_EQ(store_->Stats().rows, kRows);
}

}  // namespace
}  // namespace engram

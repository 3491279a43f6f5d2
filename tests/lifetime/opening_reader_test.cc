// A reader that is just opening a store finds every file it has read of, whatever the writer does.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
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

// Those that readers open by what they read before.
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

// The table files of blocks and edges that the manifest names.
std::set<std::string> ColumnFiles(const std::string& path) {
  std::set<std::string> names;
  const auto opened = storage::Database::Open({.read_only = true}, path);
  EXPECT_TRUE(opened.ok()) << opened.status();
  if (!opened.ok()) return names;
  std::vector<rocksdb::LiveFileMetaData> live;
  (*opened)->db().GetLiveFilesMetaData(&live);
  for (const rocksdb::LiveFileMetaData& file : live) {
    const std::string& family = file.column_family_name;
    if (family == storage::FamilyName(storage::Family::kBlocks) ||
        family == storage::FamilyName(storage::Family::kEdges)) {
      names.insert(file.name.substr(1));
    }
  }
  return names;
}

bool Includes(const std::set<std::string>& all, const std::set<std::string>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// While it lives no file takes a byte.
class NoRoomInFiles {
 public:
  NoRoomInFiles() : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit none = before_;
    none.rlim_cur = 0;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~NoRoomInFiles() {
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, signal_);
  }
  NoRoomInFiles(const NoRoomInFiles&) = delete;
  NoRoomInFiles& operator=(const NoRoomInFiles&) = delete;

 private:
  void (*signal_)(int);
  rlimit before_{};
};

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

  // By itself, soon: nothing else happens here.
  void ExpectGone(const std::set<std::string>& names) {
    for (const std::string& name : names) {
      const std::string path = path_ + "/" + name;
      for (int i = 0; i < 500 && fs::exists(path); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      EXPECT_FALSE(fs::exists(path)) << name;
    }
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::unique_ptr<Store> store_;
  std::uint64_t puts_ = 0;
};

TEST_F(OpeningReader, FindsWhatTheWriterReplaces) {
  ReplaceAll();
  std::optional<storage::ReaderPass> pass(path_);
  ASSERT_TRUE(pass->holds());
  const std::set<std::string> before = FilesIn(path_), columns = ColumnFiles(path_);
  ASSERT_GE(columns.size(), 2u);
  ReplaceAll();
  EXPECT_TRUE(Includes(FilesIn(path_), before));
  EXPECT_TRUE(Includes(ColumnFiles(path_), columns));  // the catalog of before still fits
  pass.reset();
  ExpectGone(columns);
  const auto report = store_->Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
}

TEST_F(OpeningReader, FindsTheFilesOfAWriterThatOpensAndCloses) {
  ReplaceAll();
  store_.reset();
  std::optional<storage::ReaderPass> pass(path_);
  const std::set<std::string> before = FilesIn(path_), columns = ColumnFiles(path_);
  Open();  // with a manifest and a log of its own
  ReplaceAll();
  store_.reset();
  EXPECT_TRUE(Includes(FilesIn(path_), before));
  EXPECT_TRUE(Includes(ColumnFiles(path_), columns));
  pass.reset();
  Open();
  ExpectGone(columns);
  std::set<std::string> logs_and_manifests;
  for (const std::string& name : before) {
    if (!name.ends_with(".sst")) logs_and_manifests.insert(name);
  }
  ExpectGone(logs_and_manifests);
}

TEST_F(OpeningReader, LeavesNothingBehindASeal) {
  ReplaceAll();
  std::optional<storage::ReaderPass> pass(path_);
  const std::set<std::string> columns = ColumnFiles(path_);
  WriteBatch batch;
  batch.PutEdge({.from = 1, .to = 2});
  ASSERT_TRUE(store_->Write({}, batch).ok());
  ASSERT_TRUE(store_->Seal().ok());
  EXPECT_TRUE(Includes(ColumnFiles(path_), columns));
  pass.reset();
  // Of the two, the file of edges.
  for (int i = 0; i < 1000 && Includes(FilesIn(path_), columns); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(Includes(FilesIn(path_), columns));
}

// What the log could not take is in memory all the same, and no view may be made over it: here what
// stays for a reader is mapped again.
TEST_F(OpeningReader, KeepsNoStateThatWasNotCommitted) {
  ReplaceAll();
  const auto before = store_->Get({}, 1);
  ASSERT_TRUE(before.ok()) << before.status();
  std::optional<storage::ReaderPass> pass(path_);
  WriteBatch batch;
  batch.Put(2, std::vector<float>(8, 2.0f));
  ASSERT_TRUE(store_->Write({}, batch).ok());
  ASSERT_TRUE(store_->Seal().ok());
  ASSERT_TRUE(store_->Compact({}).ok());
  {
    const NoRoomInFiles full;
    EXPECT_FALSE(store_->Put({}, 1, std::vector<float>(8, 1.0f), std::string(4096, 'p')).ok());
    EXPECT_FALSE(store_->Put({}, kRows, std::vector<float>(8, 1.0f)).ok());
  }
  pass.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto now = store_->Get({}, 1);
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(now->vector, before->vector);
  EXPECT_TRUE(absl::IsNotFound(store_->Get({}, kRows).status()));
  EXPECT_TRUE(store_->Verify({})->findings.empty());
  store_.reset();
  Open();
  EXPECT_TRUE(store_->Verify({})->findings.empty());
}

// The writer is told: a reader that comes while files go waits until they have.
TEST_F(OpeningReader, TellsTheWriterThatItOpens) {
  ReplaceAll();
  storage::ReaderGate gate(path_);
  std::optional<storage::ReaderGate::Closed> closed(std::in_place, gate);
  ASSERT_TRUE(*closed);
  std::atomic<bool> opened{false};
  std::thread reader([&] {
    StoreOptions options;
    options.read_only = true;
    EXPECT_TRUE(Store::Open(options, path_).ok());
    opened = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(opened);
  closed.reset();
  reader.join();
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

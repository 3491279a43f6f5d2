#include "storage/reader_gate.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "storage/store_file_system.h"
#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

namespace fs = std::filesystem;

class StoreFileSystemTest : public ::testing::Test {
 protected:
  StoreFileSystemTest() { fs::create_directory(path_); }

  std::string Make(const std::string& name) {
    const std::string path = path_ + "/" + name;
    std::ofstream(path) << "bytes";
    return path;
  }
  static void Delete(StoreFileSystem& files, const std::string& path) {
    EXPECT_TRUE(files.DeleteFile(path, {}, nullptr).ok()) << path;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
};

using ReaderGateTest = StoreFileSystemTest;

TEST_F(ReaderGateTest, ClosesOnlyWhileNobodyIsInside) {
  ReaderGate gate(path_);
  std::optional<ReaderPass> first(path_), second(path_);
  EXPECT_TRUE(first->holds());
  EXPECT_TRUE(second->holds());
  EXPECT_FALSE(ReaderGate::Closed(gate));
  first.reset();
  EXPECT_FALSE(ReaderGate::Closed(gate));
  second.reset();
  EXPECT_TRUE(ReaderGate::Closed(gate));
  EXPECT_TRUE(ReaderPass(path_).holds());
}

TEST_F(ReaderGateTest, StaysClosedUntilTheLastOfItsClosersIsGone) {
  ReaderGate gate(path_);
  std::optional<ReaderGate::Closed> outer(std::in_place, gate);
  ASSERT_TRUE(*outer);
  EXPECT_TRUE(ReaderGate::Closed(gate));
  ReaderGate other(path_);
  EXPECT_FALSE(ReaderGate::Closed(other));
  outer.reset();
  EXPECT_TRUE(ReaderGate::Closed(other));
}

TEST_F(ReaderGateTest, ReaderWaitsForAClosedGateAndNotForEver) {
  ReaderGate gate(path_);
  std::optional<ReaderGate::Closed> closed(std::in_place, gate);
  EXPECT_FALSE(ReaderPass(path_).holds());
  std::thread opens_again([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    closed.reset();
  });
  EXPECT_TRUE(ReaderPass(path_).holds());
  opens_again.join();
}

TEST_F(ReaderGateTest, ReaderThatWentOnWithoutTriesAgain) {
  ReaderGate gate(path_);
  std::optional<ReaderGate::Closed> closed(std::in_place, gate);
  ReaderPass pass(path_);
  pass.TryAgain();
  EXPECT_FALSE(pass.holds());
  closed.reset();
  pass.TryAgain();
  EXPECT_TRUE(pass.holds());
  EXPECT_FALSE(ReaderGate::Closed(gate));
}

TEST_F(ReaderGateTest, WhereThereIsNoLockNobodyWaits) {
  const std::string nowhere = path_ + "/nowhere";
  EXPECT_FALSE(ReaderPass(nowhere).holds());
  ReaderGate gate(nowhere);
  EXPECT_TRUE(ReaderGate::Closed(gate));
}

TEST_F(StoreFileSystemTest, FilesStayWhileAReaderIsInsideAndGoAfterwards) {
  ReaderGate gate(path_);
  StoreFileSystem files(&gate);
  int told = 0;
  files.OnDeferred([&] { ++told; });
  const std::string table = Make("000007.sst"), log = Make("000008.log"),
                    manifest = Make("MANIFEST-000009"), options = Make("OPTIONS-000010");
  {
    const ReaderPass pass(path_);
    for (const std::string& path : {table, log, manifest, options}) Delete(files, path);
    Delete(files, table);  // RocksDB may come across it again
    EXPECT_TRUE(files.DeleteDeferred());
    for (const std::string& path : {table, log, manifest}) EXPECT_TRUE(fs::exists(path)) << path;
    EXPECT_FALSE(fs::exists(options)) << "no reader reads it";
    EXPECT_EQ(told, 4);
  }
  EXPECT_FALSE(files.DeleteDeferred());
  for (const std::string& path : {table, log, manifest}) EXPECT_FALSE(fs::exists(path)) << path;
  Delete(files, Make("000011.sst"));
  EXPECT_FALSE(fs::exists(path_ + "/000011.sst"));
}

TEST_F(StoreFileSystemTest, NoReaderKeepsAFileForEver) {
  ReaderGate gate(path_);
  StoreFileSystem files(&gate, /*patience=*/std::chrono::milliseconds(1));
  const ReaderPass pass(path_);
  const std::string table = Make("000007.sst");
  Delete(files, table);
  EXPECT_TRUE(fs::exists(table));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_FALSE(files.DeleteDeferred());
  EXPECT_FALSE(fs::exists(table));
}

TEST_F(StoreFileSystemTest, WhoHoldsFilesKeepsThemAll) {
  ReaderGate gate(path_);
  StoreFileSystem files(&gate, /*patience=*/std::chrono::milliseconds(0));
  const std::string log = Make("000008.log");
  {
    const StoreFileSystem::Hold hold(files);
    Delete(files, log);
    EXPECT_TRUE(files.DeleteDeferred());
    EXPECT_TRUE(fs::exists(log));
  }
  int told = 0;
  files.OnDeferred([&] { ++told; });
  EXPECT_EQ(told, 1) << "one waits already";
  files.Defer();
  EXPECT_EQ(told, 2);
  EXPECT_FALSE(files.DeleteDeferred());
  EXPECT_FALSE(fs::exists(log));
}

}  // namespace
}  // namespace engram::storage

// A log that is torn at any byte, written on and torn again: what was acknowledged in between
// stays. ENGRAM_LONG=1 takes every byte.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <random>
#include <string>

#include "tests/power/disk_image.h"
#include "tests/power/places.h"
#include "tests/power/script.h"
#include "tests/power/store_model.h"
#include "tests/power/watched_disk.h"
#include "tests/support/temp_dir.h"

namespace engram::power {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kStride = 41;
constexpr MemoryId kSafe = 2, kFirst = 6;

absl::Status Put(Store& store, MemoryId id, Durability durability) {
  WriteOptions options;
  options.durability = durability;
  return store.Put(options, id, VectorOf(id), PayloadOf(id));
}

std::string NewestLog(const std::string& path) {
  std::string newest;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
  }
  return newest;
}

// Expects all of `first`, and nothing missing of what was put one after the other. Returns: how
// many of these there are.
MemoryId CountFrom(const Store& store, MemoryId first) {
  MemoryId next = first;
  const auto it = store.NewIterator({});
  for (it->Seek(first); it->Valid(); it->Next(), ++next) {
    EXPECT_EQ(it->id(), next);
    EXPECT_EQ(it->payload(), PayloadOf(it->id()));
  }
  EXPECT_TRUE(it->status().ok()) << it->status();
  return next - first;
}

class TornLog : public ::testing::Test {
 protected:
  // A store with a log of which the first kSafe memories were synced. Sets safe_bytes_.
  void Make(const std::string& path) {
    auto store = Store::Open(ScriptOptions(), path);
    ASSERT_TRUE(store.ok()) << store.status();
    for (MemoryId id = 0; id < kFirst; ++id) {
      const auto durability = id < kSafe ? Durability::kPower : Durability::kProcess;
      ASSERT_TRUE(Put(**store, id, durability).ok());
      if (id + 1 == kSafe) safe_bytes_ = fs::file_size(NewestLog(path));
    }
    bytes_ = fs::file_size(NewestLog(path));
    fs::copy(path, dir_ / "made");
  }

  // Writes on in `root`/s, with power loss at the end, in `left`. Sets kept_.
  void WriteOn(const std::string& root, const std::string& left) {
    disk_.Begin(root);
    std::size_t end = 0;
    {
      const auto store = Store::Open(ScriptOptions(), root + "/s");
      EXPECT_TRUE(store.ok()) << store.status();
      if (!store.ok()) return disk_.End();
      kept_ = CountFrom(**store, 0);
      EXPECT_GE(kept_, kSafe);
      for (MemoryId id = 0; id < 4; ++id) {
        const auto durability = id < 2 ? Durability::kPower : Durability::kProcess;
        EXPECT_TRUE(Put(**store, 100 + id, durability).ok());
      }
      end = disk_.size();
    }
    disk_.End();
    DiskImage image(Names::kByDirectory, disk_.initial());
    for (std::size_t i = 0; i < end; ++i) image.Apply(disk_.changes()[i]);
    image.Build(left, random_() % 2 == 0 ? Loss::kTorn : Loss::kSome, random_);
  }

  const testing::TempDir dir_{Parent()};
  WatchedDisk& disk_ = WatchedDisk::Get();
  std::mt19937 random_{41};
  std::uint64_t safe_bytes_ = 0, bytes_ = 0;
  MemoryId kept_ = 0;
};

TEST_F(TornLog, IsWrittenOnAndTornAgain) {
  Make(dir_ / "s");
  ASSERT_FALSE(HasFailure());
  ASSERT_GT(bytes_, safe_bytes_);
  std::uint64_t cases = 0;
  for (std::uint64_t at = safe_bytes_; at <= bytes_ && !HasFailure();
       at += IsLong() ? 1 : kStride) {
    SCOPED_TRACE("seed 41, torn at byte " + std::to_string(at));
    const std::string root = dir_ / "disk", left = dir_ / "left";
    fs::create_directory(root);
    fs::copy(dir_ / "made", root + "/s");
    fs::resize_file(NewestLog(root + "/s"), at);
    WriteOn(root, left);
    auto store = Store::Open(ScriptOptions(), left + "/s");
    ASSERT_TRUE(store.ok()) << store.status();
    for (MemoryId id = 0; id < kept_; ++id) EXPECT_TRUE((*store)->Get({}, id).ok()) << id;
    EXPECT_GE(CountFrom(**store, 100), 2u);
    EXPECT_TRUE((*store)->Verify({})->findings.empty());
    store->reset();  // before its files go
    fs::remove_all(root);
    fs::remove_all(left);
    ++cases;
  }
  std::printf("seed 41, %llu cases\n", static_cast<unsigned long long>(cases));
}

}  // namespace
}  // namespace engram::power

// Calls that fail: each call of a script, by itself or with all after it. ENGRAM_LONG=1 takes
// every call, not every n-th; ENGRAM_POWER_CALL=N begins with the N-th.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/power/disk_image.h"
#include "tests/power/places.h"
#include "tests/power/script.h"
#include "tests/power/watched_disk.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram::power {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kStride = 24;

struct Kind {
  const char* name;
  Fault fault;
};

class FailingCalls : public ::testing::TestWithParam<Kind> {
 protected:
  // Runs the script with `fault`. Returns: how many calls were counted.
  std::uint64_t RunWith(const Fault& fault);

  void CheckPowerLoss(ScriptRun& run, std::size_t end);

  const testing::TempDir dir_{Parent()};
  WatchedDisk& disk_ = WatchedDisk::Get();
  std::mt19937 random_{31};
  std::uint64_t failed_calls_ = 0, failed_steps_ = 0, runs_ = 0;
};

std::uint64_t FailingCalls::RunWith(const Fault& fault) {
  SCOPED_TRACE("call " + std::to_string(fault.at));
  const std::string root = dir_ / "disk";
  fs::create_directory(root);
  disk_.Begin(root);
  std::uint64_t counted = 0;
  {
    ScriptRun run(root);
    disk_.Arm(fault);
    failed_steps_ += run.Run();
    counted = disk_.counted();
    const std::size_t end = disk_.size();
    const absl::Status closed = run.Close();
    failed_calls_ += disk_.Disarm();
    disk_.End();
    EXPECT_TRUE(fault.error != ENOSPC || run.first_failure().ok() ||
                absl::IsResourceExhausted(run.first_failure()))
        << run.first_failure();
    if (!HasFailure()) {
      SCOPED_TRACE("space is back; closing said " + closed.ToString() + "; the first failure was " +
                   run.first_failure().ToString());
      const Bounds bounds = run.bounds();
      CheckPowerLoss(run, end);
      CheckWhatIsLeft(root, run.history(), bounds, bounds.process, /*read_only_too=*/false);
    }
  }
  ++runs_;
  if (!HasFailure()) fs::remove_all(root);
  return counted;
}

// Power loss as well, before the store was closed.
void FailingCalls::CheckPowerLoss(ScriptRun& run, std::size_t end) {
  if (runs_ % 2 != 0 && !IsLong()) return;
  DiskImage image(Names::kByJournal, disk_.initial());
  for (std::size_t i = 0; i < end; ++i) image.Apply(disk_.changes()[i]);
  const std::string left = dir_ / "left";
  SCOPED_TRACE("power loss before it was closed");
  image.Build(left, Loss::kAll, random_);
  CheckWhatIsLeft(left, run.history(), run.bounds(), run.power_before_close(),
                  /*read_only_too=*/false);
  fs::remove_all(left);
}

TEST_P(FailingCalls, LoseNothingThatWasAcknowledged) {
  const std::uint64_t calls = RunWith(Fault{.at = 0, .space_only = GetParam().fault.space_only});
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(failed_steps_, 0u);
  const std::uint64_t stride = IsLong() ? 1 : kStride;
  for (std::uint64_t at = testing::FromEnvironment("ENGRAM_POWER_CALL", 1);
       at <= calls && !HasFailure(); at += stride) {
    Fault fault = GetParam().fault;
    fault.at = at;
    RunWith(fault);
  }
  std::printf("%s: %llu calls of the script, %llu runs, %llu calls and %llu steps failed\n",
              GetParam().name, static_cast<unsigned long long>(calls),
              static_cast<unsigned long long>(runs_),
              static_cast<unsigned long long>(failed_calls_),
              static_cast<unsigned long long>(failed_steps_));
  EXPECT_GT(failed_steps_, 0u);
}

// A new store in `root`, all calls on which the disk watches from now on.
absl::StatusOr<std::unique_ptr<Store>> OneMemoryOn(WatchedDisk& disk, const std::string& root) {
  fs::create_directory(root);
  disk.Begin(root);
  auto store = Store::Open(ScriptOptions(), root + "/s");
  if (!store.ok()) return store;
  const absl::Status put = (*store)->Put({}, 1, VectorOf(1), "one");
  if (!put.ok()) return put;
  return store;
}

// RocksDB removes the files of an ingestion that failed, though a manifest that could not be
// synced may name them.
TEST(FailingSeal, LeavesAStoreThatOpens) {
  WatchedDisk& disk = WatchedDisk::Get();
  std::uint64_t at = 0, failed = 1;
  while (failed > 0 && !::testing::Test::HasFailure()) {
    SCOPED_TRACE("call " + std::to_string(++at) + " of the seal");
    const testing::TempDir dir(Parent());
    const std::string root = dir / "disk";
    auto store = OneMemoryOn(disk, root);
    ASSERT_TRUE(store.ok()) << store.status();
    disk.Arm(Fault{.at = at, .space_only = true});
    const absl::Status sealed = (*store)->Seal();
    failed = disk.Disarm();
    EXPECT_TRUE(failed > 0 || sealed.ok()) << sealed;
    store->reset();
    disk.End();
    store = Store::Open(ScriptOptions(), root + "/s");
    ASSERT_TRUE(store.ok()) << store.status() << "; the seal said " << sealed;
    EXPECT_EQ((*store)->Get({}, 1)->payload, "one");
    EXPECT_TRUE((*store)->Verify({})->findings.empty());
  }
  EXPECT_GT(at, 5u);
}

// What a seal wrote is read back while the tail is still there.
TEST(GarbledSeal, IsSeenBeforeAnythingGoesByIt) {
  WatchedDisk& disk = WatchedDisk::Get();
  std::uint64_t at = 0, garbled = 1, seen = 0;
  while (garbled > 0 && !::testing::Test::HasFailure()) {
    SCOPED_TRACE("write " + std::to_string(++at) + " of the seal");
    const testing::TempDir dir(Parent());
    const std::string root = dir / "disk";
    auto store = OneMemoryOn(disk, root);
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;  // as much as leaves little of a table to padding
    for (MemoryId id = 2; id < 500; ++id) {
      batch.Put(id, VectorOf(id));
      batch.PutEdge({.from = id, .to = id - 1});
    }
    ASSERT_TRUE((*store)->Write({}, batch).ok());
    disk.Arm(Fault{.at = at, .garbled = true});
    const absl::Status sealed = (*store)->Seal();
    garbled = disk.Disarm();
    const bool read_back = sealed.message().find("does not read back") != std::string::npos;
    EXPECT_EQ(read_back, absl::IsInternal(sealed)) << sealed;
    // Other writes are those of log and manifest, and parts of a table that RocksDB looks after.
    EXPECT_TRUE(read_back || sealed.ok() || absl::IsDataLoss(sealed)) << sealed;
    EXPECT_EQ((*store)->Get({}, 1)->payload, "one");
    const auto found = (*store)->Search({}, VectorOf(1));
    ASSERT_TRUE(found.ok()) << found.status() << "; the seal said " << sealed;
    EXPECT_EQ(found->hits.size(), 10u);
    EXPECT_EQ((*store)->Neighbors({}, 2, Direction::kOut)->size(), 1u);
    if (read_back) {
      ++seen;
      EXPECT_TRUE((*store)->Seal().ok());
      store->reset();
      store = Store::Open(ScriptOptions(), root + "/s");
      ASSERT_TRUE(store.ok()) << store.status();
      EXPECT_TRUE((*store)->Verify({})->findings.empty());
      EXPECT_EQ((*store)->Stats().tail_rows, 0u);
    }
    store->reset();
    disk.End();
  }
  EXPECT_GT(seen, 1u);
}

// It names itself as it is taken in: before that it is read back.
TEST(GarbledImport, IsSeenBeforeAnythingGoesByIt) {
  WatchedDisk& disk = WatchedDisk::Get();
  std::uint64_t at = 0, garbled = 1, seen = 0;
  while (garbled > 0 && !::testing::Test::HasFailure()) {
    SCOPED_TRACE("write " + std::to_string(++at) + " of the import");
    const testing::TempDir dir(Parent());
    const std::string root = dir / "disk";
    auto store = OneMemoryOn(disk, root);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto import = [&] {
      MemoryId id = 2;
      std::vector<float> vector;
      const std::string payload(4000, 'p');  // or it would go through the log
      const auto next = [&](ImportRow* row) -> absl::StatusOr<bool> {
        vector = VectorOf(id);
        *row = {.id = id, .vector = vector, .payload = payload, .keys = {}};
        return ++id <= 500;
      };
      return (*store)->Import({}, next).status();
    };
    disk.Arm(Fault{.at = at, .garbled = true});
    const absl::Status imported = import();
    garbled = disk.Disarm();
    const bool read_back = imported.message().find("does not read back") != std::string::npos;
    EXPECT_EQ(read_back, absl::IsInternal(imported)) << imported;
    EXPECT_TRUE(read_back || imported.ok() || absl::IsDataLoss(imported)) << imported;
    if (read_back) {
      ++seen;
      EXPECT_EQ((*store)->Stats().memories, 1u);
      EXPECT_TRUE(import().ok());
    }
    const auto found = (*store)->Search({}, VectorOf(1));
    ASSERT_TRUE(found.ok()) << found.status() << "; the import said " << imported;
    EXPECT_EQ(found->hits.size(), imported.ok() || read_back ? 10u : 1u);
    EXPECT_TRUE((*store)->Verify({})->findings.empty());
    store->reset();
    disk.End();
  }
  EXPECT_GT(seen, 1u);
}

// After a failed ingestion RocksDB may say that its manifest has no bytes.
TEST(FailingImport, LeavesBackupsThatOpen) {
  WatchedDisk& disk = WatchedDisk::Get();
  const std::string payload(std::size_t{1} << 20, '.');
  const std::vector<float> vector = VectorOf(2);
  std::uint64_t at = 1, failed = 1, backups = 0;
  for (; failed > 0 && !::testing::Test::HasFailure(); at += IsLong() ? 1 : 2) {
    SCOPED_TRACE("call " + std::to_string(at) + " of the import");
    const testing::TempDir dir(Parent());
    const std::string root = dir / "disk";
    auto store = OneMemoryOn(disk, root);
    ASSERT_TRUE(store.ok()) << store.status();
    disk.Arm(Fault{.at = at});
    bool more = true;
    const absl::Status imported =
        (*store)
            ->Import({},
                     [&](ImportRow* row) -> absl::StatusOr<bool> {
                       *row = {.id = 2, .vector = vector, .payload = payload, .keys = {}};
                       return std::exchange(more, false);
                     })
            .status();
    failed = disk.Disarm();
    EXPECT_TRUE(failed > 0 || imported.ok()) << imported;
    const absl::Status backed_up = (*store)->Backup({}, root + "/backup");
    store->reset();
    disk.End();
    if (!backed_up.ok()) continue;
    ++backups;
    store = Store::Open(ScriptOptions(/*read_only=*/true), root + "/backup");
    ASSERT_TRUE(store.ok()) << store.status() << "; the import said " << imported;
    EXPECT_EQ((*store)->Get({}, 1)->payload, "one");
    EXPECT_TRUE((*store)->Verify({})->findings.empty());
  }
  EXPECT_GT(at, 20u);
  EXPECT_GT(backups, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    By, FailingCalls,
    ::testing::Values(
        Kind{"ErrorOnce", {.error = EIO}},
        Kind{"ErrorOnceHalfWritten", {.error = EIO, .space_only = true, .half_written = true}},
        Kind{"ErrorsFromThenOn", {.error = EIO, .stays = true, .space_only = true}},
        Kind{"FullOnce", {.error = ENOSPC, .space_only = true}},
        Kind{"FullFromThenOn",
             {.error = ENOSPC, .stays = true, .space_only = true, .half_written = true}}),
    [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace engram::power

// Backups taken while rows move from one place to another.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 8;

// Seals one row at a time and compacts, as fast as it goes, until `stop`.
void MoveRows(Store& store, const std::atomic<bool>& stop) {
  const std::vector<float> vector(kDimension, 0.5f);
  for (MemoryId id = 0; !stop; ++id) {
    ASSERT_TRUE(store.Put({}, id, vector, "payload").ok());
    ASSERT_TRUE(store.Seal().ok());
    if (id % 8 != 7) continue;
    for (MemoryId dead = id - 7; dead < id; ++dead) ASSERT_TRUE(store.Delete({}, dead).ok());
    ASSERT_TRUE(store.Compact({}).ok());
  }
}

// Blocks come and go by ingestion, which the log does not carry: a copy must not
// end with a log that names blocks it has not got.
TEST(Backup, BesideSealsAndCompactionsItIsAWholeStore) {
  testing::TempDir folder;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  const auto store = Store::Open(options, folder / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  std::atomic<bool> stop = false;
  std::thread mover([&] { MoveRows(**store, stop); });
  for (int i = 0; i < 60 && !::testing::Test::HasFailure(); ++i) {
    const std::string path = folder / absl::StrCat("backup", i);
    const absl::Status made = (*store)->Backup({}, path);
    EXPECT_TRUE(made.ok()) << made;
    StoreOptions copied;
    copied.read_only = i % 2 == 0;
    {
      const auto backup = Store::Open(copied, path);
      EXPECT_TRUE(backup.ok()) << backup.status();
      if (!backup.ok()) break;
      const auto report = (*backup)->Verify({});
      EXPECT_TRUE(report.ok() && report->findings.empty());
    }
    EXPECT_TRUE(Store::Destroy(path).ok());
  }
  stop = true;
  mover.join();
}

TEST(Backup, IntoTheStoreItselfIsRefused) {
  testing::TempDir folder;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  const auto store = Store::Open(options, folder / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  std::filesystem::create_directory_symlink(folder / "s", folder / "link");
  for (const char* inside : {"s/sub", "s/./sub", "s/../s/sub", "link/sub"}) {
    const std::string path = folder / inside;
    const absl::Status refused = (*store)->Backup({}, path);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
    EXPECT_NE(refused.message().find(path), std::string::npos) << refused;
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_TRUE((*store)->Backup({}, folder / "s2").ok());
}

}  // namespace
}  // namespace engram

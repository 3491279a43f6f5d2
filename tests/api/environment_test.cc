// What the world around a store does to it: other processes, disks that are full or
// read-only, directories that are something else, newer formats, damaged files.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "engram/engram.h"
#include "storage/database.h"
#include "storage/format/record_format.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ChildProcess;

const std::vector<float> kVector = {1, 2, 3, 4};

bool Says(const absl::Status& status, const std::string& part) {
  return status.message().find(part) != std::string::npos;
}

StoreOptions Options() {
  StoreOptions options;
  options.dimension = 4;
  options.create_if_missing = true;
  return options;
}

StoreOptions ReadOnly() {
  StoreOptions options;
  options.read_only = true;
  return options;
}

void MakeStore(const std::string& path) {
  auto store = Store::Open(Options(), path);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Put({}, 1, kVector, "one").ok());
  ASSERT_TRUE((*store)->Seal().ok());
  ASSERT_TRUE((*store)->Put({}, 2, kVector, "two").ok());
  ASSERT_TRUE((*store)->Close().ok());
}

// Returns: name and bytes of every file but the lock.
std::map<std::string, std::string> FilesOf(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().filename() == "LOCK") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().filename()].assign(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

// A mount that goes with its scope. Needs root.
class Mount {
 public:
  Mount(const char* source, std::string target, const char* type, unsigned long flags,
        const char* data)
      : target_(std::move(target)) {
    if (::mount(source, target_.c_str(), type, flags, data) != 0) error_ = std::strerror(errno);
  }
  ~Mount() {
    if (error_.empty()) ::umount2(target_.c_str(), MNT_DETACH);
  }
  const std::string& error() const { return error_; }

 private:
  const std::string target_;
  std::string error_;
};

TEST(Environment, ALockedStoreNamesTheProcessThatHasIt) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  MakeStore(path);
  {
    ChildProcess child({ENGRAM_STORE_CHILD, "hold", path});
    ASSERT_EQ(child.ReadLine(), "held");
    const absl::Status status = Store::Open(Options(), path).status();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_TRUE(Says(status, "process " + std::to_string(child.pid()))) << status;
    EXPECT_EQ(Store::Destroy(path).code(), StatusCode::kUnavailable);
    StoreOptions patient = Options();
    patient.lock_timeout = std::chrono::milliseconds(60);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(Store::Open(patient, path).status().code(), StatusCode::kUnavailable);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, patient.lock_timeout);
    const auto reader = Store::Open(ReadOnly(), path);  // beside the writer
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->Get({}, 2)->payload, "two");
    EXPECT_EQ(child.Finish(), 0);
  }
  const auto store = Store::Open(Options(), path);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Stats().memories, 2u);
}

TEST(Environment, DirectoriesThatAreNoStoreAreLeftAlone) {
  testing::TempDir dir;
  std::ofstream(dir / "file") << "text";
  fs::create_directory(dir / "mixed");
  std::ofstream(dir / "mixed/notes.txt") << "text";
  fs::create_directory(dir / "empty");
  rocksdb::DB* raw = nullptr;
  rocksdb::Options foreign;
  foreign.create_if_missing = true;
  ASSERT_TRUE(rocksdb::DB::Open(foreign, dir / "foreign", &raw).ok());
  ASSERT_TRUE(raw->Put(rocksdb::WriteOptions(), "theirs", "value").ok());
  delete raw;
  for (const char* name : {"mixed", "foreign"}) {
    SCOPED_TRACE(name);
    const auto before = FilesOf(dir / name);
    for (const StoreOptions& options : {Options(), ReadOnly()}) {
      const absl::Status status = Store::Open(options, dir / name).status();
      EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
      EXPECT_TRUE(Says(status, "not an Engram store")) << status;
    }
    EXPECT_EQ(Store::Destroy(dir / name).code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(FilesOf(dir / name), before);
  }
  EXPECT_EQ(Store::Open(Options(), dir / "file").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Store::Open(ReadOnly(), dir / "empty").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(FilesOf(dir / "empty").empty());
}

class NewerFormat : public ::testing::TestWithParam<bool> {};

TEST_P(NewerFormat, IsNamedAndNotTouched) {
  const bool in_log = GetParam();
  testing::TempDir dir;
  const std::string path = dir / "s";
  MakeStore(path);
  {
    auto database = storage::Database::Open({.block_cache_bytes = 1 << 20}, path);
    ASSERT_TRUE(database.ok()) << database.status();
    storage::StoreMeta meta{.dimension = 4, .metric = 1, .rows_per_block = 64};
    meta.format_version = storage::kFormatVersion + 1;
    rocksdb::WriteOptions sync;
    sync.sync = true;
    ASSERT_TRUE((*database)
                    ->db()
                    .Put(sync, (*database)->family(storage::Family::kDefault),
                         std::string(storage::kMetaKey),
                         storage::EncodeStoreMeta(meta) + "fields of later")
                    .ok());
    if (!in_log) {
      ASSERT_TRUE((*database)->FlushFamilies().ok());
    }
  }
  const auto before = FilesOf(path);
  for (const StoreOptions& options : {Options(), ReadOnly()}) {
    const absl::Status status = Store::Open(options, path).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_TRUE(Says(status, "format version 2")) << status;
    EXPECT_TRUE(Says(status, "versions 1 to 1")) << status;
    const auto after = FilesOf(path);
    for (const auto& [name, bytes] : before) {
      EXPECT_TRUE(after.contains(name) && after.at(name) == bytes) << name << " has changed";
    }
  }
  EXPECT_EQ(Store::Destroy(path).code(), StatusCode::kFailedPrecondition);
}

INSTANTIATE_TEST_SUITE_P(In, NewerFormat, ::testing::Bool(),
                         [](const auto& in_log) { return in_log.param ? "Log" : "Table"; });

TEST(Environment, AReadOnlyPlaceIsReadAndNotWritten) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  MakeStore(path);
  const auto before = FilesOf(path);
  std::unique_ptr<Mount> bind;
  if (::geteuid() == 0) {  // permission bits do not stop root; a read-only mount does
    bind = std::make_unique<Mount>(path.c_str(), path, nullptr, MS_BIND, nullptr);
    if (!bind->error().empty()) GTEST_SKIP() << "root without mount(2): " << bind->error();
    ASSERT_EQ(::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0)
        << std::strerror(errno);
  } else {
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
    fs::permissions(path + "/LOCK", fs::perms::owner_read);
  }
  const absl::Status status = Store::Open(Options(), path).status();
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
  EXPECT_TRUE(Says(status, path)) << status;
  const absl::Status below = Store::Open(Options(), path + "/below").status();
  EXPECT_EQ(below.code(), StatusCode::kPermissionDenied) << below;
  {
    const auto reader = Store::Open(ReadOnly(), path);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->Get({}, 1)->payload, "one");
    EXPECT_EQ((*reader)->Search({}, kVector)->hits.size(), 2u);
    EXPECT_TRUE((*reader)->Refresh().ok());
    for (const absl::Status& refused :
         {(*reader)->Put({}, 3, kVector), (*reader)->Delete({}, 1), (*reader)->Seal(),
          (*reader)->Compact({}), (*reader)->Backup({}, dir / "b"),
          (*reader)->Write({}, WriteBatch())}) {
      EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
      EXPECT_TRUE(Says(refused, "read-only")) << refused;
    }
  }
  bind.reset();
  fs::permissions(path, fs::perms::owner_all);
  EXPECT_EQ(FilesOf(path), before);
}

// Puts until it fails. Returns: how many were acknowledged.
MemoryId FillUntilRefused(Store& store, absl::Status* refusal) {
  const std::string payload(20000, 'p');
  for (MemoryId id = 0; id < 100000; ++id) {
    *refusal = store.Put({}, id, kVector, payload);
    if (!refusal->ok()) return id;
  }
  return 0;
}

TEST(Environment, AFullDiskIsSaidAndLosesNothing) {
  testing::TempDir dir;
  const std::string disk = dir / "disk";
  fs::create_directory(disk);
  if (::geteuid() != 0) GTEST_SKIP() << "a small file system needs root to mount";
  const Mount mount("tmpfs", disk, "tmpfs", 0, "size=12m");
  if (!mount.error().empty()) GTEST_SKIP() << "root without mount(2): " << mount.error();
  auto store = Store::Open(Options(), disk + "/s");
  ASSERT_TRUE(store.ok()) << store.status();
  absl::Status refusal;
  const MemoryId acknowledged = FillUntilRefused(**store, &refusal);
  ASSERT_GT(acknowledged, 10u);
  EXPECT_EQ(refusal.code(), StatusCode::kResourceExhausted) << refusal;
  const absl::Status again = (*store)->Put({}, 1000000, kVector);
  EXPECT_EQ(again.code(), StatusCode::kResourceExhausted) << again;
  EXPECT_TRUE((*store)->Get({}, acknowledged - 1).ok());
  EXPECT_FALSE((*store)->Get({}, acknowledged).ok());
  EXPECT_EQ((*store)->Search({}, kVector)->info.rows_in_store, acknowledged);
  EXPECT_FALSE((*store)->Close().ok());
  store->reset();
  ASSERT_EQ(::mount(nullptr, disk.c_str(), nullptr, MS_REMOUNT, "size=64m"), 0)
      << std::strerror(errno);
  store = Store::Open(Options(), disk + "/s");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Stats().memories, acknowledged);
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
  EXPECT_TRUE((*store)->Put({}, 1000000, kVector).ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(Environment, AFileThatMayNotGrowIsSaidAndLosesNothing) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  ChildProcess child({ENGRAM_STORE_CHILD, "fill", path, "3000000"});
  std::istringstream line(child.ReadLine());
  MemoryId acknowledged = 0;
  int code = 0, works = 0;
  ASSERT_TRUE(line >> acknowledged >> code >> works);
  EXPECT_EQ(child.Finish(), 0);
  EXPECT_GT(acknowledged, 10u);
  EXPECT_EQ(static_cast<StatusCode>(code), StatusCode::kResourceExhausted);
  EXPECT_EQ(works, 1) << "reads stopped, or a later write was let through";
  auto store = Store::Open(Options(), path);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Stats().memories, acknowledged);
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
  EXPECT_TRUE((*store)->Put({}, 1000000, kVector).ok());
}

// Flips one bit of each column in turn; every one is named, and nothing else is lost.
TEST(Environment, ADamagedColumnIsNamedWithItsBlock) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  MakeStore(path);
  std::string table;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() != ".sst") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.find("EBLK") != std::string::npos) table = entry.path();
  }
  ASSERT_FALSE(table.empty());
  std::ifstream in(table, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  std::size_t column = whole.find("EBLK"), columns = 0;
  for (const std::string name : {"embedding", "norm", "node", "id"}) {
    ASSERT_NE(column, std::string::npos);
    std::uint16_t head = 0;
    std::memcpy(&head, whole.data() + column + 6, sizeof head);
    for (const std::size_t at :
         {column + 8, column + head}) {  // a field of the header, the payload
      SCOPED_TRACE(name + ", byte " + std::to_string(at - column));
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      std::ofstream(table, std::ios::binary) << damaged;
      const auto store = Store::Open(Options(), path);
      ASSERT_TRUE(store.ok()) << store.status();
      for (const absl::Status& status :
           {(*store)->Search({}, kVector).status(), (*store)->Get({}, 1).status(),
            (*store)->NewIterator({})->status()}) {
        EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
        EXPECT_TRUE(Says(status, "column " + name)) << status;
        EXPECT_TRUE(Says(status, "block")) << status;
      }
      EXPECT_EQ((*store)->Get({}, 2)->payload, "two");
      const auto report = (*store)->Verify({});
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_EQ(report->corrupt_blocks, 1u);
      ASSERT_FALSE(report->findings.empty());
      EXPECT_NE(report->findings[0].find("column " + name), std::string::npos)
          << report->findings[0];
    }
    ++columns;
    column = whole.find("EBLK", column + 4);
  }
  EXPECT_EQ(columns, 4u);
  std::ofstream(table, std::ios::binary) << whole;
  const auto store = Store::Open(Options(), path);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
}

}  // namespace
}  // namespace engram

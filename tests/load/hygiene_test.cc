// What a store leaves on the disk: no more space than it needs, no file that others may write,
// and no word of the user's outside the files that hold data.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kDimension = 64;
constexpr MemoryId kRows = 1000;
constexpr int kRewrites = 100;
// What a memory leaves for good: its node, which no other gets, in the columns of edges.
constexpr std::uint64_t kLeftByRow = 100;
constexpr unsigned kSeed = 61;
const std::string kSecret = "recognisable-payload-7f3a";
const std::string kSecretKey = "recognisable key 9c1e";
const std::string kSecretType = "recognisable edge type 4b20";

StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 256;
  options.seal_bytes = 256 << 10;
  return options;
}

std::uint64_t BytesIn(const std::string& path) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    std::error_code gone;  // meanwhile
    const std::uintmax_t size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

class Hygiene : public ::testing::Test {
 protected:
  void Open(const std::string& path) {
    store_.reset();
    path_ = path;
    auto store = Store::Open(Options(), dir_ / path);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // The rows [begin, end), each with payload, key, edge and a reinforcement, in batches of 100.
  // Payloads hold nothing that could be compressed.
  void PutRows(MemoryId begin, MemoryId end) {
    for (MemoryId first = begin; first < end; first += 100) {
      WriteBatch batch;
      for (MemoryId id = first; id < std::min(end, first + 100); ++id) {
        std::vector<float> vector(kDimension);
        for (float& value : vector) value = static_cast<float>(random_() % 2000 + 1);
        std::string payload = kSecret;
        while (payload.size() < 300) payload.push_back(static_cast<char>(random_()));
        batch.Put(id, vector, payload);
        batch.SetKey(kSecretKey + " " + std::to_string(id), id);
        batch.PutEdge({.from = id, .to = first, .weight = 1.0f, .type = 1});
        batch.Reinforce(id, 0.01f);
      }
      const absl::Status status = store_->Write({}, batch);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  void DeleteRows(MemoryId begin, MemoryId end) {
    WriteBatch batch;
    for (MemoryId id = begin; id < end; ++id) batch.Delete(id);
    const absl::Status status = store_->Write({}, batch);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Compact() {
    const absl::Status status = store_->Compact({});
    ASSERT_TRUE(status.ok()) << status;
  }
  // RocksDB removes files in a thread of its own. Returns: the bytes of all files, once they are at
  // most `wanted` and none goes while they are counted, or after a while.
  std::uint64_t BytesOnDisk(std::uint64_t wanted) {
    std::uint64_t bytes = 0, there = 0;
    const auto count = [&] {
      bytes = store_->Stats().bytes_on_disk;
      there = BytesIn(dir_ / path_);
      return bytes <= wanted && bytes == there;
    };
    for (int i = 0; i < 100 && !count(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_EQ(bytes, there) << "seed " << kSeed;
    return bytes;
  }
  // Returns: what so many rows take that were put once.
  std::uint64_t OneCopy(MemoryId rows) {
    Open("copy of " + std::to_string(rows));
    PutRows(0, rows);
    Compact();
    const std::uint64_t bytes = BytesOnDisk(~std::uint64_t{0});
    EXPECT_TRUE(store_->Close().ok());
    return bytes;
  }

  testing::TempDir dir_;
  std::mt19937 random_{kSeed};
  std::string path_;  // below the directory
  std::unique_ptr<Store> store_;
};

TEST_F(Hygiene, RewritingTheSameRowsTakesTheSpaceOfOneCopyOrTwo) {
  const std::uint64_t copy = OneCopy(kRows);
  Open("s");
  for (int n = 0; n < kRewrites && !HasFailure(); ++n) {
    PutRows(0, kRows);
    if (n % 10 == 4) {
      ASSERT_TRUE(store_->Seal().ok());
    }
    if (n % 25 == 13) Compact();
  }
  Compact();
  const std::uint64_t bytes = BytesOnDisk(2 * copy);
  EXPECT_LE(bytes, 2 * copy);
  EXPECT_EQ(store_->Stats().dead_rows, 0u);
  EXPECT_EQ(store_->Stats().memories, kRows);
  EXPECT_TRUE(store_->Verify({})->findings.empty());
  Open("s");
  EXPECT_LE(BytesOnDisk(2 * copy), 2 * copy);
  RecordProperty("hundredths_of_one_copy", std::to_string(100 * bytes / copy));
}

// Without a Compact() the space is bounded all the same: by what waits in logs, memtables and
// files that are not yet mostly dead, and not by how often rows were written.
TEST_F(Hygiene, TheBackgroundAloneBoundsTheSpaceOfRewrites) {
  const std::uint64_t copy = OneCopy(kRows);
  constexpr std::uint64_t kWaiting = std::uint64_t{96} << 20;
  Open("s");
  std::uint64_t most = 0;
  for (int n = 0; n < 2 * kRewrites && !HasFailure(); ++n) {
    PutRows(0, kRows);
    most = std::max(most, store_->Stats().bytes_on_disk);
  }
  EXPECT_GT(copy * 2 * kRewrites, 2 * kWaiting);
  EXPECT_LE(most, 3 * copy + kWaiting) << "seed " << kSeed;
  RecordProperty("most_MiB", std::to_string(most >> 20));
}

TEST_F(Hygiene, DeletesGiveTheirSpaceBack) {
  const std::uint64_t empty = OneCopy(0);
  const std::uint64_t tenth = OneCopy(kRows / 10);
  Open("s");
  PutRows(0, kRows);
  Compact();
  const std::uint64_t before = store_->Stats().bytes_on_disk;
  DeleteRows(kRows / 10, kRows);
  Compact();
  EXPECT_LE(BytesOnDisk(tenth + kLeftByRow * kRows), tenth + kLeftByRow * kRows);
  DeleteRows(0, kRows / 10);
  Compact();
  const std::uint64_t most = empty + kLeftByRow * kRows;
  EXPECT_LE(BytesOnDisk(most), most);
  EXPECT_GT(before, 4 * most);
}

// Rows that were in table files of the tail before they were sealed are there once, afterwards.
TEST_F(Hygiene, RowsThatWereSealedFromTableFilesLeaveNoCopyThere) {
  constexpr MemoryId kBelowASeal = 900;
  const std::uint64_t copy = OneCopy(kBelowASeal);
  Open("s");
  PutRows(0, kBelowASeal);
  ASSERT_EQ(store_->Stats().tail_rows, kBelowASeal);
  ASSERT_TRUE(store_->Backup({}, dir_ / "backup").ok());  // moves what is in memory into files
  Compact();
  ASSERT_EQ(store_->Stats().tail_rows, 0u);
  const std::uint64_t most = copy + copy / 10;
  EXPECT_LE(BytesOnDisk(most), most);
}

// What a snapshot still needs stays, and goes when it does.
TEST_F(Hygiene, SpaceHeldByASnapshotReturnsWithIt) {
  const std::uint64_t empty = OneCopy(0);
  Open("s");
  PutRows(0, kRows);
  Compact();
  const std::uint64_t before = store_->Stats().bytes_on_disk;
  ReadOptions then;
  then.snapshot = store_->GetSnapshot();
  DeleteRows(0, kRows);
  Compact();
  for (MemoryId id = 0; id < kRows; ++id) EXPECT_TRUE(store_->Get(then, id).ok()) << id;
  EXPECT_GT(store_->Stats().bytes_on_disk, before / 2);
  then.snapshot.reset();
  Compact();
  const std::uint64_t most = empty + kLeftByRow * kRows;
  EXPECT_LE(BytesOnDisk(most), most);
}

// The umask of a scope.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }

 private:
  const mode_t before_;
};

std::vector<std::pair<std::string, mode_t>> ModesIn(const std::string& path) {
  std::vector<std::pair<std::string, mode_t>> modes;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) == 0) {
      modes.emplace_back(entry.path(), status.st_mode);
    }
  }
  return modes;
}

TEST_F(Hygiene, NobodyElseMayWriteAndTheUmaskMayTakeMore) {
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{027}, mode_t{077}}) {
    SCOPED_TRACE("umask " + std::to_string(mask));
    const Umask umask(mask);
    const std::string root = dir_ / std::to_string(mask);
    ASSERT_EQ(::mkdir(root.c_str(), 0755), 0);
    Open(std::to_string(mask) + "/made/on/the/way/s");
    PutRows(0, 500);
    ASSERT_TRUE(store_->EdgeType({}, kSecretType).ok());
    Compact();
    ASSERT_TRUE(store_->Backup({}, root + "/backup").ok());
    PutRows(0, 300);
    ASSERT_TRUE(store_->Close().ok());
    const auto repaired = Store::Repair({}, root + "/made/on/the/way/s", root + "/repaired");
    ASSERT_TRUE(repaired.ok()) << repaired.status();
    std::size_t files = 0;
    for (const auto& [path, mode] : ModesIn(root)) {
      const mode_t most = S_ISDIR(mode) ? 0755 : 0644;
      EXPECT_EQ(mode & 07777, most & ~mask) << path << ' ' << std::oct << mode;
      files += S_ISREG(mode) ? 1 : 0;
    }
    EXPECT_GT(files, 20u);
  }
}

mode_t ModeOf(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

// Who may not look into the store may not look into its copies either, finished or not.
TEST_F(Hygiene, CopiesOfAStoreHaveTheModeOfItsDirectory) {
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{077}}) {
    const Umask umask(mask);
    for (const mode_t mode : {mode_t{0700}, mode_t{0750}, mode_t{0755}}) {
      SCOPED_TRACE("mode " + std::to_string(mode) + ", umask " + std::to_string(mask));
      const std::string name = std::to_string(mask) + "-" + std::to_string(mode);
      const std::string path = dir_ / name, backup = path + "b", repaired = path + "r";
      ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
      ASSERT_EQ(::chmod(path.c_str(), mode), 0);
      Open(name);
      PutRows(0, 100);
      int looked = 0;
      BackupOptions backup_options;
      backup_options.progress = [&](const Progress& progress) {
        if (progress.done == progress.total) return true;  // it has its name by then
        ++looked;
        EXPECT_EQ(ModeOf(backup + ".tmp"), mode);
        return true;
      };
      ASSERT_TRUE(store_->Backup(backup_options, backup).ok());
      EXPECT_EQ(ModeOf(backup), mode);
      EXPECT_GT(looked, 0);
      ASSERT_TRUE(store_->Close().ok());
      looked = 0;
      RepairOptions repair_options;
      repair_options.progress = [&](const Progress&) {
        ++looked;
        for (const char* folder : {"", "/copies", "/store"}) {
          EXPECT_EQ(ModeOf(repaired + ".repair" + folder), mode) << folder;
        }
        return true;
      };
      ASSERT_TRUE(Store::Repair(repair_options, path, repaired).ok());
      EXPECT_EQ(ModeOf(repaired), mode);
      EXPECT_GT(looked, 0);
      EXPECT_EQ(ModeOf(path), mode);
    }
  }
}

bool HoldsData(const std::string& name) { return name.ends_with(".sst") || name.ends_with(".log"); }

void ExpectNoWordOf(const std::string& path, const std::vector<std::string>& words) {
  for (const auto& entry : fs::directory_iterator(path)) {
    if (HoldsData(entry.path().filename())) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    for (const std::string& word : words) {
      EXPECT_EQ(bytes.find(word), std::string::npos) << word << " in " << entry.path();
    }
  }
}

bool AnyFileHolds(const std::string& path, const std::string& word) {
  for (const auto& entry : fs::directory_iterator(path)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.find(word) != std::string::npos) return true;
  }
  return false;
}

// Everything a store does, with what a careless log would tell: errors that name ids and keys too.
TEST_F(Hygiene, PayloadsReachNoFileButThoseOfData) {
  const std::string path = dir_ / "s";
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  for (int round = 0; round < 3; ++round) {
    Open("s");
    PutRows(0, kRows);
    ASSERT_TRUE(store_->EdgeType({}, kSecretType).ok());
    EXPECT_FALSE(store_->Delete({}, 1 << 20).ok());
    EXPECT_FALSE(store_->IdForKey({}, kSecretKey + " absent").ok());
    EXPECT_FALSE(store_->Put({}, 1, {}, std::string(kMaxPayloadBytes + 1, 'p')).ok());
    EXPECT_FALSE(store_->FindNamed({}, "a " + kSecretKey + " 7")->empty());
    EXPECT_TRUE(store_->Recall({}, std::vector<float>(kDimension, 1.0f)).ok());
    DeleteRows(0, 300);
    Compact();
    EXPECT_TRUE(store_->Verify({})->findings.empty());
    ASSERT_TRUE(store_->Backup({}, dir_ / ("b" + std::to_string(round))).ok());
    PutRows(0, 100);
    store_.reset();
    StoreOptions read_only;
    read_only.read_only = true;
    auto reader = Store::Open(read_only, path);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->Refresh().ok());
    EXPECT_TRUE((*reader)->Get({}, 5).ok());
  }
  ASSERT_TRUE(Store::Repair({}, path, dir_ / "r").ok());
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(AnyFileHolds(path, kSecret));  // else the search would find nothing anywhere
  for (const char* store : {"s", "b0", "b2", "r"}) {
    ExpectNoWordOf(dir_ / store, {kSecret});
    for (const auto& entry : fs::directory_iterator(dir_ / store)) {
      EXPECT_FALSE(entry.path().filename().string().starts_with("LOG")) << entry.path();
    }
  }
}

}  // namespace
}  // namespace engram

// What a power loss leaves of the log: what was synced, and of the rest any pages, for the
// kernel writes them in any order. And what a crash on top of that may not take.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <tuple>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kLogBlock = 32768;  // damage hides the rest of its block
const std::vector<float> kVector = {1, 2, 3, 4};

StoreOptions Options(bool read_only = false) {
  StoreOptions options;
  if (read_only) {
    options.read_only = true;
  } else {
    options.dimension = 4;
    options.create_if_missing = true;
  }
  return options;
}

std::string PayloadOf(MemoryId id, std::size_t bytes) {
  std::string payload = std::to_string(id);
  std::mt19937 random(static_cast<unsigned>(id));
  while (payload.size() < bytes) payload.push_back(static_cast<char>(random()));
  return payload;
}

class PowerLoss : public ::testing::TestWithParam<std::size_t> {
 protected:
  std::size_t payload_bytes() const { return GetParam(); }

  std::unique_ptr<Store> OpenStore(const std::string& path) {
    auto store = Store::Open(Options(), path);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  void Put(Store& store, MemoryId begin, MemoryId end, Durability durability) {
    WriteOptions options;
    options.durability = durability;
    for (MemoryId id = begin; id < end; ++id) {
      ASSERT_TRUE(store.Put(options, id, kVector, PayloadOf(id, payload_bytes())).ok());
    }
  }
  void Import(Store& store, MemoryId begin, MemoryId end) {
    MemoryId id = begin;
    std::string payload;
    const auto report = store.Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (id == end) return false;
      payload = PayloadOf(id, payload_bytes());
      row->id = id++;
      row->vector = kVector;
      row->payload = payload;
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
  }

  // Name, size and time of every file; one that goes meanwhile has size -1.
  using Files = std::set<std::tuple<std::string, std::uintmax_t, fs::file_time_type>>;
  static Files Look(const std::string& path) {
    Files files;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(path)) {
      files.emplace(entry.path(), fs::file_size(entry, gone), fs::last_write_time(entry, gone));
    }
    return files;
  }
  // The files as a process that dies now leaves them.
  std::string Image(const std::string& path) {
    const std::string image = dir_ / ("image" + std::to_string(images_++));
    // RocksDB merges and drops files in the background: a copy is of one moment when nothing
    // has changed meanwhile.
    for (std::error_code error;;) {
      const auto before = Look(path);
      fs::remove_all(image);
      fs::copy(path, image, fs::copy_options::recursive, error);
      if (!error && Look(path) == before) return image;
    }
  }
  static std::string NewestLog(const std::string& path) {
    std::string newest;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
    }
    return newest;
  }
  static void Zero(const std::string& file, std::uint64_t begin, std::uint64_t end) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(begin));
    out << std::string(std::min(end, fs::file_size(file)) - begin, '\0');
  }

  // Expects ids 0, 1, ... without a gap. Returns: how many.
  MemoryId CountPrefix(const Store& store) {
    MemoryId next = 0;
    auto it = store.NewIterator({});
    for (; it->Valid(); it->Next(), ++next) {
      EXPECT_EQ(it->id(), next);
      if (it->id() != next) return next;
      EXPECT_EQ(it->payload(), PayloadOf(next, payload_bytes()));
    }
    EXPECT_TRUE(it->status().ok()) << it->status();
    EXPECT_TRUE(store.Verify({})->findings.empty());
    return next;
  }
  // Opens `path`, to read and then to write; writes on, crashes again, and expects all of it.
  void ExpectRecovers(const std::string& path, MemoryId at_least) {
    MemoryId kept = 0;
    {
      const auto reader = Store::Open(Options(/*read_only=*/true), path);
      ASSERT_TRUE(reader.ok()) << reader.status();
      kept = CountPrefix(**reader);
      EXPECT_GE(kept, at_least);
    }
    const auto store = OpenStore(path);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(CountPrefix(*store), kept);
    Put(*store, kept, kept + 3, Durability::kProcess);
    const std::string again = Image(path);
    {
      const auto reopened = OpenStore(again);
      ASSERT_NE(reopened, nullptr);
      EXPECT_EQ(CountPrefix(*reopened), kept + 3);
    }
    fs::remove_all(again);
  }
  void ExpectDataLoss(const std::string& path) {
    for (const bool read_only : {true, false}) {
      const absl::Status status = Store::Open(Options(read_only), path).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_NE(status.message().find("were synced"), std::string::npos) << status;
    }
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  int images_ = 0;
};

TEST_P(PowerLoss, AMissingPageTakesNothingThatWasSynced) {
  const auto store = OpenStore(path_);
  ASSERT_NE(store, nullptr);
  Put(*store, 0, 9, Durability::kProcess);
  Put(*store, 9, 10, Durability::kPower);
  const std::uint64_t synced = fs::file_size(NewestLog(path_));
  Put(*store, 10, 40, Durability::kProcess);
  const std::uint64_t size = fs::file_size(NewestLog(path_));
  ASSERT_GT(size, synced);
  const std::uint64_t step = std::max<std::uint64_t>(1, (size - synced) / kPage / 25);
  for (std::uint64_t page = synced / kPage; page * kPage < size && !HasFailure(); page += step) {
    SCOPED_TRACE("page " + std::to_string(page));
    const std::string image = Image(path_);
    Zero(NewestLog(image), std::max(page * kPage, synced), (page + 1) * kPage);
    ExpectRecovers(image, 10);
    fs::remove_all(image);
  }
}

TEST_P(PowerLoss, AnyPagesMayBeMissing) {
  constexpr unsigned kSeed = 5;
  std::mt19937 random(kSeed);
  const auto store = OpenStore(path_);
  ASSERT_NE(store, nullptr);
  MemoryId next = 0;
  for (int round = 0; round < 12 && !HasFailure(); ++round) {
    SCOPED_TRACE("seed 5, round " + std::to_string(round));
    Put(*store, next, next + 5, Durability::kProcess);
    next += 5;
    switch (random() % 4) {
      case 0: ASSERT_TRUE(store->Flush().ok()); break;
      case 1:
        Put(*store, next, next + 1, Durability::kPower);
        ++next;
        break;
      case 2: ASSERT_TRUE(store->Seal().ok()); break;
      default:
        Import(*store, next, next + 1200000 / payload_bytes());
        next += 1200000 / payload_bytes();
        ASSERT_TRUE(store->Flush().ok());
    }
    const std::string log = NewestLog(path_);
    const std::uint64_t synced = fs::file_size(log);
    const MemoryId safe = next;
    Put(*store, next, next + 12, Durability::kProcess);
    next += 12;
    ASSERT_EQ(NewestLog(path_), log);
    const std::string image = Image(path_);
    const std::uint64_t size = fs::file_size(log);
    for (std::uint64_t page = synced / kPage; page * kPage < size; ++page) {
      if (random() % 8 != 0) continue;
      Zero(NewestLog(image), std::max(page * kPage, synced), (page + 1) * kPage);
    }
    ExpectRecovers(image, safe);
    fs::remove_all(image);
  }
}

TEST_P(PowerLoss, DamageInWhatWasSyncedIsDataLoss) {
  for (const std::string by : {"power", "flush", "seal"}) {
    SCOPED_TRACE(by);
    const std::string path = dir_ / by;
    const auto store = OpenStore(path);
    ASSERT_NE(store, nullptr);
    const MemoryId many = 3 * kLogBlock / payload_bytes() + 3;
    Put(*store, 0, many, Durability::kProcess);
    if (by == "power") Put(*store, many, many + 1, Durability::kPower);
    if (by == "flush") {
      ASSERT_TRUE(store->Flush().ok());
    }
    if (by == "seal") {
      ASSERT_TRUE(store->Seal().ok());
    }
    Put(*store, many + 1, many + 2, Durability::kProcess);
    const std::string image = Image(path);
    Zero(NewestLog(image), kLogBlock, kLogBlock + kPage);
    ExpectDataLoss(image);
    // It stays so, and nothing was changed by looking.
    ExpectDataLoss(image);
  }
}

TEST_P(PowerLoss, ATornLogIsWrittenOnAndLosesNothingMore) {
  const auto store = OpenStore(path_);
  ASSERT_NE(store, nullptr);
  Put(*store, 0, 4, Durability::kPower);
  const std::uint64_t synced = fs::file_size(NewestLog(path_));
  Put(*store, 4, 8, Durability::kProcess);
  const std::uint64_t size = fs::file_size(NewestLog(path_));
  const std::uint64_t step = std::max<std::uint64_t>(1, (size - synced) / 60);
  for (std::uint64_t end = synced; end <= size && !HasFailure(); end += step) {
    SCOPED_TRACE("torn at byte " + std::to_string(end));
    const std::string image = Image(path_);
    fs::resize_file(NewestLog(image), end);
    ExpectRecovers(image, 4);
    fs::remove_all(image);
  }
}

INSTANTIATE_TEST_SUITE_P(PayloadBytes, PowerLoss, ::testing::Values(300, 9000, 70000));

}  // namespace
}  // namespace engram

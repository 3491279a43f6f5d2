// Readers hold views, snapshots and iterators while blocks are sealed, deleted,
// compacted and dropped under them, and compare every byte again and again. Meant
// for the builds with sanitizers. ENGRAM_LIFETIME_ROUNDS=5000 makes it long.
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <thread>

#include "engram/engram.h"
#include "storage/store_files.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 24;
constexpr std::uint32_t kRowsPerBlock = 64;
constexpr MemoryId kIds = 1500;
constexpr unsigned kSeed = 23;
constexpr std::uint64_t kDefaultRounds = 200;

std::uint64_t Rounds() {
  return testing::FromEnvironment("ENGRAM_LIFETIME_ROUNDS", kDefaultRounds);
}

// Every row proves itself: the first float is the id, the second the version, and
// the rest follow from both.
void FillEmbedding(MemoryId id, std::uint32_t version, float* out) {
  out[0] = static_cast<float>(id);
  out[1] = static_cast<float>(version % 1000000);
  for (std::uint32_t i = 2; i < kDimension; ++i) {
    out[i] = static_cast<float>((id * 31 + version * 17 + i * 7) % 251) - 125.0f;
  }
}

bool ProvesItself(MemoryId id, const float* row) {
  float expected[kDimension];
  FillEmbedding(id, static_cast<std::uint32_t>(row[1]), expected);
  return std::memcmp(expected, row, sizeof expected) == 0;
}

// Puts, deletes, seals and compacts at random; the same for both levels of the API.
template <typename Target>
void Churn(Target& target, std::uint64_t rounds) {
  std::mt19937_64 random(kSeed);
  std::map<MemoryId, bool> live;
  std::uint32_t version = 0;
  for (std::uint64_t round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
    for (int i = 0; i < 100; ++i) {
      const MemoryId id = random() % kIds;
      target.Put(id, ++version);
      live[id] = true;
    }
    for (int i = 0; i < 60; ++i) {
      const auto it = live.lower_bound(random() % kIds);
      if (it == live.end()) continue;
      target.Delete(it->first);
      live.erase(it);
    }
    target.Apply();
    if (round % 2 == 1) target.Seal();
    if (round % 3 == 2) target.Compact();
  }
}

class FilesTarget {
 public:
  explicit FilesTarget(storage::StoreFiles& files) : files_(files) {}
  void Put(MemoryId id, std::uint32_t version) {
    auto& row = floats_.emplace_back(kDimension);
    FillEmbedding(id, version, row.data());
    changes_.push_back({.kind = storage::Change::Kind::kPut,
                        .id = id,
                        .vector = row,
                        .norm = static_cast<float>(id) + 1.0f,
                        .bytes = "payload"});
  }
  void Delete(MemoryId id) {
    changes_.push_back(
        {.kind = storage::Change::Kind::kDelete, .id = id, .vector = {}, .bytes = {}});
  }
  void Apply() {
    Check(files_.Write({.durability = storage::Durability::kNone}, changes_));
    changes_.clear();
    floats_.clear();
  }
  void Seal() { Check(files_.Seal()); }
  void Compact() { Check(files_.Compact(0.0, nullptr)); }

 private:
  static void Check(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }
  storage::StoreFiles& files_;
  std::deque<std::vector<float>> floats_;
  std::vector<storage::Change> changes_;
};

// Checks every live row of a view where it lies. Returns: how many there were.
std::uint64_t CheckView(const storage::View& view) {
  std::uint64_t live = 0;
  for (std::size_t i = 0; i < view.slice_count(); ++i) {
    const absl::Status ready = view.ReadySlice(i, /*verify=*/true);
    EXPECT_TRUE(ready.ok()) << ready;
    if (!ready.ok()) return 0;
    const storage::RowSlice slice = view.slice(i);
    for (std::uint32_t r = 0; r < slice.count; ++r) {
      if (view.IsDead(slice.row(r))) continue;
      ++live;
      const float* row = slice.embeddings + std::size_t{r} * kDimension;
      EXPECT_TRUE(ProvesItself(slice.ids[r], row)) << "id " << slice.ids[r];
      EXPECT_EQ(slice.norms[r], static_cast<float>(slice.ids[r]) + 1.0f);
      EXPECT_LT(slice.nodes[r], kIds);
    }
  }
  return live;
}

TEST(Lifetime, ViewsKeepEveryByteWhileBlocksComeAndGo) {
  testing::TempDir dir;
  storage::FilesOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = kRowsPerBlock;
  options.seal_bytes = 64 * 1024;
  auto files = storage::StoreFiles::Open(options, dir / "s");
  ASSERT_TRUE(files.ok()) << files.status();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> checked{0};
  const auto read = [&](std::size_t held_at_once) {
    std::deque<std::shared_ptr<const storage::View>> held;
    while (!stop && !::testing::Test::HasFailure()) {
      held.push_back((*files)->CurrentView());
      if (held.size() > held_at_once) held.pop_front();
      for (const auto& view : held) {  // the oldest has seen many blocks go
        ASSERT_EQ(CheckView(*view), view->live_rows());
        ++checked;
      }
    }
  };
  std::thread few(read, 1), many(read, 12);
  FilesTarget target(**files);
  Churn(target, Rounds());
  stop = true;
  few.join();
  many.join();
  EXPECT_GT(checked, 10u);
  const auto last = (*files)->CurrentView();
  EXPECT_TRUE((*files)->Close().ok());
  files->reset();
  EXPECT_EQ(CheckView(*last), last->live_rows());  // a view outlives its store
}

class StoreTarget {
 public:
  explicit StoreTarget(Store& store) : store_(store) {}
  void Put(MemoryId id, std::uint32_t version) {
    float row[kDimension];
    FillEmbedding(id, version, row);
    batch_.Put(id, row, std::to_string(version));
  }
  void Delete(MemoryId id) { batch_.Delete(id); }
  void Apply() {
    Check(store_.Write({}, batch_));
    batch_.Clear();
  }
  void Seal() { Check(store_.Seal()); }
  void Compact() { Check(store_.Compact({})); }

 private:
  static void Check(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }
  Store& store_;
  WriteBatch batch_;
};

struct Seen {
  std::vector<float> vector;
  std::string payload;
  friend bool operator==(const Seen&, const Seen&) = default;
};
using State = std::map<MemoryId, Seen>;

// Walks with spans held across pauses, so that blocks go while they are pointed to.
State Walk(const Store& store, const ReadOptions& options, bool pause) {
  State state;
  auto it = store.NewIterator(options);
  for (std::uint64_t n = 0; it->Valid(); it->Next(), ++n) {
    const absl::Span<const float> span = it->vector();
    const std::vector<float> before(span.begin(), span.end());
    if (pause && n % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_TRUE(ProvesItself(it->id(), span.data())) << "id " << it->id();
    EXPECT_TRUE(std::equal(before.begin(), before.end(), span.begin(), span.end()));
    state[it->id()] = {before, std::string(it->payload())};
  }
  EXPECT_TRUE(it->status().ok()) << it->status();
  return state;
}

void ReadSnapshots(const Store& store, const std::atomic<bool>& stop,
                   std::atomic<std::uint64_t>& checked) {
  SearchOptions options;
  options.k = kIds;
  const std::vector<float> query(kDimension, 1.0f);
  while (!stop && !::testing::Test::HasFailure()) {
    options.snapshot = store.GetSnapshot();
    const State state = Walk(store, options, /*pause=*/false);
    const auto hits = store.Search(options, query);
    ASSERT_TRUE(hits.ok()) << hits.status();
    ASSERT_EQ(hits->hits.size(), state.size());
    EXPECT_EQ(Walk(store, options, /*pause=*/true), state);
    const auto again = store.Search(options, query);
    ASSERT_TRUE(again.ok()) << again.status();
    for (std::size_t i = 0; i < hits->hits.size(); ++i) {
      ASSERT_EQ(again->hits[i].id, hits->hits[i].id);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(again->hits[i].score),
                std::bit_cast<std::uint32_t>(hits->hits[i].score));
    }
    ++checked;
  }
}

TEST(Lifetime, SnapshotsAndIteratorsKeepEveryByteWhileBlocksComeAndGo) {
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = kRowsPerBlock;
  options.seal_bytes = 64 * 1024;
  auto store = Store::Open(options, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> checked{0};
  std::thread first([&] { ReadSnapshots(**store, stop, checked); });
  std::thread second([&] { ReadSnapshots(**store, stop, checked); });
  StoreTarget target(**store);
  Churn(target, Rounds());
  stop = true;
  first.join();
  second.join();
  EXPECT_GT(checked, 0u);
  auto it = (*store)->NewIterator({});
  ASSERT_TRUE(it->Valid());
  store->reset();  // the iterator outlives its store
  std::uint64_t left = 0;
  for (; it->Valid(); it->Next(), ++left) {
    ASSERT_TRUE(ProvesItself(it->id(), it->vector().data()));
  }
  EXPECT_GT(left, 0u);
}

}  // namespace
}  // namespace engram

// Everything at once in one process: writers, an import, deletes, seals, compaction, verification,
// backups, readers of every kind, a read-only store that is refreshed, and closing, again and
// again. Every answer is compared with the state it is of. ENGRAM_SECONDS=N makes it long.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "tests/load/lanes.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kSeed = 83;
// From an open to the close after it, and between two seals: a refresh must fit in.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr milliseconds kPhase{8000}, kPause{250};
#else
constexpr milliseconds kPhase{2000}, kPause{15};
#endif
constexpr int kReaders = 4;
constexpr MemoryId kStrays = 1500;

class Stress : public ::testing::Test {
 protected:
  void Open() {
    auto store = Store::Open(load::Options(), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    const auto counters = load::ReadCounters(*store_, {});
    ASSERT_TRUE(counters.ok()) << counters.status();
    counters_ = *counters;
    stop_ = closing_ = false;
  }

  // Whether a thread goes on after `status`: not when the store was closed under it, which is for
  // the end of a phase alone.
  bool GoesOn(const absl::Status& status, const char* doing) {
    // Who holds a snapshot gets to its end: with a sanitizer others would take minutes from it.
    if (closing_) std::this_thread::sleep_for(milliseconds(1));
    if (status.ok()) return !stop_ && !HasFailure();
    const bool closed = closing_ && absl::IsFailedPrecondition(status) &&
                        status.message().find("closed") != std::string_view::npos;
    EXPECT_TRUE(closed) << doing << ": " << status << ", seed " << kSeed;
    return false;
  }

  void WriteLane(std::uint64_t lane) {
    for (std::uint64_t n = counters_[lane];; ++n) {
      WriteOptions options;
      options.durability = static_cast<Durability>(n % 3);
      if (!GoesOn(store_->Write(options, load::BatchOf(lane, n)), "writing")) return;
    }
  }

  // Memories that are imported in bulk, and deleted again in batches.
  void ImportAndDelete() {
    for (;;) {
      const MemoryId first = next_stray_;
      next_stray_ += kStrays;
      std::vector<float> vector;
      MemoryId id = first;
      const auto imported = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
        if (id == first + kStrays) return false;
        vector = load::StrayVector(id);
        row->id = id++;
        row->vector = vector;
        return true;
      });
      if (!GoesOn(imported.status(), "importing")) return;
      std::vector<Edge> ring;
      for (MemoryId i = 0; i < kStrays; ++i) {
        ring.push_back({.from = first + i, .to = first + (i + 1) % kStrays});
      }
      std::size_t at = 0;
      const auto linked = store_->Link({}, [&](Edge* edge) -> absl::StatusOr<bool> {
        if (at == ring.size()) return false;
        *edge = ring[at++];
        return true;
      });
      if (!GoesOn(linked.status(), "linking")) return;
      for (MemoryId i = first; i < first + kStrays; i += 100) {
        WriteBatch batch;
        for (MemoryId k = i; k < i + 100; ++k) batch.Delete(k);
        if (!GoesOn(store_->Write({}, batch), "deleting")) return;
      }
    }
  }

  void Read(const Store& store, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    load::Seen seen;
    while (!closing_ && GoesOn(load::CheckSomething(store, random, &seen), "checking")) {
    }
    checks_ += seen.checks;
    certified_ += seen.certified;
    // A snapshot would keep the store from being closed.
    while (GoesOn(store.Search({}, load::RandomQuery(random)).status(), "searching")) {
    }
  }

  // One state, held and compared again while files go under it.
  void Hold() {
    std::mt19937_64 random(kSeed);
    while (!closing_) {
      ReadOptions then;
      then.snapshot = store_->GetSnapshot();
      if (then.snapshot == nullptr) return;
      const auto counters = load::ReadCounters(*store_, then);
      if (!GoesOn(counters.status(), "reading")) return;
      std::uint64_t certified = 0;
      for (int i = 0; i < 5 && !closing_; ++i) {
        std::this_thread::sleep_for(milliseconds(10));
        const std::uint64_t lane = random() % load::kLanes;
        if (!GoesOn(load::CheckWalk(*store_, then, lane, *counters), "walking") ||
            !GoesOn(load::CheckSearch(*store_, then, *counters, random, &certified), "searching")) {
          return;
        }
      }
    }
  }

  // A copy is a store of one state.
  void CheckBackup() {
    const std::string copy = dir_ / "copy";
    if (!GoesOn(store_->Backup({}, copy), "backing up")) return;
    {
      const auto store = Store::Open(load::ReadOnly(), copy);
      ASSERT_TRUE(store.ok()) << store.status();
      std::mt19937_64 random(kSeed);
      load::Seen seen;
      const absl::Status status = load::CheckAll(**store, random, &seen);
      EXPECT_TRUE(status.ok()) << status;
    }
    const absl::Status gone = Store::Destroy(copy);
    EXPECT_TRUE(gone.ok()) << gone;
  }

  void Maintain() {
    for (int round = 0;; ++round) {
      if (!GoesOn(store_->Seal(), "sealing")) return;
      std::this_thread::sleep_for(kPause);
      if (round % 3 == 2 && !GoesOn(store_->Compact({}), "compacting")) return;
      if (round % 4 == 3) CheckBackup();
      ForgetOptions forget;
      forget.strength_below = 0.5f;
      forget.strength.decay = Decay::kNone;
      const auto forgotten = store_->Forget(forget);
      if (!GoesOn(forgotten.status(), "looking for what has faded")) return;
      EXPECT_EQ(forgotten->forgotten, 0u);
      if (!GoesOn(store_->EdgeType({}, "type " + std::to_string(round % 20)).status(), "naming")) {
        return;
      }
      const auto report = store_->Verify({});
      if (!GoesOn(report.status(), "verifying")) return;
      EXPECT_TRUE(report->findings.empty()) << report->findings[0];
      EXPECT_EQ(store_->Stats().background_error, "");
    }
  }

  // Another store object on the same directory, moved on and read at once.
  void Follow() {
    const auto follower = Store::Open(load::ReadOnly(), path_);
    ASSERT_TRUE(follower.ok()) << follower.status();
    std::vector<std::thread> readers;
    for (std::uint64_t i = 0; i < 2; ++i) {
      readers.emplace_back([&, i] { Read(**follower, kSeed + 100 + i); });
    }
    while (GoesOn((*follower)->Refresh(), "refreshing")) {
      ++refreshes_;
      EXPECT_GT((*follower)->Stats().memories, load::kBaseRows - 1);
    }
    for (std::thread& reader : readers) reader.join();
  }

  // All of it until the phase ends; then the store is closed under those who still work.
  void RunPhase() {
    std::vector<std::thread> threads;
    for (std::uint64_t lane = 0; lane < load::kLanes; ++lane) {
      threads.emplace_back([this, lane] { WriteLane(lane); });
    }
    for (std::uint64_t i = 0; i < kReaders; ++i) {
      threads.emplace_back([this, i] { Read(*store_, kSeed + i); });
    }
    for (void (Stress::*work)() :
         {&Stress::ImportAndDelete, &Stress::Hold, &Stress::Maintain, &Stress::Follow}) {
      threads.emplace_back([this, work] { (this->*work)(); });
    }
    const auto end = steady_clock::now() + kPhase;
    const std::uint64_t before = refreshes_;
    const auto is_enough = [&] {
      const auto now = steady_clock::now();
      return now > end + 10 * kPhase || (now > end && refreshes_ > before);
    };
    while (!is_enough() && !HasFailure()) std::this_thread::sleep_for(milliseconds(5));
    closing_ = true;
    // Refused while a snapshot is held, and then done under those who search and write.
    absl::Status closed = store_->Close();
    for (; absl::IsFailedPrecondition(closed); closed = store_->Close()) {
      ++refusals_;
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_TRUE(closed.ok()) << closed;
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::unique_ptr<Store> store_;
  load::Counters counters_;
  MemoryId next_stray_ = load::kFirstStray;
  std::atomic<bool> stop_{false}, closing_{false};
  std::atomic<std::uint64_t> checks_{0}, certified_{0}, refreshes_{0}, refusals_{0};
};

TEST_F(Stress, EveryAnswerIsOfAStateThatWas) {
  const absl::Status made = load::Create(path_);
  ASSERT_TRUE(made.ok()) << made;
  const auto end =
      steady_clock::now() + std::chrono::seconds(testing::FromEnvironment("ENGRAM_SECONDS", 5));
  std::mt19937_64 random(kSeed);
  load::Seen seen;
  int phases = 0;
  do {
    Open();
    if (HasFatalFailure()) return;
    // Across the close too: nothing that was acknowledged has gone.
    const absl::Status status = load::CheckAll(*store_, random, &seen);
    ASSERT_TRUE(status.ok()) << status;
    RunPhase();
    ++phases;
  } while (steady_clock::now() < end && !HasFailure());
  EXPECT_GT(checks_, 20u);
  EXPECT_GT(certified_, 5u);
  EXPECT_GT(refreshes_, 0u);
  std::printf("seed %d, %d phases: %d checks, %d certified, %d refreshes, %d refused closes\n",
              static_cast<int>(kSeed), phases, static_cast<int>(checks_),
              static_cast<int>(certified_), static_cast<int>(refreshes_),
              static_cast<int>(refusals_));
}

}  // namespace
}  // namespace engram

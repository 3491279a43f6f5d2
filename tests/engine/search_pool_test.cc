// The pool of search helpers: help comes, is shared, is never waited for, and ends.
#include "engine/search_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram::engine {
namespace {

// Runs work that ends only when `helpers` came. Returns: the threads that did it.
std::set<std::thread::id> RunWith(SearchPool& pool, std::size_t helpers) {
  auto* all_here = new absl::Barrier(static_cast<int>(helpers) + 1);
  absl::Mutex mutex;
  std::set<std::thread::id> threads;
  pool.Run(helpers, [&] {
    if (all_here->Block()) delete all_here;
    absl::MutexLock lock(&mutex);
    threads.insert(std::this_thread::get_id());
  });
  absl::MutexLock lock(&mutex);
  return threads;
}

TEST(SearchPool, StartsThreadsAtTheFirstRunAndKeepsThem) {
  SearchPool pool(2);
  EXPECT_EQ(pool.started(), 0u);
  std::size_t calls = 0;
  pool.Run(0, [&] { ++calls; });
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(pool.started(), 0u);
  EXPECT_EQ(RunWith(pool, 1).size(), 2u);
  EXPECT_EQ(pool.started(), 1u);
  const auto threads = RunWith(pool, 2);
  EXPECT_EQ(threads.size(), 3u);
  EXPECT_TRUE(threads.contains(std::this_thread::get_id()));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(RunWith(pool, 2), threads);
  EXPECT_EQ(pool.started(), 2u);
}

TEST(SearchPool, NeverStartsMoreThanItMay) {
  SearchPool pool(3);
  std::atomic<int> calls{0};
  pool.Run(100, [&] { ++calls; });
  EXPECT_LE(pool.started(), 3u);
  EXPECT_GE(calls, 1);
  EXPECT_LE(calls, 4);
  SearchPool none(0);
  std::size_t alone = 0;
  none.Run(5, [&] { ++alone; });
  EXPECT_EQ(alone, 1u);
}

TEST(SearchPool, BusyHelpersAreNotWaitedFor) {
  SearchPool pool(1);
  absl::Notification helper_is_in, go_on;
  const std::thread::id me = std::this_thread::get_id();
  std::thread other([&] {
    const std::thread::id caller = std::this_thread::get_id();
    pool.Run(1, [&] {
      if (std::this_thread::get_id() != caller) helper_is_in.Notify();
      go_on.WaitForNotification();
    });
  });
  helper_is_in.WaitForNotification();
  std::vector<std::thread::id> threads;
  pool.Run(1, [&] { threads.push_back(std::this_thread::get_id()); });
  EXPECT_EQ(threads, std::vector<std::thread::id>{me});
  go_on.Notify();
  other.join();
  EXPECT_EQ(RunWith(pool, 1).size(), 2u);  // free again
}

TEST(SearchPool, ManySearchesShareItAndAllWorkIsDone) {
  SearchPool pool(3);
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&pool, caller] {
      for (std::size_t round = 0; round < 300; ++round) {
        const std::size_t items = 1 + (caller * 7 + round) % 40;
        std::atomic<std::size_t> next{0};
        std::vector<int> done(items, 0);
        pool.Run(1 + round % 4, [&] {
          for (std::size_t i = next++; i < items; i = next++) ++done[i];
        });
        EXPECT_EQ(done, std::vector<int>(items, 1));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_LE(pool.started(), 3u);
}

TEST(SearchPool, StoppedItLeavesTheCallerToWorkAlone) {
  SearchPool pool(2);
  EXPECT_EQ(RunWith(pool, 2).size(), 3u);
  std::vector<std::thread> stoppers;
  for (int i = 0; i < 3; ++i) stoppers.emplace_back([&pool] { pool.Stop(); });
  for (std::thread& stopper : stoppers) stopper.join();
  EXPECT_EQ(pool.started(), 0u);
  std::size_t calls = 0;
  pool.Run(2, [&] { ++calls; });
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(pool.started(), 0u);
}

TEST(SearchPool, WithoutAThreadToBeHadTheCallerWorksAlone) {
  pthread_attr_t usual, greedy;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_getattr_default_np(&greedy), 0);
  // No address space holds such a stack, so that no thread can start.
  ASSERT_EQ(::pthread_attr_setstacksize(&greedy, std::size_t{1} << 48), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&greedy), 0);
  SearchPool pool(2);
  std::size_t calls = 0;
  pool.Run(2, [&] { ++calls; });
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(pool.started(), 0u);
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  EXPECT_EQ(RunWith(pool, 2).size(), 3u);  // and with threads again it has help
}

std::ptrdiff_t Threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

// Returns: how many threads there are once it is `expected`, or after a long wait for that: a
// thread that was joined is listed for a moment still.
std::ptrdiff_t ThreadsSettledAt(std::ptrdiff_t expected) {
  for (int i = 0; i < 500 && Threads() != expected; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return Threads();
}

TEST(SearchPool, BelongsToTheStoreAndEndsWithIt) {
  constexpr std::uint32_t kDimension = 256;
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.search_threads = 4;
  {
    auto store = Store::Open(options, dir / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    const std::vector<float> vector(kDimension, 1.0f);
    std::uint64_t left = 10000;
    ASSERT_TRUE((*store)
                    ->Import({},
                             [&](ImportRow* row) -> absl::StatusOr<bool> {
                               row->vector = vector;
                               return left-- > 0;
                             })
                    .ok());
    ASSERT_TRUE((*store)->Seal().ok());
    ASSERT_TRUE((*store)->Close().ok());
  }
  for (const bool close : {true, false}) {
    options.read_only = true;  // so that no other thread comes and goes
    auto store = Store::Open(options, dir / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    const std::ptrdiff_t before = Threads();
    const std::vector<float> query(kDimension, 1.0f);
    SearchOptions alone;
    alone.threads = 1;
    ASSERT_TRUE((*store)->Search(alone, query).ok());
    EXPECT_EQ(Threads(), before);
    // All rows in f32: enough of them for all threads.
    SearchOptions with_help;
    with_help.plain = true;
    for (int i = 0; i < 20; ++i) ASSERT_TRUE((*store)->Search(with_help, query).ok());
    EXPECT_EQ(Threads(), before + 3);
    if (close) {
      ASSERT_TRUE((*store)->Close().ok());
    } else {
      store->reset();
    }
    EXPECT_EQ(ThreadsSettledAt(before), before);
  }
}

}  // namespace
}  // namespace engram::engine

#include "storage/base/fair_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace engram::storage {
namespace {

TEST(FairMutex, GoesToWhoAskedFirst) {
  FairMutex mutex;
  bool served = false;
  std::atomic<bool> asks = false;
  mutex.Lock();
  std::thread other([&] {
    asks = true;
    const FairMutexLock lock(&mutex);
    served = true;
  });
  while (!asks) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  mutex.Unlock();
  mutex.Lock();
  EXPECT_TRUE(served);
  mutex.Unlock();
  other.join();
}

TEST(FairMutex, HasOneHolderAtATime) {
  FairMutex mutex;
  int count = 0;
  const auto add = [&] {
    for (int i = 0; i < 2000; ++i) {
      const FairMutexLock lock(&mutex);
      ++count;
    }
  };
  std::thread a(add), b(add);
  add();
  a.join();
  b.join();
  EXPECT_EQ(count, 6000);
}

}  // namespace
}  // namespace engram::storage

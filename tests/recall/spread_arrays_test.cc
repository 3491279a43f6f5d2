// What arrays of spreadings are kept for later, and counted as.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "recall/spreading.h"

namespace engram::recall {
namespace {

constexpr std::size_t kNodes = 100000;
constexpr std::uint64_t kEach = kNodes * 21;  // 17 by node and one list

TEST(SpreadArraysPool, KeepsNoMoreBytesThanItMay) {
  SpreadArraysPool pool(3 * kEach + kEach / 2);
  EXPECT_EQ(pool.heap_bytes(), 0u);
  std::vector<std::unique_ptr<SpreadArrays>> taken;
  for (int i = 0; i < 8; ++i) taken.push_back(pool.Take(kNodes));
  EXPECT_GE(pool.heap_bytes(), 8 * kEach);
  const SpreadArrays* last = taken.back().get();
  while (!taken.empty()) {
    pool.Give(std::move(taken.back()));
    taken.pop_back();
  }
  EXPECT_GE(pool.heap_bytes(), 3 * kEach);
  EXPECT_LE(pool.heap_bytes(), 3 * kEach + kEach / 2);
  // What was kept is what is taken.
  bool found = false;
  for (int i = 0; i < 3; ++i) {
    taken.push_back(pool.Take(kNodes));
    found |= taken.back().get() == last;
  }
  EXPECT_TRUE(found);
}

TEST(SpreadArraysPool, KeepsOneHoweverLargeItIs) {
  SpreadArraysPool pool(1000);
  auto one = pool.Take(kNodes), other = pool.Take(kNodes);
  const SpreadArrays* first = one.get();
  pool.Give(std::move(one));
  pool.Give(std::move(other));
  EXPECT_GE(pool.heap_bytes(), kEach);
  EXPECT_LT(pool.heap_bytes(), 2 * kEach);
  EXPECT_EQ(pool.Take(kNodes).get(), first);
}

// Lists that a spreading has made long are counted when they are given back.
TEST(SpreadArraysPool, CountsWhatGrew) {
  SpreadArraysPool pool;
  auto arrays = pool.Take(10);
  const std::uint64_t before = pool.heap_bytes();
  arrays->touched.reserve(1000000);
  pool.Give(std::move(arrays));
  EXPECT_GE(pool.heap_bytes(), before + 4000000);
}

}  // namespace
}  // namespace engram::recall

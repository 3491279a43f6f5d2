// Tombstones against a std::set, over random changes.
#include "storage/tombstones.h"

#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <set>

namespace engram::storage {
namespace {

TEST(Tombstones, AgreeWithASetUnderRandomChanges) {
  constexpr unsigned kSeed = 7;
  std::mt19937_64 random(kSeed);
  Tombstones tombstones;
  std::set<std::uint64_t> model;
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint64_t> rows;
    for (int i = 0; i < 20; ++i) rows.push_back(random() % 200000);
    const bool add = random() % 3 != 0;
    tombstones = add ? tombstones.With(rows) : tombstones.Without(rows);
    for (const std::uint64_t row : rows) add ? (void)model.insert(row) : (void)model.erase(row);
    const std::uint64_t first = random() % 200000, end = first + random() % 100000;
    const auto expected = std::distance(model.lower_bound(first), model.lower_bound(end));
    ASSERT_EQ(tombstones.CountIn(first, end), static_cast<std::uint64_t>(expected));
    ASSERT_EQ(tombstones.size(), model.size());
    ASSERT_EQ(tombstones.Contains(rows[0]), add);
  }
}

TEST(Tombstones, AnOlderSetDoesNotChange) {
  const std::uint64_t row = 70000;
  const Tombstones empty;
  const Tombstones one = empty.With({&row, 1});
  const Tombstones none = one.Without({&row, 1});
  EXPECT_FALSE(empty.Contains(row));
  EXPECT_TRUE(one.Contains(row));
  EXPECT_FALSE(none.Contains(row));
}

TEST(Tombstones, FarRowsTakeNoMoreRoomThanNearOnes) {
  const std::vector<std::uint64_t> near = {1, 70000}, far = {1, (std::uint64_t{1} << 56) - 1};
  const Tombstones set = Tombstones().With(far);
  EXPECT_EQ(set.HeapBytes(), Tombstones().With(near).HeapBytes());
  EXPECT_TRUE(set.Contains(far[1]));
  EXPECT_FALSE(set.Contains(far[1] - 1));
  EXPECT_EQ(set.CountIn(0, std::uint64_t{1} << 56), 2u);
  EXPECT_EQ(set.CountIn(2, far[1]), 0u);
}

TEST(Tombstones, WhatIsEmptyTakesNoRoom) {
  std::vector<std::uint64_t> rows;
  for (std::uint64_t chunk = 0; chunk < 100; ++chunk) rows.push_back(chunk * 65536 + 5);
  const Tombstones full = Tombstones().With(rows);
  rows.pop_back();
  const Tombstones one = full.Without(rows);
  EXPECT_EQ(one.size(), 1u);
  EXPECT_TRUE(one.Contains(99 * 65536 + 5));
  EXPECT_LT(one.HeapBytes() * 4, full.HeapBytes());
}

}  // namespace
}  // namespace engram::storage

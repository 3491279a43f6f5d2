// Every table this machine runs, against double, with the bound of the class.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/dispatch.h"

namespace engram::kernels {
namespace {

class KernelsTest : public ::testing::TestWithParam<const engram_kernels*> {};

std::vector<const engram_kernels*> Usable() {
  std::vector<const engram_kernels*> tables;
  for (const Choice& choice : AllKernels()) {
    if (choice.usable) tables.push_back(choice.table);
  }
  return tables;
}

TEST_P(KernelsTest, AgreesWithDoubleAtEveryLengthAndAlignment) {
  const engram_kernels& table = *GetParam();
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const std::size_t d : {1, 3, 7, 31, 32, 33, 97, 100, 384, 768, 1536, 4096}) {
    constexpr std::size_t kRows = 5;
    const std::size_t pitch = d + 3;
    std::vector<float> query(d + 1), rows(kRows * pitch + 1);
    for (float& value : query) value = normal(random);
    for (float& value : rows) value = normal(random);
    float dots[kRows], distances[kRows];
    // One float off the allocation's alignment.
    table.dot(query.data() + 1, rows.data() + 1, kRows, d, pitch, dots);
    table.l2_squared(query.data() + 1, rows.data() + 1, kRows, d, pitch, distances);
    for (std::size_t r = 0; r < kRows; ++r) {
      double dot = 0, l2 = 0, qq = 0, xx = 0;
      for (std::size_t i = 0; i < d; ++i) {
        const double q = query[1 + i], x = rows[1 + r * pitch + i];
        dot += q * x;
        l2 += (q - x) * (q - x);
        qq += q * q;
        xx += x * x;
      }
      const double sums = table.lanes * table.accumulators;
      const double steps = static_cast<double>(d) / sums + std::log2(sums) + 2;
      EXPECT_NEAR(dots[r], dot, steps * std::ldexp(std::sqrt(qq * xx), -23)) << d;
      EXPECT_NEAR(distances[r], l2, (steps + 2) * std::ldexp(l2, -23)) << d;
    }
  }
}

TEST_P(KernelsTest, EqualRowsScoreEqualBitsWhereverTheyLie) {
  const engram_kernels& table = *GetParam();
  constexpr std::size_t kDimension = 101, kRows = 33;
  std::vector<float> query(kDimension), rows;
  for (std::size_t i = 0; i < kDimension; ++i) query[i] = std::sin(static_cast<float>(i));
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t i = 0; i < kDimension; ++i) rows.push_back(std::cos(static_cast<float>(i)));
  }
  float scores[kRows];
  table.dot(query.data(), rows.data(), kRows, kDimension, kDimension, scores);
  for (const float score : scores) EXPECT_EQ(score, scores[0]);
}

TEST_P(KernelsTest, AClassGivesEqualBits) {
  const engram_kernels& table = *GetParam();
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  std::vector<float> query(768), row(768);
  for (float& value : query) value = normal(random);
  for (float& value : row) value = normal(random);
  float mine = 0, other = 0;
  table.dot(query.data(), row.data(), 1, 768, 768, &mine);
  for (const engram_kernels* peer : Usable()) {
    if (peer->lanes != table.lanes || peer->accumulators != table.accumulators ||
        peer->fma != table.fma) {
      continue;
    }
    peer->dot(query.data(), row.data(), 1, 768, 768, &other);
    EXPECT_EQ(mine, other) << peer->name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, KernelsTest, ::testing::ValuesIn(Usable()), [](const auto& given) {
  std::string name = given.param->name;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

TEST(Dispatch, BestIsUsableAndUnknownIsNull) {
  ASSERT_NE(FindKernels(""), nullptr);
  EXPECT_EQ(FindKernels(FindKernels("")->name), FindKernels(""));
  EXPECT_EQ(FindKernels("no such"), nullptr);
}

}  // namespace
}  // namespace engram::kernels

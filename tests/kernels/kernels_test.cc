// Every table this machine runs, against double, with the bound of the class.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

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

std::vector<const engram_kernels*> PeersOf(const engram_kernels& table) {
  std::vector<const engram_kernels*> peers;
  for (const engram_kernels* peer : Usable()) {
    if (peer != &table && peer->lanes == table.lanes && peer->accumulators == table.accumulators &&
        peer->fma == table.fma) {
      peers.push_back(peer);
    }
  }
  return peers;
}

// Equal as bits, but that one NaN is as good as another.
void ExpectEqualBits(const std::vector<float>& mine, const std::vector<float>& other,
                     const char* peer, std::size_t d) {
  for (std::size_t r = 0; r < mine.size(); ++r) {
    if (std::isnan(mine[r]) && std::isnan(other[r])) continue;
    std::uint32_t a, b;
    std::memcpy(&a, &mine[r], sizeof a);
    std::memcpy(&b, &other[r], sizeof b);
    EXPECT_EQ(a, b) << peer << ", dimension " << d << ", row " << r;
  }
}

void ExpectPeersGiveEqualBits(const engram_kernels& table, const std::vector<float>& query,
                              const std::vector<float>& rows, std::size_t d, std::size_t offset) {
  const std::size_t count = (rows.size() - offset) / d;
  std::vector<float> mine(count), other(count);
  for (const engram_kernels* peer : PeersOf(table)) {
    for (const auto kernel : {&engram_kernels::dot, &engram_kernels::l2_squared}) {
      (table.*kernel)(query.data() + offset, rows.data() + offset, count, d, d, mine.data());
      (peer->*kernel)(query.data() + offset, rows.data() + offset, count, d, d, other.data());
      ExpectEqualBits(mine, other, peer->name, d);
    }
  }
}

TEST_P(KernelsTest, AClassGivesEqualBits) {
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  for (const std::size_t d :
       {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 97, 100, 127, 384, 768, 1536, 4096}) {
    std::vector<float> query(d + 1), rows(64 * d + 1);
    for (float& value : query) value = normal(random);
    for (float& value : rows) value = normal(random);
    for (const std::size_t offset : {0, 1}) {
      ExpectPeersGiveEqualBits(*GetParam(), query, rows, d, offset);
    }
  }
}

TEST_P(KernelsTest, AClassGivesEqualBitsOnZeroDenormalInfiniteAndNanRows) {
  const float strange[] = {0.0f, -0.0f, 1e-40f, -1e-45f, 3e38f, INFINITY, -INFINITY, NAN, 1e-20f};
  for (const std::size_t d : {1, 3, 7, 32, 97, 100, 768}) {
    std::vector<float> query(d, 0.5f), rows;
    std::mt19937 random(7);
    for (const float filler : {0.0f, 1e-41f, 1.0f}) {
      for (const float value : strange) {
        std::vector<float> row(d, filler);
        row[random() % d] = value;
        row[d - 1] = value;
        rows.insert(rows.end(), row.begin(), row.end());
      }
    }
    ExpectPeersGiveEqualBits(*GetParam(), query, rows, d, 0);
  }
}

TEST_P(KernelsTest, ZeroInfiniteAndNanRowsScoreAsArithmeticSays) {
  const engram_kernels& table = *GetParam();
  for (const std::size_t d : {1, 3, 7, 33, 100}) {
    std::vector<float> query(d, 2.0f), rows(3 * d, 0.0f);
    rows[d + d / 2] = INFINITY;
    rows[3 * d - 1] = NAN;
    float scores[3];
    table.dot(query.data(), rows.data(), 3, d, d, scores);
    EXPECT_EQ(scores[0], 0.0f);
    EXPECT_EQ(scores[1], INFINITY);
    EXPECT_TRUE(std::isnan(scores[2]));
    table.l2_squared(query.data(), rows.data(), 3, d, d, scores);
    EXPECT_EQ(scores[0], 4.0f * static_cast<float>(d));
    EXPECT_EQ(scores[1], INFINITY);
    EXPECT_TRUE(std::isnan(scores[2]));
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

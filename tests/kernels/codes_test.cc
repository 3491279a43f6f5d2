// Bounds of superblocks, the scan over them and exact sums of 8-bit codes, of every table of the
// machine against plain integers and floats in the contract's order: all tables owe equal bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"

namespace engram::kernels {
namespace {

constexpr std::size_t kRows = ENGRAM_SUPERBLOCK_ROWS;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The seed is part of every failure.
std::string Named(unsigned seed, std::size_t groups, std::size_t count) {
  return "seed " + std::to_string(seed) + ", groups " + std::to_string(groups) + ", superblocks " +
         std::to_string(count);
}

// Superblocks, 64-byte aligned and with nothing behind them, beside the codes they were made of.
class Plane {
 public:
  Plane(std::size_t groups, std::size_t count, unsigned seed)
      : groups_(groups), count_(count), codes_(count * kRows * groups * 8) {
    std::mt19937 random(seed);
    for (auto& code : codes_) code = static_cast<std::uint8_t>(random() % 16);
    for (std::size_t i = 0; i < count * kRows; ++i) {
      scales_.push_back(static_cast<float>(random() % 2000) / 1000.0f - 0.5f);
      residuals_.push_back(static_cast<std::uint8_t>(random()));
      tails_.push_back(static_cast<std::uint8_t>(random()));
      norms_.push_back(static_cast<float>(random() % 1000) / 250.0f);
    }
    query_.resize(groups * 8);
    for (auto& code : query_) {
      code = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
    }
  }
  void FillCodes(std::uint8_t code) { std::fill(codes_.begin(), codes_.end(), code); }
  void FillQuery(std::int8_t code) { std::fill(query_.begin(), query_.end(), code); }
  float& scale(std::size_t row) { return scales_[row]; }
  const float* norms() const { return norms_.data(); }
  std::size_t rows() const { return count_ * kRows; }

  engram_code_query Query(float threshold) const {
    int sum = 0;
    for (const auto code : query_) sum += code;
    return {query_.data(), static_cast<std::uint32_t>(groups_), 15 * sum, 1.7f, 3.3f, 2.9f,
            threshold};
  }

  // A block of its own size, so that a sanitizer sees what is read beyond it.
  struct Free {
    void operator()(void* at) const { std::free(at); }
  };
  std::unique_ptr<std::uint8_t, Free> Superblocks() const {
    const std::size_t pitch = groups_ * 256 + 384,
                      bytes = std::max<std::size_t>(pitch * count_, 64);
    std::unique_ptr<std::uint8_t, Free> made(
        static_cast<std::uint8_t*>(std::aligned_alloc(64, bytes)));
    for (std::size_t row = 0; row < rows(); ++row) {
      std::uint8_t* block = made.get() + row / kRows * pitch;
      const std::size_t r = row % kRows;
      for (std::size_t g = 0; g < groups_; ++g) {
        const std::uint8_t* codes = codes_.data() + (row * groups_ + g) * 8;
        for (std::size_t b = 0; b < 4; ++b) {
          block[256 * g + 4 * r + b] = static_cast<std::uint8_t>(codes[b] | codes[4 + b] << 4);
        }
      }
      std::uint8_t* trailer = block + 256 * groups_;
      std::memcpy(trailer + 4 * r, &scales_[row], 4);
      trailer[256 + r] = residuals_[row];
      trailer[320 + r] = tails_[row];
    }
    return made;
  }

  // Volatile, so that each operation is rounded by itself whatever this test is compiled with.
  float Bound(std::size_t row, bool with_norms) const {
    std::int64_t j = 0;
    for (std::size_t i = 0; i < groups_ * 8; ++i) {
      j += query_[i] * (2 * codes_[row * groups_ * 8 + i] - 15);
    }
    const engram_code_query query = Query(0.0f);
    volatile float sum = static_cast<float>(j);
    volatile float residual = static_cast<float>(residuals_[row]) * query.residual;
    volatile float tail = static_cast<float>(tails_[row]) * query.tail;
    sum = sum + residual;
    sum = sum + tail;
    volatile float bound = scales_[row] * sum;
    if (!with_norms) return bound;
    volatile float norm = norms_[row] * norms_[row];
    norm = norm * query.norm;
    bound = bound - norm;
    return bound;
  }
  // The same without rounding, and how far the rounded one may be from it.
  double Exact(std::size_t row, bool with_norms, double* allowed) const {
    double j = 0;
    for (std::size_t i = 0; i < groups_ * 8; ++i) {
      j += query_[i] * (2.0 * codes_[row * groups_ * 8 + i] - 15.0);
    }
    const engram_code_query query = Query(0.0f);
    const double residual = double{query.residual} * residuals_[row];
    const double tail = double{query.tail} * tails_[row], scale = scales_[row];
    const double norm = with_norms ? double{norms_[row]} * norms_[row] * query.norm : 0.0;
    *allowed = std::ldexp(std::abs(scale) * (std::abs(j) + residual + tail) + norm, -20);
    return scale * ((j + residual) + tail) - norm;
  }

 private:
  std::size_t groups_, count_;
  std::vector<std::uint8_t> codes_, residuals_, tails_;
  std::vector<float> scales_, norms_;
  std::vector<std::int8_t> query_;
};

std::uint32_t BitsOf(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Equal as bits, but that one NaN is as good as another.
void ExpectSame(float mine, float expected, const std::string& where, std::size_t row) {
  if (std::isnan(mine) && std::isnan(expected)) return;
  EXPECT_EQ(BitsOf(mine), BitsOf(expected)) << where << ", row " << row;
}

class CodesTest : public ::testing::TestWithParam<const engram_kernels*> {
 protected:
  static constexpr float kCanary = -12345.5f;
  static constexpr std::uint32_t kRowCanary = 0xABCDEF01;

  void SetUp() override {
    for (const Choice& choice : AllKernels()) {
      if (choice.table == GetParam() && !choice.usable) {
        GTEST_SKIP() << GetParam()->name << " needs instructions that this CPU has not";
      }
    }
  }

  // Estimates and scans `plane` with `threshold` and both forms of norms.
  void Check(const Plane& plane, float threshold, const std::string& where) {
    const auto superblocks = plane.Superblocks();
    for (const bool with_norms : {false, true}) {
      std::vector<float> expected;
      for (std::size_t row = 0; row < plane.rows(); ++row) {
        expected.push_back(plane.Bound(row, with_norms));
      }
      const float* norms = with_norms ? plane.norms() : nullptr;
      CheckEstimate(plane, superblocks.get(), norms, expected, where);
      for (const std::size_t found : {0, 7}) {
        CheckScan(plane, superblocks.get(), norms, expected, threshold, found, where);
      }
    }
  }

  void CheckEstimate(const Plane& plane, const std::uint8_t* superblocks, const float* norms,
                     const std::vector<float>& expected, const std::string& where) {
    std::vector<float> out(plane.rows() + 1, kCanary);
    const engram_code_query query = plane.Query(0.0f);
    GetParam()->estimate(&query, superblocks, norms, plane.rows() / kRows, out.data());
    for (std::size_t row = 0; row < plane.rows(); ++row) {
      ExpectSame(out[row], expected[row], where, row);
    }
    EXPECT_EQ(out.back(), kCanary) << where;
  }

  void CheckScan(const Plane& plane, const std::uint8_t* superblocks, const float* norms,
                 const std::vector<float>& expected, float threshold, std::size_t found,
                 const std::string& where) {
    const std::size_t room = found + plane.rows() + 16;
    std::vector<std::uint32_t> rows(room + 1, kRowCanary);
    std::vector<float> bounds(room + 1, kCanary);
    const engram_code_query query = plane.Query(threshold);
    const std::size_t end = GetParam()->scan(&query, superblocks, norms, plane.rows() / kRows,
                                             rows.data(), bounds.data(), found);
    std::size_t at = found;
    for (std::size_t row = 0; row < plane.rows(); ++row) {
      if (!(expected[row] >= threshold)) continue;
      ASSERT_LT(at, end) << where << ", row " << row;
      EXPECT_EQ(rows[at], row) << where;
      ExpectSame(bounds[at++], expected[row], where, row);
    }
    EXPECT_EQ(end, at) << where;
    for (std::size_t i = 0; i < found; ++i) {
      EXPECT_EQ(rows[i], kRowCanary) << where;
      EXPECT_EQ(bounds[i], kCanary) << where;
    }
    EXPECT_EQ(rows[room], kRowCanary) << where;
    EXPECT_EQ(bounds[room], kCanary) << where;
  }
};

TEST_P(CodesTest, BoundsAreThoseOfPlainArithmeticAtEveryNumberOfGroups) {
  for (const std::size_t groups : {1, 2, 3, 4, 5, 12, 13, 33, 48, 96, 1024}) {
    for (const std::size_t count : {0, 1, 2, 5}) {
      if (groups == 1024 && count > 1) continue;
      const unsigned seed = static_cast<unsigned>(groups * 10 + count);
      const Plane plane(groups, count, seed);
      for (const float threshold : {-kInfinity, 0.0f, 500.0f, kInfinity}) {
        Check(plane, threshold, Named(seed, groups, count));
      }
    }
  }
}

TEST_P(CodesTest, BoundsAreCloseToThoseOfDouble) {
  const Plane plane(48, 2, 3);
  const auto superblocks = plane.Superblocks();
  const engram_code_query query = plane.Query(0.0f);
  std::vector<float> out(plane.rows());
  for (const bool with_norms : {false, true}) {
    GetParam()->estimate(&query, superblocks.get(), with_norms ? plane.norms() : nullptr, 2,
                         out.data());
    for (std::size_t row = 0; row < plane.rows(); ++row) {
      double allowed;
      const double exact = plane.Exact(row, with_norms, &allowed);
      EXPECT_NEAR(out[row], exact, allowed) << "seed 3, row " << row;
    }
  }
}

TEST_P(CodesTest, TheGreatestSumsNeitherOverflowNorSaturate) {
  for (const std::size_t groups : {1, 4, 13, 48, 1024, 8192}) {
    for (const int code : {0, 15}) {
      for (const int query : {-127, 127}) {
        Plane plane(groups, 1, 4);
        plane.FillCodes(static_cast<std::uint8_t>(code));
        plane.FillQuery(static_cast<std::int8_t>(query));
        Check(plane, 0.0f,
              Named(4, groups, 1) + ", codes " + std::to_string(code) + ", query " +
                  std::to_string(query));
      }
    }
  }
}

TEST_P(CodesTest, ABoundAtTheThresholdIsKeptAndOneBelowItIsNot) {
  const Plane plane(13, 2, 5);
  for (const bool with_norms : {false, true}) {
    for (std::size_t row = 0; row < plane.rows(); ++row) {
      const float bound = plane.Bound(row, with_norms);
      Check(plane, bound, Named(5, 13, 2));
      Check(plane, std::nextafterf(bound, kInfinity), Named(5, 13, 2));
    }
  }
}

TEST_P(CodesTest, HitsAreFoundInEveryLaneAndNanIsNone) {
  for (std::size_t hit = 0; hit < 2 * kRows; ++hit) {
    Plane plane(12, 2, 6);
    for (std::size_t row = 0; row < plane.rows(); ++row) {
      if (row != hit) plane.scale(row) = row % 3 == 0 ? kNan : -0.0f;
    }
    plane.scale(hit) = plane.Bound(hit, false) < 0 ? -1e9f : 1e9f;
    Check(plane, 1e6f, Named(6, 12, 2) + ", hit " + std::to_string(hit));
  }
  Plane plane(12, 2, 7);
  for (const float scale : {kNan, kInfinity, -kInfinity, 1e-42f, 3e38f}) {
    for (std::size_t row = 0; row < plane.rows(); row += 2) plane.scale(row) = scale;
    for (const float threshold : {-kInfinity, 0.0f, kInfinity, kNan}) {
      Check(plane, threshold, Named(7, 12, 2));
    }
  }
}

// Rows of codes that end where their block ends, and end in a canary's stead.
TEST_P(CodesTest, FineSumsAreThoseOfPlainIntegersInAnyOrderAndPitch) {
  std::mt19937 random(8);
  for (const std::size_t d : {1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 97, 100, 384, 768, 1536, 4099}) {
    for (const std::size_t pitch : {d, d + 1, d + 64}) {
      constexpr std::size_t kCount = 40;
      std::vector<std::int8_t> rows((kCount - 1) * pitch + d);
      std::vector<std::int16_t> query(d);
      for (auto& code : rows) code = static_cast<std::int8_t>(random());
      for (auto& code : query) {
        code = static_cast<std::int16_t>(static_cast<int>(random() % 8191) - 4095);
      }
      std::vector<std::uint32_t> which;
      for (std::size_t i = 0; i < 3 * kCount; ++i) {
        which.push_back(static_cast<std::uint32_t>(random() % kCount));
      }
      which.push_back(kCount - 1);
      which.push_back(0);
      for (const std::size_t count : {std::size_t{0}, std::size_t{1}, which.size()}) {
        std::vector<std::int32_t> out(which.size() + 1, -77);
        GetParam()->fine(query.data(), rows.data(), pitch, d, which.data(), count, out.data());
        for (std::size_t i = 0; i < count; ++i) {
          std::int64_t sum = 0;
          for (std::size_t j = 0; j < d; ++j) sum += query[j] * rows[which[i] * pitch + j];
          EXPECT_EQ(out[i], sum) << "seed 8, dimension " << d << ", pitch " << pitch;
        }
        EXPECT_EQ(out[count], -77);
      }
    }
  }
}

TEST_P(CodesTest, TheGreatestFineSumsAreExact) {
  for (const std::size_t d : {1, 2, 16, 31, 100, 512}) {
    for (const int code : {-128, 127}) {
      for (const int query : {-32768, 32767}) {
        const std::vector<std::int8_t> row(d, static_cast<std::int8_t>(code));
        const std::vector<std::int16_t> wide(d, static_cast<std::int16_t>(query));
        // 512 products of -32768 and -128 are 2^31, one more than an int32 has.
        const std::int64_t sum = std::int64_t{code} * query * static_cast<std::int64_t>(d);
        if (sum > std::numeric_limits<std::int32_t>::max()) continue;
        const std::uint32_t which = 0;
        std::int32_t out = 0;
        GetParam()->fine(wide.data(), row.data(), d, d, &which, 1, &out);
        EXPECT_EQ(out, sum) << d;
      }
    }
  }
}

// Those that this CPU cannot run are skipped by name.
std::vector<const engram_kernels*> AllTables() {
  std::vector<const engram_kernels*> tables;
  for (const Choice& choice : AllKernels()) tables.push_back(choice.table);
  return tables;
}

INSTANTIATE_TEST_SUITE_P(All, CodesTest, ::testing::ValuesIn(AllTables()), [](const auto& given) {
  std::string name = given.param->name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace engram::kernels

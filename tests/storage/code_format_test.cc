// The bytes of codes are frozen; what they claim of their rows is true, in long double and from
// the stored bytes alone; what no coder wrote is refused.
#include "storage/format/code_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "storage/base/hash.h"

namespace engram::storage {
namespace {

using Random = std::mt19937_64;
using Vector = std::vector<float>;

// Numbers that every machine makes alike: in (-1, 1), small ones more often, none zero.
Vector FrozenNumbers(std::size_t count, std::uint64_t seed) {
  Vector numbers(count);
  for (float& number : numbers) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const auto a = static_cast<std::int32_t>(seed >> 47) - 65536;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const auto b = static_cast<std::int32_t>(seed >> 56) - 128;
    number = static_cast<float>(a | 1) * static_cast<float>(b | 1) * 0x1p-23f;
  }
  return numbers;
}

// `count` rows that all in all lengthen nothing: no entry exceeds 1 / dimension.
struct Matrix {
  Matrix(std::uint32_t dimension, std::uint32_t count)
      : rows(FrozenNumbers(std::size_t{dimension} * count, 99)), code_dimensions(count) {
    for (float& value : rows) value /= static_cast<float>(dimension);
  }
  RotationView view() const {
    return {.rows = rows.data(), .code_dimensions = code_dimensions, .hash = 0x1234567890abcdef};
  }
  Vector rows;
  std::uint32_t code_dimensions;
};

struct Frozen {
  std::uint32_t dimension;
  bool rotated, normalised;
  std::uint64_t codes, fine;
};

constexpr Frozen kFrozen[] = {
    {1, false, false, 0x4f1886e1f3430918, 0xa63e77cb1d6f0282},
    {1, false, true, 0x34fae2b174bcea9f, 0xf4336a8d459907e7},
    {1, true, false, 0xe44bab9c36fe536c, 0xa63e77cb1d6f0282},
    {1, true, true, 0xfb014e7687f3f100, 0xf4336a8d459907e7},
    {7, false, false, 0x8bdb5cbba1c2e163, 0x153cee77ecfd3b2e},
    {7, false, true, 0xe7e4679b1c3a8e67, 0x88232cee30d5b131},
    {7, true, false, 0x78ac5d3ccddd9ecf, 0x153cee77ecfd3b2e},
    {7, true, true, 0x38381d5bf3ebd291, 0x88232cee30d5b131},
    {8, false, false, 0x68a80b46441f1ca5, 0x19c01c91c737cbdf},
    {8, false, true, 0xacac413c47b75b28, 0xdb39a051ed67652f},
    {8, true, false, 0x2deb78aca2350405, 0x19c01c91c737cbdf},
    {8, true, true, 0x32b007ef2eba3af8, 0xdb39a051ed67652f},
    {100, false, false, 0xb3c6b28ad26de1d, 0x216b2d6e65adc9a8},
    {100, false, true, 0x3ec6b8347ac76f6e, 0x2b94e8eadf6ad405},
    {100, true, false, 0x7ae1ac0af633a3c3, 0x216b2d6e65adc9a8},
    {100, true, true, 0xd0b50208af53b475, 0x2b94e8eadf6ad405},
    {384, false, false, 0x307d889bdf4478f9, 0x3f632adbb1742a8d},
    {384, false, true, 0x6869989ce3de1d47, 0xfb2975d6ed37f5f7},
    {384, true, false, 0xbfb5271a01fbb48c, 0x3f632adbb1742a8d},
    {384, true, true, 0x966609074f6a6265, 0xfb2975d6ed37f5f7},
};

TEST(CodeFormat, BytesAreFrozen) {
  constexpr std::size_t kRows = 130;
  for (const Frozen& frozen : kFrozen) {
    const Vector rows = FrozenNumbers(kRows * frozen.dimension, frozen.dimension);
    const Matrix matrix(frozen.dimension, frozen.dimension * 2 / 3 + 1);
    const RotationView view = matrix.view();
    const CodePayloads payloads = EncodeCodes(frozen.dimension, frozen.normalised, rows.data(),
                                              kRows, frozen.rotated ? &view : nullptr);
    EXPECT_TRUE(Hash64(payloads.codes) == frozen.codes && Hash64(payloads.fine) == frozen.fine)
        << "{" << frozen.dimension << ", " << frozen.rotated << ", " << frozen.normalised << ", 0x"
        << std::hex << Hash64(payloads.codes) << ", 0x" << Hash64(payloads.fine) << "},";
  }
}

enum Kind { kNormal, kOneHuge, kConstant, kTwoValued, kDenormal, kZeros, kSmall, kLarge, kKinds };

Vector RowOf(Kind kind, std::uint32_t dimension, bool normalised, Random& random) {
  std::normal_distribution<float> normal;
  Vector row(dimension);
  for (float& value : row) value = normal(random);
  float& some = row[random() % dimension];
  switch (kind) {
    case kOneHuge: some = 1e5f; break;
    case kConstant: std::fill(row.begin(), row.end(), row[0]); break;
    case kTwoValued:
      for (float& value : row) value = value < 0 ? -0.1f : 0.1f;
      break;
    case kDenormal:
      for (float& value : row) value *= 1e-40f;
      some = 1;
      break;
    case kZeros:
      std::fill(row.begin(), row.end(), 0.0f);
      if (normalised || random() % 2 == 0) some = -1;
      break;
    case kSmall:
      some = 2;
      for (float& value : row) value *= normalised ? 0x1p-90f : 0x1p-39f;
      break;
    case kLarge:
      for (float& value : row) value *= normalised ? 0x1p100f : 0x1p32f;
      break;
    default: break;
  }
  return row;
}

long double NormOf(const std::vector<long double>& vector) {
  long double sum = 0;
  for (const long double value : vector) sum += value * value;
  return std::sqrt(sum);
}

// M x exactly; without a rotation x.
std::vector<long double> Turned(const RotationView* view, const std::vector<long double>& x) {
  if (view == nullptr) return x;
  std::vector<long double> y(view->code_dimensions);
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t j = 0; j < x.size(); ++j) y[i] += view->rows[i * x.size() + j] * x[j];
  }
  return y;
}

template <typename T>
T At(const void* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(bytes) + offset, sizeof value);
  return value;
}

// Everything that the format says of row `r`, which is `row`.
void CheckRow(const CodeView& codes, std::size_t r, const Vector& row,
              const RotationView* rotation) {
  const std::vector<long double> x(row.begin(), row.end());
  const long double norm = NormOf(x);
  const long double unit = codes.normalised ? 1 / norm : 1;
  std::vector<long double> u = x;
  for (long double& value : u) value *= unit;
  EXPECT_LE(codes.min_norm, NormOf(u) * (1 + 0x1p-60L));
  EXPECT_GE(codes.max_norm, NormOf(u) * (1 - 0x1p-50L));

  const std::uint8_t* superblock =
      codes.superblocks + r / kSuperblockRows * SuperblockBytes(codes.groups);
  const std::size_t lane = r % kSuperblockRows;
  const auto* ends = superblock + 256 * codes.groups;
  const double scale = At<float>(ends, 4 * lane);
  const double residual = ends[256 + lane] * double{codes.residual_step} * scale;
  const double tail = ends[256 + 64 + lane] * double{codes.tail_step} * scale;

  // y as it was coded is in f32.
  std::vector<long double> y = u;
  if (rotation != nullptr) {
    Vector turned(rotation->code_dimensions);
    Rotate(*rotation, static_cast<std::uint32_t>(row.size()), row.data(), 1, turned.data());
    y.assign(turned.begin(), turned.end());
    for (long double& value : y) value *= unit;
    const auto exact = Turned(rotation, u);
    auto error = y;
    for (std::size_t j = 0; j < error.size(); ++j) error[j] -= exact[j];
    EXPECT_LE(NormOf(error),
              RotationError(static_cast<std::uint32_t>(row.size()), rotation->code_dimensions) *
                  NormOf(u));
    const long double kept = NormOf(exact), all = NormOf(u);
    EXPECT_GE(tail, std::sqrt(std::max(0.0L, all * all - kept * kept))) << "row " << r;
  } else {
    EXPECT_EQ(tail, 0);
  }
  std::vector<long double> missed = y, stood_for(y.size());
  long double cross = 0, squares = 0;
  for (std::size_t j = 0; j < y.size(); ++j) {
    const std::uint8_t byte = superblock[256 * (j / 8) + 4 * lane + j % 4];
    const int v = 2 * (j % 8 < 4 ? byte & 15 : byte >> 4) - 15;
    stood_for[j] = scale * v;
    missed[j] -= stood_for[j];
    cross += y[j] * v;
    squares += v * v;
  }
  EXPECT_GE(residual, NormOf(missed)) << "row " << r;
  // And not by more than a step.
  EXPECT_LE(residual, NormOf(missed) + scale * codes.residual_step * 1.01 + 1e-6 * NormOf(u));
  EXPECT_NEAR(static_cast<double>(scale * squares / (norm == 0 ? 1 : cross)), norm == 0 ? 0 : 1,
              0x1p-23);
  EXPECT_GE(codes.max_code_norm, NormOf(stood_for) * (1 - 0x1p-50L));
  EXPECT_GE(codes.max_residual, residual);
  EXPECT_GE(codes.max_tail, tail);

  const char* fine = codes.fine + r * FineRowBytes(static_cast<std::uint32_t>(row.size()));
  auto rest = u;
  for (std::size_t j = 0; j < rest.size(); ++j) {
    const auto code = static_cast<std::int8_t>(fine[8 + j]);
    EXPECT_NE(code, -128);
    rest[j] -= static_cast<long double>(At<float>(fine, 0)) * code;
  }
  EXPECT_GE(At<float>(fine, 4), NormOf(rest)) << "row " << r;
  EXPECT_LE(At<float>(fine, 4), (0.006 * std::sqrt(row.size()) + 1e-6) * NormOf(u)) << "row " << r;
}

TEST(CodeFormat, WhatItClaimsOfRowsIsTrue) {
  constexpr unsigned kSeed = 3;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const std::uint32_t dimension : {1u, 2u, 7u, 8u, 100u, 384u}) {
    const Matrix matrix(dimension, dimension * 2 / 3 + 1);
    const RotationView view = matrix.view();
    for (const RotationView* rotation : {static_cast<const RotationView*>(nullptr), &view}) {
      for (const bool normalised : {false, true}) {
        // One kind a block, and all together: the steps are the block's.
        for (int kind = 0; kind <= kKinds; ++kind) {
          SCOPED_TRACE(::testing::Message()
                       << "dimension " << dimension << ", rotated " << (rotation != nullptr)
                       << ", normalised " << normalised << ", kind " << kind);
          const std::size_t count = kind == kKinds ? 130 : 65;
          std::vector<Vector> rows;
          Vector floats;
          for (std::size_t i = 0; i < count; ++i) {
            const auto of = static_cast<Kind>(kind == kKinds ? i % kKinds : kind);
            rows.push_back(RowOf(of, dimension, normalised, random));
            floats.insert(floats.end(), rows[i].begin(), rows[i].end());
          }
          const CodePayloads payloads =
              EncodeCodes(dimension, normalised, floats.data(), count, rotation);
          const auto codes = DecodeCodes(payloads.codes, payloads.fine,
                                         static_cast<std::uint32_t>(count), dimension);
          ASSERT_TRUE(codes.ok()) << codes.status();
          ASSERT_EQ(codes->rows, count);
          ASSERT_EQ(codes->groups,
                    CodeGroups(rotation == nullptr ? dimension : rotation->code_dimensions));
          ASSERT_EQ(codes->normalised, normalised);
          ASSERT_EQ(codes->rotation, rotation == nullptr ? 0 : rotation->hash);
          for (std::size_t i = 0; i < count; ++i) CheckRow(*codes, i, rows[i], rotation);
          if (HasFailure()) return;
          // Rows beyond the block's are zeros.
          const std::size_t last = (codes->superblock_count() - 1) * SuperblockBytes(codes->groups);
          for (std::size_t lane = count % 64; lane < 64; ++lane) {
            EXPECT_EQ(At<float>(codes->superblocks, last + 256 * codes->groups + 4 * lane), 0);
            for (std::size_t g = 0; g < codes->groups; ++g) {
              EXPECT_EQ(At<std::uint32_t>(codes->superblocks, last + 256 * g + 4 * lane), 0u);
            }
          }
        }
      }
    }
  }
}

// A block in which one row has no codes: that row among others.
CodeView ViewWith(const Vector& row, bool normalised, const RotationView* rotation,
                  CodePayloads* payloads) {
  Vector rows(70 * row.size(), 1.0f);
  std::copy(row.begin(), row.end(), rows.begin() + static_cast<std::ptrdiff_t>(66 * row.size()));
  const auto dimension = static_cast<std::uint32_t>(row.size());
  *payloads = EncodeCodes(dimension, normalised, rows.data(), 70, rotation);
  const auto codes = DecodeCodes(payloads->codes, payloads->fine, 70, dimension);
  EXPECT_TRUE(codes.ok()) << codes.status();
  return codes.ok() ? *codes : CodeView();
}

TEST(CodeFormat, RowsThatF32DoesNotHoldTakeTheCodesFromTheirBlock) {
  const struct {
    Vector row;
    bool normalised, coded;
  } cases[] = {
      {{0x1p-41f, 0, 0, 0}, false, false},  {{0x1p-40f, 0, 0, 0}, false, true},
      {{0x1p40f, 0, 0, 0}, false, true},    {{0x1p41f, 0, 0, 0}, false, false},
      {{3e38f, 3e38f, 0, 0}, false, false}, {{0, 0, 0, 0}, false, true},
      {{0x1p-41f, 0, 0, 0}, true, true},    {{0x1p-101f, 0, 0, 0}, true, false},
      {{0x1p-99f, 0, 0, 0}, true, true},    {{3e38f, 0, 0, 0}, true, true},
      {{0, 0, 0, 0}, true, false},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(::testing::Message() << one.row[0] << ", normalised " << one.normalised);
    CodePayloads payloads;
    const CodeView codes = ViewWith(one.row, one.normalised, nullptr, &payloads);
    EXPECT_EQ(codes.rows, 70u);
    EXPECT_EQ(codes.groups, one.coded ? 1u : 0u);
    if (one.coded) continue;
    EXPECT_EQ(payloads.codes.size(), kCodeUnitBytes);
    EXPECT_TRUE(payloads.fine.empty());
  }
}

// However little a rotation leaves of a row, what is written reads back.
TEST(CodeFormat, RowsOfWhichTheRotationLeavesNothingTakeTheCodesFromTheirBlock) {
  const Vector first{1, 0, 0, 0, 0, 1, 0, 0};
  const RotationView view{.rows = first.data(), .code_dimensions = 2, .hash = 5};
  for (const bool normalised : {false, true}) {
    for (const float left : {0.0f, 1e-45f, 1e-40f, 1e-35f, 1e-30f, 1e-20f, 1e-10f}) {
      for (const float size : {1.0f, 1e12f}) {
        CodePayloads payloads;
        EXPECT_EQ(ViewWith({left, 0, 0, size}, normalised, &view, &payloads).groups, 0u);
        // A row of which something is left, beside it.
        EXPECT_EQ(ViewWith({0.001f * size, left, 0, size}, normalised, &view, &payloads).groups,
                  1u);
      }
    }
    // Sums of the largest rows, which f32 may not hold.
    CodePayloads payloads;
    const Vector odd{0.7f, 0.7f, 0, 0, 0.7f, -0.7f, 0, 0};
    const RotationView turn{.rows = odd.data(), .code_dimensions = 2, .hash = 6};
    ViewWith({-2.4e38f, -2.4e38f, 0, 0}, true, &turn, &payloads);
    const Vector long_rows{1.5f, 1.5f, 0, 0, 1.5f, -1.5f, 0, 0};
    const RotationView overflows{.rows = long_rows.data(), .code_dimensions = 2, .hash = 7};
    EXPECT_EQ(ViewWith({-2.4e38f, -2.4e38f, 0, 0}, true, &overflows, &payloads).groups, 0u);
    EXPECT_EQ(ViewWith({2.4e38f, 2.4e38f, 0, 0}, true, &overflows, &payloads).groups, 0u);
  }
}

TEST(CodeFormat, DamageIsRefused) {
  constexpr std::uint32_t kDimension = 9, kRows = 70;
  const Vector rows = FrozenNumbers(kRows * kDimension, 1);
  const CodePayloads good = EncodeCodes(kDimension, false, rows.data(), kRows, nullptr);
  ASSERT_TRUE(DecodeCodes(good.codes, good.fine, kRows, kDimension).ok());
  const auto refused = [&](std::string_view codes, std::string_view fine, std::uint32_t row_count,
                           std::uint32_t dimension) {
    return absl::IsDataLoss(DecodeCodes(codes, fine, row_count, dimension).status());
  };
  for (std::size_t size = 0; size < good.codes.size(); ++size) {
    ASSERT_TRUE(refused(std::string_view(good.codes).substr(0, size), good.fine, kRows, kDimension))
        << size;
  }
  EXPECT_TRUE(refused(good.codes + std::string(64, '\0'), good.fine, kRows, kDimension));
  EXPECT_TRUE(refused(good.codes, good.fine.substr(1), kRows, kDimension));
  EXPECT_TRUE(refused(good.codes, good.fine + "x", kRows, kDimension));
  EXPECT_TRUE(refused(good.codes, "", kRows, kDimension));
  EXPECT_TRUE(refused(good.codes, good.fine, kRows - 1, kDimension));
  EXPECT_TRUE(refused(good.codes, good.fine, kRows, 8));
  EXPECT_TRUE(refused(good.codes, good.fine, kRows, 17));

  const auto with = [&](std::size_t offset, auto value) {
    std::string codes = good.codes;
    std::memcpy(codes.data() + offset, &value, sizeof value);
    return refused(codes, good.fine, kRows, kDimension);
  };
  EXPECT_TRUE(with(0, std::uint32_t{0}));
  EXPECT_TRUE(with(0, std::uint32_t{2}));
  EXPECT_TRUE(with(4, std::uint32_t{2}));
  EXPECT_TRUE(with(4, std::uint32_t{0x80000000}));
  EXPECT_FALSE(with(4, std::uint32_t{1}));
  for (const std::uint32_t count : {0u, 64u, 71u, 128u, ~0u}) EXPECT_TRUE(with(8, count)) << count;
  for (const std::uint32_t groups : {0u, 1u, 3u, 8192u, 8193u, 0x01000002u, ~0u}) {
    EXPECT_TRUE(with(12, groups)) << groups;
  }
  for (std::size_t offset = 24; offset < 52; offset += 4) {
    for (const float number : {-1.0f, -1e-45f, std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()}) {
      EXPECT_TRUE(with(offset, number)) << offset << ", " << number;
    }
  }
  for (std::size_t offset = 52; offset < 64; ++offset) EXPECT_TRUE(with(offset, char{1})) << offset;
}

TEST(CodeFormat, RowsAreRotatedAloneAsTogether) {
  constexpr unsigned kSeed = 4;
  std::printf("seed %u\n", kSeed);
  Random random(kSeed);
  for (const std::uint32_t dimension : {1u, 3u, 5u, 64u, 101u}) {
    const Matrix matrix(dimension, dimension);
    const RotationView view = matrix.view();
    Vector rows;
    for (int i = 0; i < 7; ++i) {
      const Vector row = RowOf(static_cast<Kind>(i), dimension, true, random);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    Vector together(7 * dimension), alone(dimension);
    Rotate(view, dimension, rows.data(), 7, together.data());
    for (std::size_t i = 0; i < 7; ++i) {
      Rotate(view, dimension, rows.data() + i * dimension, 1, alone.data());
      EXPECT_EQ(std::memcmp(alone.data(), together.data() + i * dimension, 4 * dimension), 0);
    }
  }
}

}  // namespace
}  // namespace engram::storage

#include "storage/format/code_format.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/base/rounding.h"

namespace engram::storage {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kNormalisedFlag = 1;
constexpr std::size_t kUsedHeaderBytes = 52;
// Of what is coded of a row's norm.
constexpr double kLeastScale = 0x1p-24;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Four lanes are what every CPU has: sums are in this order whatever compiles them.
typedef float Lanes __attribute__((vector_size(16)));
constexpr std::size_t kLanes = 4;

inline Lanes LoadLanes(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

// Dots of kRows rows with kOut rows of M, each the sum of four lanes and of what is left over.
template <std::size_t kRows, std::size_t kOut>
void RotateTile(const float* m, const float* rows, std::size_t dimension, float* out,
                std::size_t pitch) {
  Lanes sums[kRows][kOut] = {};
  std::size_t j = 0;
  for (; j + kLanes <= dimension; j += kLanes) {
    Lanes b[kOut];
    for (std::size_t o = 0; o < kOut; ++o) b[o] = LoadLanes(m + o * dimension + j);
    for (std::size_t r = 0; r < kRows; ++r) {
      const Lanes a = LoadLanes(rows + r * dimension + j);
      for (std::size_t o = 0; o < kOut; ++o) sums[r][o] = sums[r][o] + a * b[o];
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t o = 0; o < kOut; ++o) {
      const Lanes s = sums[r][o];
      float sum = (s[0] + s[2]) + (s[1] + s[3]);
      for (std::size_t rest = j; rest < dimension; ++rest) {
        sum += rows[r * dimension + rest] * m[o * dimension + rest];
      }
      out[r * pitch + o] = sum;
    }
  }
}

template <std::size_t kRows>
void RotateRows(const RotationView& rotation, std::size_t dimension, const float* rows,
                float* out) {
  const std::size_t outputs = rotation.code_dimensions;
  std::size_t o = 0;
  for (; o + 4 <= outputs; o += 4) {
    RotateTile<kRows, 4>(rotation.rows + o * dimension, rows, dimension, out + o, outputs);
  }
  for (; o < outputs; ++o) {
    RotateTile<kRows, 1>(rotation.rows + o * dimension, rows, dimension, out + o, outputs);
  }
}

// Sums over a row, of numbers whose squares f32 may not hold.
struct Sums {
  double cross = 0;  // of v x
  double codes = 0;  // of v v
};

double SquaredNorm(const float* x, std::size_t size) {
  double sums[8] = {};
  std::size_t j = 0;
  for (; j + 8 <= size; j += 8) {
    for (std::size_t l = 0; l < 8; ++l) sums[l] += double{x[j + l]} * double{x[j + l]};
  }
  for (; j < size; ++j) sums[0] += double{x[j]} * double{x[j]};
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

Sums SumsOf(const float* x, const float* v, std::size_t size) {
  double cross[8] = {}, codes[8] = {};
  std::size_t j = 0;
  for (; j + 8 <= size; j += 8) {
    for (std::size_t l = 0; l < 8; ++l) {
      cross[l] += double{x[j + l]} * double{v[j + l]};
      codes[l] += double{v[j + l]} * double{v[j + l]};
    }
  }
  for (; j < size; ++j) {
    cross[0] += double{x[j]} * double{v[j]};
    codes[0] += double{v[j]} * double{v[j]};
  }
  Sums sums;
  for (std::size_t l = 0; l < 8; ++l) {
    sums.cross += cross[l];
    sums.codes += codes[l];
  }
  return sums;
}

float MaxAbs(const float* x, std::size_t size) {
  float lanes[8] = {};
  std::size_t j = 0;
  for (; j + 8 <= size; j += 8) {
    for (std::size_t l = 0; l < 8; ++l) {
      const float a = std::abs(x[j + l]);
      lanes[l] = lanes[l] < a ? a : lanes[l];
    }
  }
  float most = 0;
  for (const float lane : lanes) most = std::max(most, lane);
  for (; j < size; ++j) most = std::max(most, std::abs(x[j]));
  return most;
}

// What a row's codes stand for is scale x v; residual bounds the norm of what they miss.
struct Fit {
  float scale = 0;
  double residual = 0;
  double code_norm = 0;
};

// The least-squares scale of v for x, in units in which the norm of x, whose square is `squared`,
// is multiplied by `unit`.
Fit FitScale(const float* x, const float* v, std::size_t size, double squared, double unit) {
  const Sums sums = SumsOf(x, v, size);
  Fit fit;
  if (sums.codes == 0) {
    fit.residual = std::sqrt(squared) * unit;
    return fit;
  }
  fit.scale = ToFloat(sums.cross / sums.codes * unit);
  const double s = double{fit.scale} / unit;
  const double missed = squared - 2 * s * sums.cross + s * s * sums.codes;
  // The sums are off by less than this; see docs/exactness.md.
  const double slack = squared * static_cast<double>(size + 16) * 0x1p-50;
  fit.residual = std::sqrt(std::max(missed, 0.0) + slack) * unit;
  fit.code_norm = double{fit.scale} * std::sqrt(sums.codes);
  return fit;
}

// The steps between the codes of a normal distribution that lose least, by its deviation
// (J. Max, Quantizing for minimum distortion, 1960: 0.335 of it between neighbours of 16).
constexpr double kBestStep = 0.335 / 2;

// Sets v to the values of 4-bit codes for y.
void QuantiseCoarse(const float* y, std::size_t size, double squared, float* v) {
  const double deviation = std::sqrt(squared / static_cast<double>(size));
  const double unit = std::min(kBestStep * deviation, double{MaxAbs(y, size)} / 15);
  const float inverse = ToFloat(unit > 0 ? 0.5 / unit : 0);
  for (std::size_t j = 0; j < size; ++j) {
    float c = y[j] * inverse + 8.0f;
    c = c > 0.0f ? c : 0.0f;
    c = c < 15.0f ? c : 15.0f;
    v[j] = static_cast<float>(2 * static_cast<int>(c) - 15);
  }
}

// Sets v to whole numbers of at most 127.
void QuantiseFine(const float* x, std::size_t size, float* v) {
  const double most = MaxAbs(x, size);
  const float inverse = ToFloat(most > 0 ? 127 / most : 0);
  for (std::size_t j = 0; j < size; ++j) {
    float c = x[j] * inverse + 128.5f;
    c = c > 1.0f ? c : 1.0f;
    c = c < 255.0f ? c : 255.0f;
    v[j] = static_cast<float>(static_cast<int>(c) - 128);
  }
}

template <typename T>
void Store(T value, char* to) {
  std::memcpy(to, &value, sizeof value);
}
template <typename T>
T LoadAt(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Codes the rows of one block.
class Coder {
 public:
  Coder(std::uint32_t dimension, bool normalised, const RotationView* rotation)
      : dimension_(dimension),
        normalised_(normalised),
        rotation_(rotation),
        size_(rotation == nullptr ? dimension : rotation->code_dimensions),
        groups_(CodeGroups(size_)),
        values_(std::max(dimension_, size_)) {}

  CodePayloads Encode(const float* rows, std::size_t count) {
    view_.rows = static_cast<std::uint32_t>(count);
    payloads_.codes.assign(kCodeUnitBytes + view_.superblock_count() * SuperblockBytes(groups_),
                           '\0');
    payloads_.fine.assign(count * FineRowBytes(dimension_), '\0');
    view_.min_norm = kInfinity;
    for (std::size_t first = 0; first < count; first += kTile) {
      const std::size_t tile = std::min(kTile, count - first);
      if (!CodeTile(rows + first * dimension_, first, tile)) return Without();
    }
    QuantiseBounds();
    view_.groups = groups_;
    WriteHeader();
    return std::move(payloads_);
  }

 private:
  static constexpr std::size_t kTile = 64;

  bool CodeTile(const float* rows, std::size_t first, std::size_t count) {
    const float* codes_of = rows;
    if (rotation_ != nullptr) {
      rotated_.resize(kTile * size_);
      Rotate(*rotation_, dimension_, rows, count, rotated_.data());
      codes_of = rotated_.data();
    }
    for (std::size_t r = 0; r < count; ++r) {
      if (!CodeRow(rows + r * dimension_, codes_of + r * size_, first + r)) return false;
    }
    return true;
  }

  // Returns: false when the row has no codes.
  bool CodeRow(const float* x, const float* y, std::size_t row) {
    const double squared = SquaredNorm(x, dimension_);
    const double norm = std::sqrt(squared);
    const bool coded = norm >= kLeastCodedNorm && norm <= kMostCodedNorm;
    // A cosine has no zero rows, and divides the others, but not what f32 barely holds.
    if (!coded && (normalised_ ? norm < 0x1p-100 : norm != 0)) return false;
    const double unit = normalised_ ? 1 / norm : 1;
    view_.min_norm = std::min(view_.min_norm, RoundDown(norm * unit));
    view_.max_norm = std::max(view_.max_norm, RoundUp(norm * unit));

    QuantiseFine(x, dimension_, values_.data());
    StoreFine(FitScale(x, values_.data(), dimension_, squared, unit), row);

    const double of_codes = rotation_ == nullptr ? squared : SquaredNorm(y, size_);
    QuantiseCoarse(y, size_, of_codes, values_.data());
    const Fit fit = FitScale(y, values_.data(), size_, of_codes, unit);
    StoreCoarse(fit, row);
    view_.max_code_norm = std::max(view_.max_code_norm, RoundUp(std::abs(fit.code_norm)));
    scales_.push_back(fit.scale);
    residuals_.push_back(fit.scale > 0 ? fit.residual / double{fit.scale} : 0);
    tails_.push_back(fit.scale > 0 ? TailNorm(norm, of_codes) * unit / double{fit.scale} : 0);
    // Of a row that the rotation leaves next to nothing of, the bounds are more scales than f32
    // holds.
    const double scale = fit.scale;
    return (scale >= norm * unit * kLeastScale && scale < kInfinity) || norm == 0;
  }

  // Returns: a bound of the norm of what the rotation leaves out of a row.
  double TailNorm(double norm, double squared_kept) const {
    if (rotation_ == nullptr) return 0;
    const double error = RotationError(dimension_, size_) * norm;
    const double kept = std::max(std::sqrt(squared_kept) * (1 - 0x1p-40) - error, 0.0);
    return std::sqrt(std::max(norm * norm * (1 + 0x1p-40) - kept * kept, 0.0));
  }

  void StoreFine(const Fit& fit, std::size_t row) {
    char* at = payloads_.fine.data() + row * FineRowBytes(dimension_);
    Store(fit.scale, at);
    Store(RoundUp(fit.residual), at + 4);
    for (std::size_t j = 0; j < dimension_; ++j) {
      at[8 + j] = static_cast<char>(static_cast<int>(values_[j]));
    }
  }

  char* Superblock(std::size_t row) {
    return payloads_.codes.data() + kCodeUnitBytes +
           row / kSuperblockRows * SuperblockBytes(groups_);
  }
  char* Scales(std::size_t row) { return Superblock(row) + std::size_t{256} * groups_; }

  void StoreCoarse(const Fit& fit, std::size_t row) {
    char* at = Superblock(row) + 4 * (row % kSuperblockRows);
    for (std::size_t j = 0; j < size_; ++j) {
      const int code = (static_cast<int>(values_[j]) + 15) / 2;
      char& byte = at[256 * (j / 8) + j % 4];
      byte = static_cast<char>(byte | (j % 8 < 4 ? code : code << 4));
    }
    Store(fit.scale, Scales(row) + 4 * (row % kSuperblockRows));
  }

  // Bounds are stored as the next whole number of steps above.
  void QuantiseBounds() {
    view_.residual_step = StepOf(residuals_);
    view_.tail_step = StepOf(tails_);
    for (std::size_t row = 0; row < view_.rows; ++row) {
      char* bytes = Scales(row) + 4 * kSuperblockRows + row % kSuperblockRows;
      const int residual = StepsIn(residuals_[row], view_.residual_step);
      const int tail = StepsIn(tails_[row], view_.tail_step);
      bytes[0] = static_cast<char>(residual);
      bytes[kSuperblockRows] = static_cast<char>(tail);
      const double scale = scales_[row];
      view_.max_residual =
          std::max(view_.max_residual, RoundUp(residual * double{view_.residual_step} * scale));
      view_.max_tail = std::max(view_.max_tail, RoundUp(tail * double{view_.tail_step} * scale));
    }
  }
  static float StepOf(const std::vector<double>& bounds) {
    double most = 0;
    for (const double bound : bounds) most = std::max(most, bound);
    return RoundUp(most / 255);
  }
  static int StepsIn(double bound, float step) {
    return step == 0 ? 0 : std::min(255, static_cast<int>(std::ceil(bound / double{step})));
  }

  CodePayloads Without() {
    payloads_.codes.assign(kCodeUnitBytes, '\0');
    payloads_.fine.clear();
    const std::uint32_t rows = view_.rows;
    view_ = {};
    view_.rows = rows;
    WriteHeader();
    return std::move(payloads_);
  }

  void WriteHeader() {
    char* at = payloads_.codes.data();
    Store(kVersion, at);
    Store(normalised_ ? kNormalisedFlag : std::uint32_t{0}, at + 4);
    Store(view_.rows, at + 8);
    Store(view_.groups, at + 12);
    Store(view_.groups == 0 || rotation_ == nullptr ? std::uint64_t{0} : rotation_->hash, at + 16);
    const float numbers[] = {view_.residual_step, view_.tail_step, view_.max_code_norm,
                             view_.max_residual,  view_.max_tail,  view_.min_norm,
                             view_.max_norm};
    std::memcpy(at + 24, numbers, sizeof numbers);
  }

  const std::uint32_t dimension_;
  const bool normalised_;
  const RotationView* rotation_;
  const std::uint32_t size_;
  const std::uint32_t groups_;
  CodeView view_;
  CodePayloads payloads_;
  std::vector<float> values_, rotated_, scales_;
  std::vector<double> residuals_, tails_;
};

absl::Status Damaged(std::string_view found) {
  return absl::DataLossError(absl::StrFormat("damaged header of codes: %s", found));
}

}  // namespace

double RotationError(std::uint32_t dimension, std::uint32_t code_dimensions) {
  // Of each of the outputs: see docs/exactness.md, whose count of roundings this is.
  const double roundings = dimension / 4 + 7;
  return roundings * 0x1p-24 * (1 + 0x1p-10) * std::sqrt(static_cast<double>(code_dimensions));
}

void Rotate(const RotationView& rotation, std::uint32_t dimension, const float* rows,
            std::size_t count, float* out) {
  std::size_t r = 0;
  for (; r + 2 <= count; r += 2) {
    RotateRows<2>(rotation, dimension, rows + r * dimension, out + r * rotation.code_dimensions);
  }
  if (r < count) {
    RotateRows<1>(rotation, dimension, rows + r * dimension, out + r * rotation.code_dimensions);
  }
}

CodePayloads EncodeCodes(std::uint32_t dimension, bool normalised, const float* rows,
                         std::size_t count, const RotationView* rotation) {
  return Coder(dimension, normalised, rotation).Encode(rows, count);
}

absl::StatusOr<CodeView> DecodeCodes(std::string_view codes, std::string_view fine,
                                     std::uint32_t rows, std::uint32_t dimension) {
  if (codes.size() < kCodeUnitBytes) return Damaged(absl::StrFormat("%d bytes", codes.size()));
  CodeView view;
  const auto version = LoadAt<std::uint32_t>(codes, 0);
  const auto flags = LoadAt<std::uint32_t>(codes, 4);
  view.rows = LoadAt<std::uint32_t>(codes, 8);
  view.groups = LoadAt<std::uint32_t>(codes, 12);
  if (version != kVersion || (flags & ~kNormalisedFlag) != 0) {
    return Damaged(absl::StrFormat("version %d, flags %d", version, flags));
  }
  view.normalised = flags == kNormalisedFlag;
  view.rotation = LoadAt<std::uint64_t>(codes, 16);
  if (codes.substr(kUsedHeaderBytes, kCodeUnitBytes - kUsedHeaderBytes).find_first_not_of('\0') !=
      std::string_view::npos) {
    return Damaged("bytes that are not zero where none are used");
  }
  float numbers[7];
  std::memcpy(numbers, codes.data() + 24, sizeof numbers);
  for (const float number : numbers) {
    if (!(number >= 0 && number < kInfinity)) return Damaged("a bound that is no number");
  }
  view.residual_step = numbers[0];
  view.tail_step = numbers[1];
  view.max_code_norm = numbers[2];
  view.max_residual = numbers[3];
  view.max_tail = numbers[4];
  view.min_norm = numbers[5];
  view.max_norm = numbers[6];
  if (view.min_norm > view.max_norm) return Damaged("a least norm above the largest");
  const bool none = view.groups == 0;
  if (none && view.rotation != 0) return Damaged("a rotation of no codes");
  if (view.rows != rows || view.groups > kMaxCodeGroups ||
      (view.rotation == 0 && !none && view.groups != CodeGroups(dimension)) ||
      codes.size() !=
          kCodeUnitBytes + (none ? 0 : view.superblock_count() * SuperblockBytes(view.groups)) ||
      fine.size() != (none ? 0 : rows * FineRowBytes(dimension))) {
    return Damaged(
        absl::StrFormat("%d rows in %d groups, expected %d rows of dimension %d, in %d "
                        "bytes and %d fine ones",
                        view.rows, view.groups, rows, dimension, codes.size(), fine.size()));
  }
  view.superblocks = reinterpret_cast<const std::uint8_t*>(codes.data() + kCodeUnitBytes);
  view.fine = fine.data();
  return view;
}

}  // namespace engram::storage

#include "engine/score_bounds.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/vectors.h"
#include "storage/base/rounding.h"

namespace engram::engine {
namespace {

using storage::CodeView;
using storage::RoundDown;
using storage::RoundUp;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Half of the distance between 1 and the next f32: the largest relative error of a rounding.
constexpr double kUnit = 0x1p-24;

// What double arithmetic may be off by: sums are of at most 65,536 products in eight lanes, which
// makes 2^-40 of a square, and half of that of its root.
constexpr double kUp = 1 + 0x1p-40, kDown = 1 - 0x1p-40;

double SquareRootOf(double value) { return std::sqrt(std::max(value, 0.0)); }

}  // namespace

double DotError(const engram_kernels& kernels, std::uint32_t dimension) {
  // A product is rounded, and then takes part in one addition for each vector of its lane, one
  // for the last vector, and one for every halving of the partial sums.
  const double sums = static_cast<double>(kernels.lanes * kernels.accumulators);
  const double roundings = std::ceil(dimension / sums) + std::log2(sums) + 2;
  return roundings * kUnit / (1 - roundings * kUnit);
}

bool ScoreBounds::CanBound(const Query& query) {
  return query.norm >= storage::kLeastCodedNorm && query.norm <= storage::kMostCodedNorm;
}

ScoreBounds::ScoreBounds(const engram_kernels& kernels, Metric metric, const Query& query)
    : kernels_(kernels),
      metric_(metric),
      query_(query),
      dimension_(static_cast<std::uint32_t>(query.vector.size())),
      error_(DotError(kernels, dimension_)) {
  const double norm = Norm(query.vector);
  if (metric == Metric::kCosine) unit_ = 1 / norm;
  norm_ = norm * unit_ * kUp;
}

CodedQuery ScoreBounds::Code(const storage::RotationView* rotation) const {
  CodedQuery coded;
  std::vector<float> rotated;
  absl::Span<const float> y = query_.vector;
  double error = 0;  // of y, beside M p
  if (rotation != nullptr) {
    rotated.resize(rotation->code_dimensions);
    kernels_.dot(query_.vector.data(), rotation->rows, rotated.size(), dimension_, dimension_,
                 rotated.data());
    // Only bytes that nobody verified make these; as codes they have no value.
    for (float& value : rotated) {
      if (!std::isfinite(value)) value = 0;
    }
    y = rotated;
    error = error_ * std::sqrt(static_cast<double>(rotated.size())) * norm_;
  }
  double most = 0;
  for (const float value : y) most = std::max(most, std::abs(double{value}) * unit_);
  // Of a query that the rotation leaves next to nothing of, smaller steps would make bounds that
  // f32 does not hold.
  coded.step = std::max(most / 127, norm_ * 0x1p-30);
  coded.codes.assign(8 * storage::CodeGroups(static_cast<std::uint32_t>(y.size())), 0);
  double lost = 0;
  std::int32_t sum = 0;
  for (std::size_t j = 0; j < y.size(); ++j) {
    const double value = double{y[j]} * unit_;
    const double code = std::nearbyint(value / coded.step);
    coded.codes[j] = static_cast<std::int8_t>(code);
    sum += static_cast<std::int32_t>(code);
    lost += (value - code * coded.step) * (value - code * coded.step);
  }
  coded.bias = 15 * sum;
  const double size = Norm(y) * unit_;
  coded.lost = std::sqrt(lost) * kUp + size * 0x1p-40 + error;
  coded.kept = size * kUp + error;
  if (rotation != nullptr) {
    const double kept = std::max(size * kDown - error, 0.0);
    coded.outside = SquareRootOf(norm_ * norm_ * kUp - kept * kept);
  }
  return coded;
}

FineQuery ScoreBounds::CodeFine() const {
  FineQuery fine;
  double most = 0;
  for (const float value : query_.vector) most = std::max(most, std::abs(double{value}) * unit_);
  // No sum of products may exceed an int32, whatever bytes the fine codes are.
  const double largest =
      std::min(16383.0, std::floor(double{std::numeric_limits<std::int32_t>::max()} /
                                   (128.0 * static_cast<double>(dimension_))));
  fine.step = most > 0 ? most / largest : 1;
  fine.codes.reserve(dimension_);
  double lost = 0;
  for (const float value : query_.vector) {
    const double exact = double{value} * unit_;
    const double code = std::nearbyint(exact / fine.step);
    fine.codes.push_back(static_cast<std::int16_t>(code));
    lost += (exact - code * fine.step) * (exact - code * fine.step);
  }
  fine.lost = std::sqrt(lost) * kUp + norm_ * 0x1p-40;
  return fine;
}

double ScoreBounds::LeastProduct(float score, double most_norm) const {
  if (score == -std::numeric_limits<float>::infinity()) return -kInfinity;
  if (score == std::numeric_limits<float>::infinity()) return kInfinity;
  const double lost_below =
      dimension_ * 0x1p-148;  // what underflows, of a sum not redone in double
  switch (metric_) {
    case Metric::kCosine:
      // What is below -1 is raised to it.
      if (score <= -1.0f) return -kInfinity;
      // Norms, their product and the quotient are rounded too.
      return double{score} - (error_ + 5 * kUnit * (1 + error_) + dimension_ * 0x1p-46);
    case Metric::kDot:
      return double{score} -
             (error_ * norm_ * most_norm + 2 * kUnit * std::abs(double{score}) + lost_below);
    case Metric::kL2Squared: break;
  }
  // Two more roundings: of the difference and of its square, which counts twice.
  const double relative = error_ + 4 * kUnit;
  const double distance = -double{score} * (1 + (score < 0 ? 2 : -2) * relative) + lost_below;
  return (norm_ * norm_ * kDown * kDown - distance) / 2 - norm_ * norm_ * 0x1p-38;
}

double ScoreBounds::RotationErrorOf(const CodeView& codes) const {
  return codes.rotation == 0 ? 0 : storage::RotationError(dimension_, 8 * codes.groups);
}

double ScoreBounds::SineBound(const CodedQuery& coded, const CodeView& codes, double least) const {
  if (least == -kInfinity || codes.max_code_norm == 0 || coded.kept == 0) return 1;
  const double most_code_norm = double{codes.max_code_norm} * kUp;
  const double rotation_error = RotationErrorOf(codes);
  const double fixed =
      coded.outside * double{codes.max_tail} +
      coded.kept * (double{codes.max_norm} * rotation_error + most_code_norm * 0x1p-22);
  double sine = 1;
  for (int i = 0; i < 4; ++i) {
    const double subtracted = fixed + sine * coded.kept * double{codes.max_residual};
    double cosine = 0;
    if (metric_ != Metric::kL2Squared) {
      cosine = (least - subtracted) / (coded.kept * most_code_norm);
    } else {
      // <p, u> >= least + n^2 / 2, whose quotient by n is least where n^2 / 2 = least - subtracted.
      const double lift = 2 * (least - subtracted);
      const double norm = std::clamp(SquareRootOf(lift), double{codes.min_norm} * kDown,
                                     double{codes.max_norm} * kUp);
      if (norm <= 0) return 1;
      const double product = (lift + norm * norm) / 2;
      cosine = product / (coded.kept * norm * (1 + rotation_error + 0x1p-20));
    }
    if (!(cosine > 0)) return sine;
    cosine = std::min(cosine, 1.0);
    sine = std::min(sine, std::sqrt(std::max(1 - cosine * cosine, 0.0)) + 1e-7);
  }
  return sine;
}

ScoreBounds::ForBlock ScoreBounds::Bind(const CodedQuery& coded, const CodeView& codes,
                                        double least) const {
  const double sine = SineBound(coded, codes, least);
  const double norm = double{codes.max_norm};
  const double code_norm = double{codes.max_code_norm};
  ForBlock bound;
  bound.step = coded.step;
  const double rotation_error = RotationErrorOf(codes);
  const double largest = (coded.kept + coded.lost) * code_norm +
                         sine * coded.kept * double{codes.max_residual} +
                         coded.outside * double{codes.max_tail};
  const double half_square = metric_ == Metric::kL2Squared ? norm * norm / 2 : 0;
  bound.slack = coded.lost * code_norm + coded.kept * norm * rotation_error +
                coded.kept * code_norm * 0x1p-23 + 16 * kUnit * largest + 20 * kUnit * half_square;
  bound.slack *= kUp;
  bound.query.query = coded.codes.data();
  bound.query.groups = codes.groups;
  bound.query.bias = coded.bias;
  bound.query.residual = RoundUp(double{codes.residual_step} * sine * coded.kept / coded.step);
  bound.query.tail = RoundUp(double{codes.tail_step} * coded.outside / coded.step);
  bound.query.norm = metric_ == Metric::kL2Squared ? RoundDown(1 / (2 * coded.step)) : 0.0f;
  bound.query.threshold = RoundDown((least - bound.slack) / coded.step);
  return bound;
}

double ScoreBounds::FineBound(const FineQuery& query, const CodeView& codes, const char* fine,
                              std::int32_t dot, float norm) const {
  float scale, residual;
  std::memcpy(&scale, fine, sizeof scale);
  std::memcpy(&residual, fine + sizeof scale, sizeof residual);
  const double largest = norm_ * double{codes.max_norm};
  double bound = query.step * double{scale} * static_cast<double>(dot) +
                 query.lost * double{codes.max_norm} * (1 + 0x1p-20) + norm_ * double{residual} +
                 largest * 0x1p-22;
  if (metric_ == Metric::kL2Squared) {
    const double square = double{norm} * double{norm};
    bound += -square / 2 + double{codes.max_norm} * double{codes.max_norm} * 0x1p-22;
  }
  return bound;
}

}  // namespace engram::engine

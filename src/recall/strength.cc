#include "recall/strength.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "storage/base/rounding.h"
#include "storage/base/status.h"

namespace engram::recall {
namespace {

absl::Status CheckPositive(std::string_view option, double value) {
  if (std::isfinite(value) && value > 0.0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %g; it must be positive and finite", option, value));
}

}  // namespace

absl::Status CheckStrengthOptions(const StrengthOptions& options) {
  if (options.decay > Decay::kPowerLaw) {
    return absl::InvalidArgumentError(
        absl::StrFormat("decay is %d; 0 to 2 is allowed", static_cast<int>(options.decay)));
  }
  ENGRAM_RETURN_IF_ERROR(CheckPositive("half_life_seconds", options.half_life_seconds));
  return CheckPositive("power_law_exponent", options.power_law_exponent);
}

std::vector<float> StrengthsAt(const engram_kernels& kernels, const StrengthOptions& options,
                               std::int64_t now, absl::Span<const storage::Strength> strengths) {
  std::vector<float> values, ages;
  for (const storage::Strength& strength : strengths) {
    values.push_back(static_cast<float>(strength.value));
    const double age =
        static_cast<double>(now) - static_cast<double>(strength.last_use.value_or(now));
    // In half-lives, so that f32 keeps what matters of seconds since 1970.
    ages.push_back(storage::ToFloat(std::max(age, 0.0) / options.half_life_seconds));
  }
  if (options.decay == Decay::kHalfLife) {
    kernels.decay(values.data(), ages.data(), values.size(), /*half_life=*/1.0f, values.data());
  } else if (options.decay == Decay::kPowerLaw) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] *= static_cast<float>(std::pow(1.0 + double{ages[i]}, -options.power_law_exponent));
    }
  }
  return values;
}

}  // namespace engram::recall

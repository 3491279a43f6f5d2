#include "engine/checks.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "absl/strings/str_format.h"

namespace engram::engine {
namespace {

storage::Durability ToStorage(Durability durability) {
  return static_cast<storage::Durability>(durability);
}

}  // namespace

std::int64_t SecondsNow(const std::optional<std::int64_t>& given) {
  using std::chrono::system_clock;
  return given.has_value() ? *given : system_clock::to_time_t(system_clock::now());
}

storage::WriteRules ToWriteRules(const WriteOptions& options) {
  return {.durability = ToStorage(options.durability),
          .error_if_present = options.error_if_present,
          .create_missing = options.create_missing,
          .now = SecondsNow(options.now_unix_seconds)};
}

absl::Status CheckDurability(Durability durability) {
  if (durability <= Durability::kPower) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("durability is %d; it must be 0, 1 or 2", static_cast<int>(durability)));
}

absl::Status CheckText(std::string_view whose, std::string_view what, std::string_view text,
                       std::size_t least, std::size_t most) {
  if (text.size() >= least && text.size() <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s: the %s has %d bytes; %d to %d are allowed",
                                                    whose, what, text.size(), least, most));
}

absl::Status CheckWeight(std::string_view whose, const Edge& edge) {
  if (std::isfinite(edge.weight) && edge.weight >= 0.0f) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s, edge from %d to %d: the weight is %g; it must be finite and not negative", whose,
      edge.from, edge.to, edge.weight));
}

absl::StatusOr<std::uint64_t> CheckAmount(std::string_view whose, float amount) {
  if (!(amount > 0.0f && amount <= kMaxStrength)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: the amount is %g; above 0 up to %g is allowed", whose, amount, kMaxStrength));
  }
  const double steps = double{amount} * double{storage::kStrengthOne};
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(steps)));
}

storage::ProgressFunction ToStorageProgress(const ProgressCallback& progress,
                                            std::string_view stage) {
  if (!progress) return nullptr;
  return [&progress, stage](std::uint64_t done, std::uint64_t total) {
    return progress({.stage = stage, .done = done, .total = total});
  };
}

}  // namespace engram::engine

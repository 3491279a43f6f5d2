// What several parts of the engine check and translate alike.
#ifndef ENGRAM_ENGINE_CHECKS_H_
#define ENGRAM_ENGINE_CHECKS_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "engram/options.h"
#include "engram/types.h"
#include "storage/store_files.h"

namespace engram::engine {

// All: kInvalidArgument naming whose it is, what was given and what is allowed.
absl::Status CheckDurability(Durability durability);
absl::Status CheckText(std::string_view whose, std::string_view what, std::string_view text,
                       std::size_t least, std::size_t most);
absl::Status CheckWeight(std::string_view whose, const Edge& edge);
// Returns: the amount of a reinforcement in the steps it is kept in.
absl::StatusOr<std::uint64_t> CheckAmount(std::string_view whose, float amount);

// Returns: what was given, else what the system's clock says.
std::int64_t SecondsNow(const std::optional<std::int64_t>& given);
storage::WriteRules ToWriteRules(const WriteOptions& options);
// `progress` outlives what is returned.
storage::ProgressFunction ToStorageProgress(const ProgressCallback& progress,
                                            std::string_view stage);

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_CHECKS_H_

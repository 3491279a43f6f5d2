// Makes a new store of what was salvaged.
#ifndef ENGRAM_STORAGE_SALVAGE_STORE_H_
#define ENGRAM_STORAGE_SALVAGE_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/store_files.h"

namespace engram::storage {

struct SalvageReport {
  std::uint64_t memories = 0, edges = 0, keys = 0;
  std::uint64_t lost_memories = 0, lost_embeddings = 0, lost_payloads = 0, losses = 0;
  std::vector<std::string> findings;
};

// Returns: the norm of an embedding, or why it is none that a store of that dimension and
// metric takes.
using NormFunction = absl::FunctionRef<absl::StatusOr<float>(
    const StoreMeta& meta, std::uint64_t id, absl::Span<const float> vector)>;

// Reads `damaged` and makes a store in `into`, which does not exist: in `into`.repair, which
// does not exist either and is renamed at the end. Both have the mode of `damaged`. Nothing of
// `damaged` is changed. Errors: as engram::Store::Repair.
// `told` has the dimension and the metric that the caller says it has, 0 where nothing is said.
absl::StatusOr<SalvageReport> SalvageStore(const std::string& damaged, const std::string& into,
                                           const StoreMeta& told, const ProgressFunction& progress,
                                           NormFunction norm);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_SALVAGE_STORE_H_

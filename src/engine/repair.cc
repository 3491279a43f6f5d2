// Repair: what makes an embedding a good one is said here, the rest is storage's.
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/checks.h"
#include "engine/store_engine.h"
#include "engine/vectors.h"
#include "storage/base/status.h"
#include "storage/salvage_store.h"

namespace engram::engine {

absl::StatusOr<RepairReport> Repair(const RepairOptions& options, const std::string& damaged,
                                    const std::string& into) {
  StoreOptions said;
  said.dimension = options.dimension;
  said.metric = options.metric;
  ENGRAM_RETURN_IF_ERROR(CheckStoreOptions(said));
  storage::StoreMeta told;
  told.dimension = options.dimension;
  if (options.metric.has_value()) told.metric = static_cast<std::uint8_t>(*options.metric);
  if (told.dimension > 0) told.rows_per_block = storage::DefaultRowsPerBlock(told.dimension);
  const auto norm = [](const storage::StoreMeta& meta, std::uint64_t id,
                       absl::Span<const float> vector) {
    return CheckVector(absl::StrFormat("id %d", id), vector, meta.dimension,
                       static_cast<Metric>(meta.metric));
  };
  ENGRAM_ASSIGN_OR_RETURN(
      storage::SalvageReport found,
      storage::SalvageStore(damaged, into, told, ToStorageProgress(options.progress, "repair"),
                            norm));
  return RepairReport{.memories = found.memories,
                      .edges = found.edges,
                      .keys = found.keys,
                      .lost_memories = found.lost_memories,
                      .lost_embeddings = found.lost_embeddings,
                      .lost_payloads = found.lost_payloads,
                      .losses = found.losses,
                      .findings = std::move(found.findings)};
}

}  // namespace engram::engine

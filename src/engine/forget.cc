// Forgetting: memories that have faded are found by a walk over all, and deleted in
// batches that look once more whether somebody used them meanwhile.
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/checks.h"
#include "engine/store_engine.h"
#include "recall/strength.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

constexpr std::size_t kBatch = 1024;

// A run of memories that are looked at together.
struct Batch {
  std::vector<MemoryId> ids;
  std::vector<storage::MemoryUse> uses;

  void Clear() {
    ids.clear();
    uses.clear();
  }
};

// Returns: a change for each memory of `batch` that has faded. They point into it.
std::vector<storage::Change> FadedOf(const Batch& batch, const engram_kernels& kernels,
                                     const ForgetOptions& options, std::int64_t now) {
  std::vector<storage::Strength> strengths;
  for (const storage::MemoryUse& use : batch.uses) strengths.push_back(use.strength);
  const std::vector<float> values = recall::StrengthsAt(kernels, options.strength, now, strengths);
  std::vector<storage::Change> faded;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!(values[i] < options.strength_below)) continue;
    storage::Change& change = faded.emplace_back();
    change.kind = storage::Change::Kind::kForget;
    change.id = batch.ids[i];
    change.unused_since = &batch.uses[i];
    if (options.faded) options.faded(change.id, values[i]);
  }
  return faded;
}

}  // namespace

absl::StatusOr<ForgetReport> StoreEngine::Forget(const ForgetOptions& options) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  ENGRAM_RETURN_IF_ERROR(CheckDurability(options.durability));
  ENGRAM_RETURN_IF_ERROR(recall::CheckStrengthOptions(options.strength));
  if (std::isnan(options.strength_below)) {
    return absl::InvalidArgumentError("strength_below is not a number");
  }
  const std::int64_t now = SecondsNow(options.strength.now_unix_seconds);
  WriteOptions write;
  write.durability = options.durability;
  const auto view = files_->CurrentView();
  ForgetReport report;
  Batch batch;
  const auto finish_batch = [&]() -> absl::Status {
    const std::vector<storage::Change> faded = FadedOf(batch, kernels_, options, now);
    std::uint64_t forgotten = faded.size();
    if (!options.dry_run && !faded.empty()) {
      ENGRAM_ASSIGN_OR_RETURN(forgotten, files_->Forget(ToWriteRules(write), faded));
    }
    report.memories += batch.ids.size();
    report.forgotten += forgotten;
    batch.Clear();
    const Progress progress{.stage = "forget", .done = report.memories, .total = view->memories()};
    if (!options.progress || options.progress(progress)) return absl::OkStatus();
    return absl::CancelledError(absl::StrFormat("forgetting was cancelled after %d of %d memories",
                                                report.memories, view->memories()));
  };
  const auto it = view->NewFamilyIterator(storage::Family::kIds);
  for (it->Seek(storage::HeadKey(0)); it->Valid(); it->Next()) {
    const auto id = storage::DecodeHeadKey(it->key().ToStringView());
    if (!id.has_value()) break;  // past the heads
    ENGRAM_ASSIGN_OR_RETURN(const storage::MemoryHead head,
                            storage::DecodeMemoryHead(it->value().ToStringView()));
    if (!head.live) continue;
    ENGRAM_ASSIGN_OR_RETURN(const storage::Strength strength, view->ReadStrength(*id));
    batch.ids.push_back(*id);
    batch.uses.push_back({.head = head, .strength = strength});
    if (batch.ids.size() == kBatch) ENGRAM_RETURN_IF_ERROR(finish_batch());
  }
  ENGRAM_RETURN_IF_ERROR(storage::FromRocks(it->status(), "walking the memories"));
  if (!batch.ids.empty()) ENGRAM_RETURN_IF_ERROR(finish_batch());
  return report;
}

}  // namespace engram::engine

// What use and time do to memories: reinforcing them, and forgetting those that have faded.
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "storage/base/status.h"

namespace engram::cli {

StrengthOptions ToStrengthOptions(const Arguments& arguments) {
  StrengthOptions options = arguments.recall.strength;
  options.now_unix_seconds = arguments.now;
  if (arguments.decay == "none") options.decay = Decay::kNone;
  if (arguments.decay == "power-law") options.decay = Decay::kPowerLaw;
  return options;
}

CommandResult Reinforce(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<MemoryId> ids, AllMemories(arguments, *store));
  WriteBatch batch;
  for (const MemoryId id : ids) batch.Reinforce(id, arguments.amount);
  WriteOptions options = ToWriteOptions(arguments);
  options.now_unix_seconds = arguments.now;
  ENGRAM_RETURN_IF_ERROR(store->Write(options, batch));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("{\"reinforced\":%d}", ids.size())));
  }
  return 0;
}

CommandResult Forget(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ForgetOptions options;
  options.strength_below = arguments.below;
  options.strength = ToStrengthOptions(arguments);
  options.dry_run = !arguments.apply;
  options.durability = ToWriteOptions(arguments).durability;
  options.progress = ProgressBar();
  ENGRAM_ASSIGN_OR_RETURN(const ForgetReport report, store->Forget(options));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(
        Print(absl::StrFormat("{\"memories\":%d,\"forgotten\":%d,\"applied\":%s}", report.memories,
                              report.forgotten, arguments.apply ? "true" : "false")));
    return 0;
  }
  const std::string of = absl::StrFormat("%d of %d memories", report.forgotten, report.memories);
  ENGRAM_RETURN_IF_ERROR(Print(arguments.apply ? of + " forgotten; compact gives their space back"
                                               : of + " would be forgotten; --apply forgets them"));
  return 0;
}

}  // namespace engram::cli

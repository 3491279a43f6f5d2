// What use and time do to memories: reinforcing them, and forgetting those that have faded.
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
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

namespace {

absl::Status PrintFaded(const Arguments& arguments, const Store& store,
                        const std::vector<std::pair<MemoryId, float>>& faded) {
  for (const auto& [id, strength] : faded) {
    if (arguments.json) {
      ENGRAM_RETURN_IF_ERROR(
          Print(absl::StrFormat("{\"id\":%d,\"strength\":%s}", id, Number(strength))));
      continue;
    }
    ENGRAM_ASSIGN_OR_RETURN(const Record record, store.Get({}, id));
    ENGRAM_RETURN_IF_ERROR(Print(
        absl::StrFormat("%10.4g  %-20s  %s", strength, ShortName(record), ShortPayload(record))));
  }
  return absl::OkStatus();
}

}  // namespace

CommandResult Forget(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ForgetOptions options;
  options.strength_below = arguments.below;
  options.strength = ToStrengthOptions(arguments);
  options.dry_run = !arguments.apply;
  options.durability = ToWriteOptions(arguments).durability;
  options.progress = ProgressBar();
  std::vector<std::pair<MemoryId, float>> faded;
  if (arguments.list) {
    options.faded = [&faded](MemoryId id, float strength) { faded.emplace_back(id, strength); };
  }
  // Their names are gone when they are.
  if (arguments.list && arguments.apply) {
    options.dry_run = true;
    ENGRAM_RETURN_IF_ERROR(store->Forget(options).status());
    ENGRAM_RETURN_IF_ERROR(PrintFaded(arguments, *store, faded));
    options.faded = nullptr;
    options.dry_run = false;
  }
  ENGRAM_ASSIGN_OR_RETURN(const ForgetReport report, store->Forget(options));
  if (arguments.list && !arguments.apply) {
    ENGRAM_RETURN_IF_ERROR(PrintFaded(arguments, *store, faded));
  }
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(
        Print(absl::StrFormat("{\"memories\":%d,\"forgotten\":%d,\"applied\":%s}", report.memories,
                              report.forgotten, arguments.apply ? "true" : "false")));
    return 0;
  }
  const std::string of =
      absl::StrFormat("%d of %s", report.forgotten, Counted(report.memories, "memory", "memories"));
  ENGRAM_RETURN_IF_ERROR(Print(arguments.apply ? of + " forgotten; compact gives their space back"
                                               : of + " would be forgotten; --apply forgets them"));
  return 0;
}

}  // namespace engram::cli

// The commands about a store as a whole, and about the program.
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// One number or name of a store: as JSON, and as people read it.
struct Field {
  std::string name, json, text;
};

Field Count(const char* name, std::uint64_t value) {
  return {.name = name, .json = std::to_string(value), .text = std::to_string(value)};
}

Field Bytes(const char* name, std::uint64_t value) {
  return {.name = name, .json = std::to_string(value), .text = HumanBytes(value)};
}

Field Name(const char* name, const std::string& value) {
  return {.name = name, .json = Quoted(value), .text = value};
}

absl::StatusOr<std::uint64_t> BytesOnDisk(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  return store->Stats().bytes_on_disk;
}

// What is found comes before what it comes to, for people a line each.
absl::Status PrintFindings(const Arguments& arguments, const std::vector<std::string>& findings) {
  for (const std::string& finding : findings) {
    if (!arguments.json) ENGRAM_RETURN_IF_ERROR(Print(Visible(finding)));
  }
  return absl::OkStatus();
}

std::string AsJson(const std::vector<std::string>& findings) {
  return absl::StrJoin(findings, ",", [](std::string* json, const std::string& finding) {
    *json += Quoted(finding);
  });
}

absl::Status PrintReport(const Arguments& arguments, const VerifyReport& report) {
  ENGRAM_RETURN_IF_ERROR(PrintFindings(arguments, report.findings));
  if (arguments.json) {
    return Print(absl::StrFormat(
        "{\"blocks\":%d,\"bytes\":%d,\"memories\":%d,\"edges\":%d,\"dangling_edges\":%d,"
        "\"corrupt_blocks\":%d,\"findings\":[%s]}",
        report.blocks, report.bytes, report.memories, report.edges, report.dangling_edges,
        report.corrupt_blocks, AsJson(report.findings)));
  }
  return Print(absl::StrFormat(
      "%s, %s, %s and %s checked: %s", Counted(report.blocks, "block", "blocks"),
      HumanBytes(report.bytes), Counted(report.memories, "memory", "memories"),
      Counted(report.edges, "edge", "edges"), report.findings.empty() ? "sound" : "damaged"));
}

}  // namespace

CommandResult Stats(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  const StoreStats stats = store->Stats();
  const std::vector<Field> fields = {Count("memories", stats.memories),
                                     Count("rows", stats.rows),
                                     Count("tail_rows", stats.tail_rows),
                                     Count("dead_rows", stats.dead_rows),
                                     Count("blocks", stats.blocks),
                                     Count("coded_rows", stats.coded_rows),
                                     Count("edge_changes", stats.edge_changes),
                                     Count("sealed_edges", stats.sealed_edges),
                                     Count("dimension", stats.dimension),
                                     Name("metric", MetricName(stats.metric)),
                                     Bytes("bytes_on_disk", stats.bytes_on_disk),
                                     Bytes("bytes_mapped", stats.bytes_mapped),
                                     Bytes("bytes_codes", stats.bytes_codes),
                                     Bytes("bytes_heap", stats.bytes_heap),
                                     Bytes("wal_bytes", stats.wal_bytes),
                                     Name("kernel", stats.kernel),
                                     Count("format", stats.format),
                                     Name("backend", stats.backend)};
  std::string json;
  for (const Field& field : fields) {
    json += (json.empty() ? "{\"" : ",\"") + field.name + "\":" + field.json;
    if (arguments.json) continue;
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("%-14s %s", field.name, field.text)));
  }
  if (arguments.json) ENGRAM_RETURN_IF_ERROR(Print(json + "}"));
  return 0;
}

CommandResult Verify(const Arguments& arguments) {
  const auto store = OpenStore(arguments, /*read_only=*/true);
  VerifyReport report;
  if (absl::IsDataLoss(store.status())) {
    // Damage that keeps it from opening is what was asked about, too.
    report.findings.push_back(std::string(store.status().message()));
  } else {
    ENGRAM_RETURN_IF_ERROR(store.status());
    VerifyOptions options;
    options.progress = ProgressBar();
    ENGRAM_ASSIGN_OR_RETURN(report, (*store)->Verify(options));
  }
  const absl::Status printed = PrintReport(arguments, report);
  // The exit code is the answer, also for a reader that has left.
  if (!IsReaderGone(printed)) ENGRAM_RETURN_IF_ERROR(printed);
  return report.findings.empty() ? 0 : kExitDamage;
}

CommandResult Compact(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t before, BytesOnDisk(arguments));
  {
    ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
    CompactOptions options;
    options.progress = ProgressBar();
    ENGRAM_RETURN_IF_ERROR(store->Compact(options));
    ENGRAM_RETURN_IF_ERROR(store->Close());
  }
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t after, BytesOnDisk(arguments));
  ENGRAM_RETURN_IF_ERROR(
      Print(arguments.json
                ? absl::StrFormat("{\"bytes_before\":%d,\"bytes_after\":%d}", before, after)
                : absl::StrFormat("%s before, %s now", HumanBytes(before), HumanBytes(after))));
  return 0;
}

CommandResult Backup(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  BackupOptions options;
  options.progress = ProgressBar();
  ENGRAM_RETURN_IF_ERROR(store->Backup(options, arguments.directory));
  const std::uint64_t memories = store->Stats().memories;
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("{\"directory\":%s,\"memories\":%d}",
                                                 Quoted(arguments.directory), memories)));
  }
  return 0;
}

CommandResult Repair(const Arguments& arguments) {
  RepairOptions options;
  options.dimension = arguments.dimension;
  if (!arguments.repair_metric.empty()) options.metric = MetricNamed(arguments.repair_metric);
  options.progress = ProgressBar();
  ENGRAM_ASSIGN_OR_RETURN(const RepairReport report,
                          Store::Repair(options, arguments.store, arguments.directory));
  absl::Status printed = PrintFindings(arguments, report.findings);
  printed.Update(
      Print(arguments.json
                ? absl::StrFormat("{\"memories\":%d,\"edges\":%d,\"keys\":%d,\"lost_memories\":%d,"
                                  "\"lost_embeddings\":%d,\"lost_payloads\":%d,\"losses\":%d,"
                                  "\"findings\":[%s]}",
                                  report.memories, report.edges, report.keys, report.lost_memories,
                                  report.lost_embeddings, report.lost_payloads, report.losses,
                                  AsJson(report.findings))
                : absl::StrFormat(
                      "%d memories, %d edges and %d keys kept; %d memories lost, and of those "
                      "kept %d embeddings and %d payloads; %d findings in all",
                      report.memories, report.edges, report.keys, report.lost_memories,
                      report.lost_embeddings, report.lost_payloads, report.losses)));
  if (!IsReaderGone(printed)) ENGRAM_RETURN_IF_ERROR(printed);
  return report.losses == 0 ? 0 : kExitDamage;
}

CommandResult ShowVersion(const Arguments& arguments) {
  std::string json = absl::StrFormat("{\"version\":%s,\"format\":%d,\"backend\":%s",
                                     Quoted(Version()), FormatVersion(), Quoted(BackendVersion()));
  std::string text = VersionLine();
  std::string separator = ",\"kernels\":[";
  for (const KernelInfo& kernel : Kernels()) {
    if (!arguments.kernels) break;
    json += separator + absl::StrFormat("{\"name\":%s,\"usable\":%s,\"default\":%s}",
                                        Quoted(kernel.name), kernel.usable ? "true" : "false",
                                        kernel.is_default ? "true" : "false");
    separator = ",";
    text += "\n" + kernel.name +
            (kernel.is_default ? "  default"
             : kernel.usable   ? "  usable"
                               : "  not on this CPU");
  }
  json += arguments.kernels ? "]}" : "}";
  ENGRAM_RETURN_IF_ERROR(Print(arguments.json ? json : text));
  return 0;
}

}  // namespace engram::cli

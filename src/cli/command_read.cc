// The commands that only look. They open read-only, so that they work beside a writer.
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kBatch = 256;
constexpr std::size_t kShownPayload = 60;

std::string Shown(const std::string& payload) {
  std::size_t end = std::min(payload.size(), kShownPayload);
  // Not in the middle of a UTF-8 character.
  while (end > 0 && end < payload.size() && (payload[end] & 0xc0) == 0x80) --end;
  std::string text = payload.substr(0, end);
  for (char& c : text) c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return text + (end < payload.size() ? "…" : "");
}

const char* Bool(bool value) { return value ? "true" : "false"; }

absl::StatusOr<Matrix> Queries(const Arguments& arguments, const Store& store) {
  const std::size_t dimension = store.Stats().dimension;
  if (!arguments.file.empty()) return ReadVectors(arguments.file, arguments.format, dimension);
  Matrix matrix{.values = {}, .rows = 1, .dimension = dimension};
  if (!arguments.vector.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(matrix.values, ParseVector(arguments.vector));
  } else {
    ENGRAM_ASSIGN_OR_RETURN(const Record record, store.Get({}, arguments.ids[0]));
    if (record.vector.empty()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("memory %d has no embedding to search with", record.id));
    }
    matrix.values = record.vector;
  }
  matrix.dimension = matrix.values.size();
  return matrix;
}

absl::Status PrintResult(const Arguments& arguments, const Store& store, const ReadOptions& read,
                         std::size_t query, const SearchResults& results) {
  std::string json = absl::StrFormat("{\"query\":%d,\"hits\":[", query);
  if (!arguments.json) ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("query %d", query)));
  for (std::size_t i = 0; i < results.hits.size(); ++i) {
    const Hit& hit = results.hits[i];
    std::string payload;
    if (arguments.payload || !arguments.json) {
      ENGRAM_ASSIGN_OR_RETURN(Record record, store.Get(read, hit.id));
      payload = std::move(record.payload);
    }
    if (!arguments.json) {
      ENGRAM_RETURN_IF_ERROR(Print(
          absl::StrFormat("%4d  %12d  %10.6f  %s", i + 1, hit.id, hit.score, Shown(payload))));
      continue;
    }
    json +=
        absl::StrFormat("%s{\"id\":%d,\"score\":%s", i == 0 ? "" : ",", hit.id, Number(hit.score));
    if (arguments.payload) json += ",\"payload\":" + Quoted(payload);
    json += "}";
  }
  if (!arguments.json) return absl::OkStatus();
  const SearchInfo& info = results.info;
  return Print(json + absl::StrFormat("],\"info\":{\"exact\":%s,\"rows_scored\":%d,"
                                      "\"rows_in_store\":%d,\"path\":\"plain_scan\","
                                      "\"truncated\":%s}}",
                                      Bool(info.exact), info.rows_scored, info.rows_in_store,
                                      Bool(info.truncated)));
}

}  // namespace

CommandResult Get(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  MemoryId id = arguments.ids.empty() ? 0 : arguments.ids[0];
  if (arguments.ids.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(id, store->IdForKey({}, arguments.keys[0]));
  }
  ENGRAM_ASSIGN_OR_RETURN(const Record record, store->Get({}, id));
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(MemoryLine(id, record.vector, record.payload, record.keys)));
    return 0;
  }
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("id       %d", id)));
  for (const std::string& key : record.keys) ENGRAM_RETURN_IF_ERROR(Print("key      " + key));
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("vector   %d values", record.vector.size())));
  ENGRAM_RETURN_IF_ERROR(Print("payload  " + record.payload));
  return 0;
}

CommandResult Search(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const Matrix queries, Queries(arguments, *store));
  SearchOptions options;
  options.k = arguments.k;
  options.threads = arguments.threads;
  options.min_score = arguments.min_score;
  for (std::size_t begin = 0; begin < queries.rows; begin += kBatch) {
    const std::size_t count = std::min(kBatch, queries.rows - begin);
    const auto results = store->SearchBatch(
        options, {.data = queries.row(begin), .rows = count, .dimension = queries.dimension});
    ENGRAM_RETURN_IF_ERROR(results.status());
    for (std::size_t i = 0; i < count; ++i) {
      ENGRAM_RETURN_IF_ERROR(PrintResult(arguments, *store, options, begin + i, (*results)[i]));
    }
  }
  return 0;
}

CommandResult Stats(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  const StoreStats stats = store->Stats();
  const char* metric = stats.metric == Metric::kCosine ? "cosine"
                       : stats.metric == Metric::kDot  ? "dot"
                                                       : "l2";
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"memories", std::to_string(stats.memories)},
      {"rows", std::to_string(stats.rows)},
      {"tail_rows", std::to_string(stats.tail_rows)},
      {"dead_rows", std::to_string(stats.dead_rows)},
      {"blocks", std::to_string(stats.blocks)},
      {"dimension", std::to_string(stats.dimension)},
      {"metric", Quoted(metric)},
      {"bytes_on_disk", std::to_string(stats.bytes_on_disk)},
      {"bytes_mapped", std::to_string(stats.bytes_mapped)},
      {"bytes_heap", std::to_string(stats.bytes_heap)},
      {"wal_bytes", std::to_string(stats.wal_bytes)},
      {"kernel", Quoted(stats.kernel)},
      {"format", std::to_string(stats.format)},
      {"backend", Quoted(stats.backend)}};
  std::string json;
  for (const auto& [name, value] : fields) {
    json += (json.empty() ? "{\"" : ",\"") + name + "\":" + value;
    if (!arguments.json) {
      ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("%-14s %s", name, value)));
    }
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
  std::string findings;
  for (const std::string& finding : report.findings) {
    findings += (findings.empty() ? "" : ",") + Quoted(finding);
    if (!arguments.json) ENGRAM_RETURN_IF_ERROR(Print(finding));
  }
  const std::string counts =
      arguments.json
          ? absl::StrFormat(
                "{\"blocks\":%d,\"bytes\":%d,\"memories\":%d,\"corrupt_blocks\":%d,"
                "\"findings\":[%s]}",
                report.blocks, report.bytes, report.memories, report.corrupt_blocks, findings)
          : absl::StrFormat("%d blocks, %d bytes and %d memories checked: %s", report.blocks,
                            report.bytes, report.memories,
                            report.findings.empty() ? "sound" : "damaged");
  ENGRAM_RETURN_IF_ERROR(Print(counts));
  return report.findings.empty() ? 0 : kExitDamage;
}

CommandResult ShowVersion(const Arguments& arguments) {
  ENGRAM_RETURN_IF_ERROR(Print(
      arguments.json ? absl::StrFormat("{\"version\":%s,\"format\":%d,\"backend\":%s}",
                                       Quoted(Version()), FormatVersion(), Quoted(BackendVersion()))
                     : absl::StrFormat("engram %s, format %d, RocksDB %s", Version(),
                                       FormatVersion(), BackendVersion())));
  if (!arguments.kernels) return 0;
  for (const KernelInfo& kernel : Kernels()) {
    ENGRAM_RETURN_IF_ERROR(Print(kernel.name + (kernel.is_default ? "  default"
                                                : kernel.usable   ? "  usable"
                                                                  : "  not on this CPU")));
  }
  return 0;
}

}  // namespace engram::cli

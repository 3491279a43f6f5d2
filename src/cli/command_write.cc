// The commands that change a store.
#include <utility>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

absl::StatusOr<std::uint64_t> ImportJsonLines(Store& store, const Arguments& arguments,
                                              const ImportOptions& options) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(arguments.file));
  std::size_t next = 0;
  JsonMemory memory;
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    while (next < lines.size() && lines[next].empty()) ++next;
    if (next == lines.size()) return false;
    auto parsed = ParseMemory(lines[next++]);
    const std::string where = absl::StrFormat("%s: line %d", arguments.file, next);
    if (!parsed.ok()) return storage::Annotate(parsed.status(), where);
    memory = *std::move(parsed);
    const std::size_t dimension = store.Stats().dimension;
    if (!memory.vector.empty() && memory.vector.size() != dimension) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: the vector has %d values, and the store's dimension is %d", where,
                          memory.vector.size(), dimension));
    }
    *row = {
        .id = memory.id, .vector = memory.vector, .payload = memory.payload, .keys = memory.keys};
    return true;
  };
  ENGRAM_ASSIGN_OR_RETURN(const ImportReport report, store.Import(options, source));
  return report.memories;
}

absl::StatusOr<std::vector<std::uint64_t>> IdsOfRows(const Arguments& arguments, std::size_t rows) {
  std::vector<std::uint64_t> ids;
  if (!arguments.ids_file.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(ids, ReadIds(arguments.ids_file));
    if (ids.size() != rows) {
      return absl::InvalidArgumentError(absl::StrFormat("%s has %d ids, and %s has %d rows",
                                                        arguments.ids_file, ids.size(),
                                                        arguments.file, rows));
    }
    return ids;
  }
  for (std::size_t i = 0; i < rows; ++i) ids.push_back(arguments.first_id.value_or(0) + i);
  return ids;
}

absl::StatusOr<std::uint64_t> ImportMatrix(Store& store, const Arguments& arguments,
                                           ImportOptions options) {
  const StoreStats stats = store.Stats();
  if (stats.memories > 0 && arguments.ids_file.empty() && !arguments.first_id.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds %d memories already, and rows without ids would be numbered from "
                        "0: say --ids or --first-id",
                        arguments.store, stats.memories));
  }
  if (arguments.dimension != 0 && arguments.dimension != stats.dimension) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--dim is %d, and the store's dimension is %d", arguments.dimension, stats.dimension));
  }
  ENGRAM_ASSIGN_OR_RETURN(const Matrix matrix,
                          ReadVectors(arguments.file, arguments.format, stats.dimension));
  ENGRAM_ASSIGN_OR_RETURN(const auto ids, IdsOfRows(arguments, matrix.rows));
  std::vector<std::string> payloads;
  if (!arguments.payloads.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(payloads, ReadLines(arguments.payloads));
    if (payloads.size() != matrix.rows) {
      return absl::InvalidArgumentError(absl::StrFormat("%s has %d lines, and %s has %d rows",
                                                        arguments.payloads, payloads.size(),
                                                        arguments.file, matrix.rows));
    }
  }
  options.expected = matrix.rows;
  std::size_t next = 0;
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (next == matrix.rows) return false;
    *row = {.id = ids[next],
            .vector = absl::MakeConstSpan(matrix.row(next), matrix.dimension),
            .payload = payloads.empty() ? std::string_view() : payloads[next],
            .keys = {}};
    ++next;
    return true;
  };
  ENGRAM_ASSIGN_OR_RETURN(const ImportReport report, store.Import(options, source));
  return report.memories;
}

// An import of one memory: it knows to which id a key belongs, and gives new ones.
absl::Status PutByKey(Store& store, const Arguments& arguments, const WriteOptions& options,
                      const std::vector<float>& vector) {
  ImportOptions import;
  import.durability = options.durability;
  bool given = false;
  return store
      .Import(import,
              [&](ImportRow* row) -> absl::StatusOr<bool> {
                if (std::exchange(given, true)) return false;
                *row = {.id = std::nullopt,
                        .vector = vector,
                        .payload = arguments.text,
                        .keys = arguments.keys};
                return true;
              })
      .status();
}

}  // namespace

CommandResult Create(const Arguments& arguments) {
  StoreOptions options;
  options.dimension = arguments.dimension;
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.metric = arguments.metric == "dot"  ? Metric::kDot
                   : arguments.metric == "l2" ? Metric::kL2Squared
                                              : Metric::kCosine;
  ENGRAM_ASSIGN_OR_RETURN(const auto store, Store::Open(options, arguments.store));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  return 0;
}

CommandResult Import(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string format, FormatOf(arguments.file, arguments.format));
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_ASSIGN_OR_RETURN(const WriteOptions write, ToWriteOptions(arguments));
  ImportOptions options;
  if (!arguments.durability.empty()) options.durability = write.durability;
  options.progress = ProgressBar();
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t memories,
                          format == "jsonl" ? ImportJsonLines(*store, arguments, options)
                                            : ImportMatrix(*store, arguments, options));
  ENGRAM_RETURN_IF_ERROR(store->Seal());
  ENGRAM_RETURN_IF_ERROR(store->Close());
  ENGRAM_RETURN_IF_ERROR(Print(arguments.json ? absl::StrFormat("{\"imported\":%d}", memories)
                                              : absl::StrFormat("%d memories imported", memories)));
  return 0;
}

CommandResult Put(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_ASSIGN_OR_RETURN(const WriteOptions options, ToWriteOptions(arguments));
  std::vector<float> vector;
  if (!arguments.vector.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(vector, ParseVector(arguments.vector));
  }
  if (arguments.ids.empty()) {
    ENGRAM_RETURN_IF_ERROR(PutByKey(*store, arguments, options, vector));
  } else {
    WriteBatch batch;
    batch.Put(arguments.ids[0], vector, arguments.text);
    for (const std::string& key : arguments.keys) batch.SetKey(key, arguments.ids[0]);
    ENGRAM_RETURN_IF_ERROR(store->Write(options, batch));
  }
  ENGRAM_RETURN_IF_ERROR(store->Close());
  return 0;
}

CommandResult Delete(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_ASSIGN_OR_RETURN(const WriteOptions options, ToWriteOptions(arguments));
  WriteBatch batch;
  for (const MemoryId id : arguments.ids) batch.Delete(id);
  for (const std::string& key : arguments.keys) {
    ENGRAM_ASSIGN_OR_RETURN(const MemoryId id, store->IdForKey({}, key));
    batch.Delete(id);
  }
  ENGRAM_RETURN_IF_ERROR(store->Write(options, batch));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  return 0;
}

CommandResult Compact(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  CompactOptions options;
  options.progress = ProgressBar();
  ENGRAM_RETURN_IF_ERROR(store->Compact(options));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  return 0;
}

CommandResult Backup(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  BackupOptions options;
  options.progress = ProgressBar();
  ENGRAM_RETURN_IF_ERROR(store->Backup(options, arguments.directory));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  return 0;
}

}  // namespace engram::cli

// Adding the memories of a file.
#include <limits>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// Runs an import whose memories are at places of the file, "line 3" or "row 3". An error
// of the file names the place; any error tells how much of the file is in the store.
class FileImport {
 public:
  FileImport(Store& store, const Arguments& arguments, std::uint64_t expected)
      : store_(store), name_(NameOf(arguments.file)) {
    if (!arguments.durability.empty()) options_.durability = ToWriteOptions(arguments).durability;
    options_.expected = expected;
    options_.progress = [this, bar = ProgressBar()](const Progress& progress) {
      done_ = progress.done;
      return bar == nullptr || bar(progress);
    };
  }
  FileImport(const FileImport&) = delete;
  FileImport& operator=(const FileImport&) = delete;

  void SetPlace(std::string place) { place_ = std::move(place); }

  absl::StatusOr<std::uint64_t> Run(ImportSource source) {
    const auto report = store_.Import(options_, source);
    if (report.ok()) return report->memories;
    absl::Status status = report.status();
    // What is wrong with a memory is found when it is read; the rest is of the store.
    if (absl::IsInvalidArgument(status)) {
      status = storage::Annotate(status, absl::StrFormat("%s: %s", name_, place_));
    }
    return absl::Status(status.code(),
                        absl::StrFormat("%s; %s", std::string(status.message()), Kept()));
  }

 private:
  std::string Kept() const {
    if (done_ == 0) return "nothing of the file was imported";
    return absl::StrFormat("the first %d memories of the file are imported", done_);
  }

  Store& store_;
  const std::string name_;
  ImportOptions options_;
  std::string place_;
  std::uint64_t done_ = 0;  // in chunks that are written
};

absl::StatusOr<std::uint64_t> ImportJsonLines(Store& store, const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(arguments.file));
  std::uint64_t expected = 0;
  for (const std::string& line : lines) expected += line.empty() ? 0 : 1;
  FileImport import(store, arguments, expected);
  std::size_t next = 0;
  JsonMemory memory;
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    while (next < lines.size() && lines[next].empty()) ++next;
    if (next == lines.size()) return false;
    import.SetPlace(absl::StrFormat("line %d", next + 1));
    ENGRAM_ASSIGN_OR_RETURN(memory, ParseMemory(lines[next++]));
    *row = {
        .id = memory.id, .vector = memory.vector, .payload = memory.payload, .keys = memory.keys};
    return true;
  };
  return import.Run(source);
}

absl::StatusOr<std::vector<std::uint64_t>> IdsOfRows(const Arguments& arguments, std::size_t rows) {
  std::vector<std::uint64_t> ids;
  if (!arguments.ids_file.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(ids, ReadIds(arguments.ids_file));
    if (ids.size() != rows) {
      return absl::InvalidArgumentError(absl::StrFormat("%s has %d ids, and %s has %d rows",
                                                        NameOf(arguments.ids_file), ids.size(),
                                                        NameOf(arguments.file), rows));
    }
    return ids;
  }
  const std::uint64_t first = arguments.first_id.value_or(0);
  if (rows > 0 && rows - 1 > std::numeric_limits<MemoryId>::max() - first) {
    return absl::InvalidArgumentError(
        absl::StrFormat("from --first-id %d on there are not enough ids for the %d rows of %s",
                        first, rows, NameOf(arguments.file)));
  }
  for (std::size_t i = 0; i < rows; ++i) ids.push_back(first + i);
  return ids;
}

absl::StatusOr<std::vector<std::string>> PayloadsOfRows(const Arguments& arguments,
                                                        std::size_t rows) {
  if (arguments.payloads.empty()) return std::vector<std::string>(rows);
  ENGRAM_ASSIGN_OR_RETURN(std::vector<std::string> payloads, ReadLines(arguments.payloads));
  if (payloads.size() == rows) return payloads;
  return absl::InvalidArgumentError(absl::StrFormat("%s has %d lines, and %s has %d rows",
                                                    NameOf(arguments.payloads), payloads.size(),
                                                    NameOf(arguments.file), rows));
}

absl::StatusOr<std::uint64_t> ImportMatrix(Store& store, const Arguments& arguments) {
  const StoreStats stats = store.Stats();
  if (stats.memories > 0 && arguments.ids_file.empty() && !arguments.first_id.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds %d memories already, and rows without ids would be numbered from "
                        "0: say --ids or --first-id",
                        arguments.store, stats.memories));
  }
  ENGRAM_ASSIGN_OR_RETURN(const Matrix matrix,
                          ReadVectors(arguments.file, arguments.format, stats.dimension));
  ENGRAM_ASSIGN_OR_RETURN(const auto ids, IdsOfRows(arguments, matrix.rows));
  ENGRAM_ASSIGN_OR_RETURN(const auto payloads, PayloadsOfRows(arguments, matrix.rows));
  FileImport import(store, arguments, matrix.rows);
  std::size_t next = 0;
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (next == matrix.rows) return false;
    import.SetPlace(absl::StrFormat("row %d", next));
    *row = {.id = ids[next],
            .vector = absl::MakeConstSpan(matrix.row(next), matrix.dimension),
            .payload = payloads[next],
            .keys = {}};
    ++next;
    return true;
  };
  return import.Run(source);
}

}  // namespace

CommandResult Import(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string format, FormatOf(arguments.file, arguments.format));
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_RETURN_IF_ERROR(CheckDimension(arguments, *store));
  const std::uint64_t before = store->Stats().memories;
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t read, format == "jsonl"
                                                        ? ImportJsonLines(*store, arguments)
                                                        : ImportMatrix(*store, arguments));
  ENGRAM_RETURN_IF_ERROR(store->Seal());
  const std::uint64_t now = store->Stats().memories;
  ENGRAM_RETURN_IF_ERROR(store->Close());
  const std::uint64_t replaced = read - (now - before);
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(
        absl::StrFormat("{\"imported\":%d,\"replaced\":%d,\"memories\":%d}", read, replaced, now)));
    return 0;
  }
  const std::string of_these =
      replaced == 0 ? "" : absl::StrFormat(", %d of them in place of an earlier one", replaced);
  ENGRAM_RETURN_IF_ERROR(
      Print(absl::StrFormat("%d memories imported%s; the store holds %d", read, of_these, now)));
  return 0;
}

}  // namespace engram::cli

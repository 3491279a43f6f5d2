// Adding the memories of a file.
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/input_file.h"
#include "cli/json_lines.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// The memories of a file, read twice: first only checked, so that a bad one is found before
// anything is stored. Errors name the file.
class FileMemories {
 public:
  FileMemories() = default;
  virtual ~FileMemories() = default;
  FileMemories(const FileMemories&) = delete;
  FileMemories& operator=(const FileMemories&) = delete;

  virtual absl::StatusOr<bool> Next(ImportRow* row) = 0;
  virtual absl::Status Rewind() = 0;
  virtual std::string Place() const = 0;  // of what Next() gave last: "line 3" or "row 3"
};

// Returns: `status` with what is stored of the file.
absl::Status WithKept(const absl::Status& status, std::uint64_t kept) {
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrFormat(
          "%s; %s", std::string(status.message()),
          kept == 0 ? "nothing of the file was imported"
                    : absl::StrFormat("the first %d memories of the file are imported", kept)));
}

// Returns: how many memories there are.
absl::StatusOr<std::uint64_t> Check(Store& store, const std::string& name, FileMemories& memories) {
  bool is_read = true;
  ImportOptions options;
  options.dry_run = true;
  const auto found = store.Import(options, [&](ImportRow* row) {
    auto more = memories.Next(row);
    is_read = more.ok();
    return more;
  });
  if (found.ok()) return found->memories;
  if (!is_read) return found.status();
  return storage::Annotate(found.status(), absl::StrFormat("%s: %s", name, memories.Place()));
}

absl::StatusOr<std::uint64_t> Run(Store& store, const Arguments& arguments,
                                  FileMemories& memories) {
  const std::string name = NameOf(arguments.file);
  const auto found = Check(store, name, memories);
  ENGRAM_RETURN_IF_ERROR(WithKept(found.status(), 0));
  ENGRAM_RETURN_IF_ERROR(memories.Rewind());

  ImportOptions options;
  if (!arguments.durability.empty()) options.durability = ToWriteOptions(arguments).durability;
  options.expected = *found;
  std::uint64_t stored = 0;
  options.progress = [&stored, bar = ProgressBar()](const Progress& progress) {
    stored = progress.done;
    return bar == nullptr || bar(progress);
  };
  const auto report =
      store.Import(options, [&memories](ImportRow* row) { return memories.Next(row); });
  if (report.ok()) return report->memories;
  return WithKept(storage::Annotate(report.status(), name), stored);
}

class JsonLines : public FileMemories {
 public:
  explicit JsonLines(InputFile file) : file_(std::move(file)) {}

  absl::StatusOr<bool> Next(ImportRow* row) override {
    do {
      ENGRAM_ASSIGN_OR_RETURN(const bool more, file_.ReadLine(&line_));
      if (!more) return false;
      ++number_;
    } while (line_.empty());
    auto memory = ParseMemory(line_);
    if (!memory.ok()) {
      return storage::Annotate(memory.status(),
                               absl::StrFormat("%s: %s", NameOf(file_.path()), Place()));
    }
    memory_ = *std::move(memory);
    *row = {.id = memory_.id,
            .vector = memory_.vector,
            .payload = memory_.payload,
            .keys = memory_.keys};
    return true;
  }
  absl::Status Rewind() override {
    number_ = 0;
    return file_.Seek(0);
  }
  std::string Place() const override { return absl::StrFormat("line %d", number_); }

 private:
  InputFile file_;
  std::uint64_t number_ = 0;
  std::string line_;
  JsonMemory memory_;
};

// The rows of a matrix, with ids and payloads from files of their own or without.
class MatrixRows : public FileMemories {
 public:
  MatrixRows(VectorReader vectors, std::uint64_t first_id)
      : vectors_(std::move(vectors)), first_id_(first_id) {}

  // Errors: kInvalidArgument when ids or payloads are not as many as the rows, or no ids are left.
  absl::Status Prepare(const Arguments& arguments);

  absl::StatusOr<bool> Next(ImportRow* row) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto vector, vectors_.Next());
    if (!vector.has_value()) return false;
    *row = {.id = first_id_ + next_, .vector = *vector, .payload = {}, .keys = {}};
    if (ids_.has_value()) {
      ENGRAM_ASSIGN_OR_RETURN(row->id, ids_->Next());
    }
    if (payloads_.has_value()) {
      ENGRAM_RETURN_IF_ERROR(payloads_->ReadLine(&payload_).status());
      row->payload = payload_;
    }
    ++next_;
    return true;
  }
  absl::Status Rewind() override {
    next_ = 0;
    if (ids_.has_value()) ENGRAM_RETURN_IF_ERROR(ids_->Rewind());
    if (payloads_.has_value()) ENGRAM_RETURN_IF_ERROR(payloads_->Seek(0));
    return vectors_.Rewind();
  }
  std::string Place() const override { return absl::StrFormat("row %d", next_ - 1); }

 private:
  VectorReader vectors_;
  const std::uint64_t first_id_;
  std::optional<IdReader> ids_;
  std::optional<InputFile> payloads_;
  std::uint64_t next_ = 0;
  std::string payload_;
};

absl::Status MatrixRows::Prepare(const Arguments& arguments) {
  const std::uint64_t rows = vectors_.rows();
  const auto differs = [&](const std::string& path, std::uint64_t count, const char* what) {
    return absl::InvalidArgumentError(absl::StrFormat("%s has %d %s, and %s has %d rows",
                                                      NameOf(path), count, what,
                                                      NameOf(arguments.file), rows));
  };
  if (!arguments.ids_file.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(ids_, IdReader::Open(arguments.ids_file));
    if (ids_->rows() != rows) return differs(arguments.ids_file, ids_->rows(), "ids");
  } else if (rows > 0 && rows - 1 > std::numeric_limits<MemoryId>::max() - first_id_) {
    return absl::InvalidArgumentError(
        absl::StrFormat("from --first-id %d on there are not enough ids for the %d rows of %s",
                        first_id_, rows, NameOf(arguments.file)));
  }
  if (arguments.payloads.empty()) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(payloads_, InputFile::Open(arguments.payloads));
  std::uint64_t lines = 0;
  for (;; ++lines) {
    ENGRAM_ASSIGN_OR_RETURN(const bool more, payloads_->ReadLine(&payload_));
    if (!more) break;
  }
  if (lines != rows) return differs(arguments.payloads, lines, "lines");
  return payloads_->Seek(0);
}

absl::StatusOr<std::uint64_t> ImportJsonLines(Store& store, const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(arguments.file));
  JsonLines memories(std::move(file));
  return Run(store, arguments, memories);
}

absl::StatusOr<std::uint64_t> ImportMatrix(Store& store, const Arguments& arguments) {
  const StoreStats stats = store.Stats();
  if (stats.memories > 0 && arguments.ids_file.empty() && !arguments.first_id.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds %d memories already, and rows without ids would be numbered from "
                        "0: say --ids or --first-id",
                        arguments.store, stats.memories));
  }
  ENGRAM_ASSIGN_OR_RETURN(VectorReader vectors,
                          VectorReader::Open(arguments.file, arguments.format, stats.dimension));
  MatrixRows memories(std::move(vectors), arguments.first_id.value_or(0));
  ENGRAM_RETURN_IF_ERROR(memories.Prepare(arguments));
  return Run(store, arguments, memories);
}

}  // namespace

CommandResult Import(const Arguments& arguments) {
  ENGRAM_RETURN_IF_ERROR(CheckReadable(arguments.file));
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
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat(
      "%s imported%s; the store holds %d", Counted(read, "memory", "memories"), of_these, now)));
  return 0;
}

}  // namespace engram::cli

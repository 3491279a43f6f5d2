#include "storage/base/status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "rocksdb/status.h"

namespace engram::storage {
namespace {

// Returns: whether `text` says that a file is missing that was to be read, and so one that another
// file names.
bool TellsOfMissingFile(const std::string& text) {
  return text.find("No such file or directory") != std::string::npos &&
         (text.find("for sequentially reading") != std::string::npos ||
          text.find("for random read") != std::string::npos ||
          text.find("while stat a file for size") != std::string::npos);
}

absl::StatusCode CodeOf(const rocksdb::Status& status) {
  if (status.IsCorruption()) return absl::StatusCode::kDataLoss;
  if (status.IsNotFound()) return absl::StatusCode::kNotFound;
  if (status.IsNoSpace()) return absl::StatusCode::kResourceExhausted;
  if (status.IsInvalidArgument()) return absl::StatusCode::kInvalidArgument;
  if (status.IsBusy() || status.IsTimedOut() || status.IsTryAgain()) {
    return absl::StatusCode::kUnavailable;
  }
  if (status.IsIOError()) {
    // RocksDB keeps no errno for these; its message ends with strerror's text.
    const std::string text = status.ToString();
    if (text.find("larger than file length") != std::string::npos ||
        text.find("while mmap file for read") != std::string::npos || TellsOfMissingFile(text)) {
      return absl::StatusCode::kDataLoss;  // a table file that is cut off, empty or not there
    }
    if (text.find("Permission denied") != std::string::npos ||
        text.find("Read-only file system") != std::string::npos) {
      return absl::StatusCode::kPermissionDenied;
    }
    if (text.find("No space left") != std::string::npos ||
        text.find("Disk quota exceeded") != std::string::npos ||
        text.find("File too large") != std::string::npos) {
      return absl::StatusCode::kResourceExhausted;
    }
  }
  return absl::StatusCode::kInternal;
}

// Some messages of RocksDB have a line for each thing they tell, and end with an empty one.
std::string InOneLine(const std::string& text) {
  std::string line;
  for (const absl::string_view part : absl::StrSplit(text, absl::ByAnyChar("\r\n"))) {
    if (part.empty()) continue;
    if (!line.empty()) line += line.back() == ':' ? " " : "; ";
    absl::StrAppend(&line, part);
  }
  return line;
}

// RocksDB puts its messages into messages: "Corruption: Corruption: IO error: ...".
std::string TextOf(const rocksdb::Status& status) {
  std::string text = InOneLine(status.ToString());
  // Of a table that is missing RocksDB names what it would be called by an older LevelDB.
  absl::StrReplaceAll({{".ldb: No such file", ".sst: No such file"}}, &text);
  const std::size_t colon = text.find(": ");
  if (colon == std::string::npos) return text;
  const std::string kind = text.substr(0, colon + 2);
  while (text.compare(kind.size(), kind.size(), kind) == 0) text.erase(0, kind.size());
  return text;
}

}  // namespace

absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(CodeOf(status), absl::StrFormat("%s: %s", doing, TextOf(status)));
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrFormat("%s: %s", context, std::string(status.message())));
}

}  // namespace engram::storage

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "cli/commands.h"

namespace engram::cli {
namespace {

// Whether the cursor stands behind a bar. Commands run on the main thread alone.
bool progress_line_open = false;

constexpr std::size_t kShownPayload = 60, kShownKey = 24;

constexpr absl::string_view kReaderGone = "the reader of standard output is gone";

absl::Status OutputError() {
  if (errno == EPIPE) return absl::CancelledError(kReaderGone);
  return absl::InternalError("standard output takes no more");
}

// Returns: bytes of the UTF-8 character that begins `text`, 0 if none does.
std::size_t CharacterBytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80                    ? 1
                           : lead >= 0xc2 && lead <= 0xdf ? 2
                           : lead >= 0xe0 && lead <= 0xef ? 3
                           : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                          : 0;
  if (size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return size;
}

bool IsControl(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 2) return lead == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
  return lead < ' ' || lead == 0x7f;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const Arguments& arguments, bool read_only) {
  StoreOptions options;
  options.read_only = read_only;
  return Store::Open(options, arguments.store);
}

WriteOptions ToWriteOptions(const Arguments& arguments) {
  WriteOptions options;
  if (arguments.durability == "none") options.durability = Durability::kNone;
  if (arguments.durability == "power") options.durability = Durability::kPower;
  return options;
}

absl::Status CheckDimension(const Arguments& arguments, const Store& store) {
  const std::uint32_t dimension = store.Stats().dimension;
  if (arguments.dimension == 0 || arguments.dimension == dimension) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("--dim is %d, and the store's dimension is %d",
                                                    arguments.dimension, dimension));
}

ProgressCallback ProgressBar() {
  if (::isatty(STDERR_FILENO) == 0) return nullptr;
  return [](const Progress& progress) {
    constexpr std::uint64_t kWidth = 40;
    const std::string stage(progress.stage);
    progress_line_open = true;
    if (progress.total == 0) {
      absl::FPrintF(stderr, "\r%s %d", stage, progress.done);
      return true;
    }
    const std::uint64_t filled = std::min(progress.done * kWidth / progress.total, kWidth);
    absl::FPrintF(stderr, "\r%s [%s%s] %d/%d", stage, std::string(filled, '#'),
                  std::string(kWidth - filled, ' '), progress.done, progress.total);
    if (progress.done >= progress.total) EndProgressLine();
    return true;
  };
}

void EndProgressLine() {
  if (progress_line_open) std::fputc('\n', stderr);
  progress_line_open = false;
}

void Note(std::string_view line) {
  EndProgressLine();
  absl::FPrintF(stderr, "engram: %s\n", line);
}

absl::Status Print(std::string line) {
  EndProgressLine();
  line += '\n';
  return WriteOutput(line.data(), line.size());
}

absl::Status WriteOutput(const void* bytes, std::size_t size) {
  return std::fwrite(bytes, 1, size, stdout) == size ? absl::OkStatus() : OutputError();
}

absl::Status FlushOutput() {
  EndProgressLine();
  return std::fflush(stdout) == 0 ? absl::OkStatus() : OutputError();
}

bool IsReaderGone(const absl::Status& status) {
  return absl::IsCancelled(status) && status.message() == kReaderGone;
}

std::string Visible(std::string_view text) {
  std::string visible;
  while (!text.empty()) {
    const std::size_t size = CharacterBytes(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(size, 1));
    text.remove_prefix(character.size());
    if (size != 0 && !IsControl(character)) {
      visible += character;
    } else if (character == "\n" || character == "\t" || character == "\r") {
      visible += character == "\n" ? "\\n" : character == "\t" ? "\\t" : "\\r";
    } else {
      for (const char c : character) {
        visible += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
      }
    }
  }
  return visible;
}

std::string Counted(std::uint64_t count, std::string_view one, std::string_view more) {
  return absl::StrFormat("%d %s", count, count == 1 ? one : more);
}

std::string Beginning(std::string_view text, std::size_t bytes) {
  std::size_t end = std::min(text.size(), bytes);
  // Not in the middle of a UTF-8 character.
  while (end > 0 && end < text.size() && (text[end] & 0xc0) == 0x80) --end;
  return Visible(text.substr(0, end)) + (end < text.size() ? "…" : "");
}

std::string ShortName(const Record& record) {
  const std::string id = std::to_string(record.id);
  return record.keys.empty() ? id : id + " " + Beginning(record.keys[0], kShownKey);
}

std::string ShortPayload(const Record& record) { return Beginning(record.payload, kShownPayload); }

std::string HumanBytes(std::uint64_t bytes) {
  constexpr std::uint32_t kStep = 1000;
  constexpr std::array<const char*, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  if (bytes < kStep) return absl::StrFormat("%d bytes", bytes);
  double amount = static_cast<double>(bytes) / kStep;
  std::size_t unit = 0;
  for (; amount >= kStep && unit + 1 < kUnits.size(); ++unit) amount /= kStep;
  return absl::StrFormat("%.1f %s", amount, kUnits[unit]);
}

const char* MetricName(Metric metric) {
  return metric == Metric::kCosine ? "cosine" : metric == Metric::kDot ? "dot" : "l2";
}

Metric MetricNamed(const std::string& name) {
  return name == "dot" ? Metric::kDot : name == "l2" ? Metric::kL2Squared : Metric::kCosine;
}

const char* PathName(SearchPath path) {
  return path == SearchPath::kPlainScan ? "plain_scan" : "certified_scan";
}

std::string VersionLine() {
  return absl::StrFormat("engram %s, format %d, RocksDB %s", Version(), FormatVersion(),
                         BackendVersion());
}

}  // namespace engram::cli

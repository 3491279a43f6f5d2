#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_format.h"
#include "cli/commands.h"

namespace engram::cli {

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const Arguments& arguments, bool read_only) {
  StoreOptions options;
  options.read_only = read_only;
  return Store::Open(options, arguments.store);
}

absl::StatusOr<WriteOptions> ToWriteOptions(const Arguments& arguments) {
  WriteOptions options;
  if (arguments.durability == "none") options.durability = Durability::kNone;
  if (arguments.durability == "power") options.durability = Durability::kPower;
  return options;
}

ProgressCallback ProgressBar() {
  if (::isatty(STDERR_FILENO) == 0) return nullptr;
  return [](const Progress& progress) {
    constexpr std::uint64_t kWidth = 40;
    if (progress.total == 0) {
      absl::FPrintF(stderr, "\r%s %d", std::string(progress.stage), progress.done);
    } else {
      const std::uint64_t filled = std::min(progress.done * kWidth / progress.total, kWidth);
      absl::FPrintF(stderr, "\r%s [%s%s] %d/%d", std::string(progress.stage),
                    std::string(filled, '#'), std::string(kWidth - filled, ' '), progress.done,
                    progress.total);
      if (progress.done >= progress.total) std::fputc('\n', stderr);
    }
    return true;
  };
}

absl::Status Print(const std::string& line) {
  if (std::puts(line.c_str()) >= 0) return absl::OkStatus();
  return absl::InternalError("standard output takes no more");
}

}  // namespace engram::cli

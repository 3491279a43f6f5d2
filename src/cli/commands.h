// The commands of `engram`, one function each. Exit codes: 0 ok, 1 error,
// 2 usage, 3 verification found damage.
#ifndef ENGRAM_CLI_COMMANDS_H_
#define ENGRAM_CLI_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engram/engram.h"

namespace engram::cli {

inline constexpr int kExitDamage = 3;

// Everything the command line can say.
struct Arguments {
  std::string store, file, format, payloads, ids_file, metric = "cosine", durability, text, vector,
                                                       directory, mode = "exact";
  std::uint32_t dimension = 0, k = 10, threads = 0;
  std::optional<std::uint64_t> first_id;
  std::vector<std::uint64_t> ids;
  std::vector<std::string> keys;
  std::optional<float> min_score;
  double seconds = 3;
  bool json = false, payload = false, plain = false, kernels = false;
};

using CommandResult = absl::StatusOr<int>;  // the exit code

CommandResult Create(const Arguments& arguments);
CommandResult Import(const Arguments& arguments);
CommandResult Put(const Arguments& arguments);
CommandResult Delete(const Arguments& arguments);
CommandResult Compact(const Arguments& arguments);
CommandResult Backup(const Arguments& arguments);
CommandResult Get(const Arguments& arguments);
CommandResult Search(const Arguments& arguments);
CommandResult Export(const Arguments& arguments);
CommandResult Bench(const Arguments& arguments);
CommandResult Stats(const Arguments& arguments);
CommandResult Verify(const Arguments& arguments);
CommandResult ShowVersion(const Arguments& arguments);

// What the commands share.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const Arguments& arguments, bool read_only);
absl::StatusOr<WriteOptions> ToWriteOptions(const Arguments& arguments);

// Draws a bar on stderr when that is a terminal; null otherwise.
ProgressCallback ProgressBar();

// Prints a line to stdout. Errors: kInternal when stdout takes no more.
absl::Status Print(const std::string& line);

}  // namespace engram::cli

#endif  // ENGRAM_CLI_COMMANDS_H_

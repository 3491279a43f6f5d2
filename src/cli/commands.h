// The commands of `engram`, one function each. Exit codes: 0 ok, 1 error,
// 2 usage, 3 verification found damage.
#ifndef ENGRAM_CLI_COMMANDS_H_
#define ENGRAM_CLI_COMMANDS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engram/engram.h"

namespace engram::cli {

struct Matrix;

inline constexpr int kExitDamage = 3;

// Everything the command line can say.
struct Arguments {
  // Empty: not given; an empty argument is refused where that would not be the same.
  std::string store, file, format, payloads, ids_file, durability, text, vector, directory;
  std::string metric = "cosine", repair_metric, mode = "exact";
  std::string named, types, normalisation, decay;
  std::uint32_t dimension = 0, k = 10, threads = 0;
  std::optional<std::uint64_t> first_id;
  std::vector<std::uint64_t> ids;
  std::vector<std::string> keys;
  std::optional<float> min_score;
  std::optional<std::int64_t> now;
  double seconds = 3;
  float amount = 0, below = 0;
  RecallOptions recall;  // whose defaults the command's are
  bool json = false, payload = false, plain = false, kernels = false, list = false;
  bool bidirectional = false, create_missing = false, in = false, explain = false, apply = false,
       edges = false;
};

using CommandResult = absl::StatusOr<int>;  // the exit code

CommandResult Create(const Arguments& arguments);
CommandResult Import(const Arguments& arguments);
CommandResult Put(const Arguments& arguments);
CommandResult Delete(const Arguments& arguments);
CommandResult Compact(const Arguments& arguments);
CommandResult Repair(const Arguments& arguments);
CommandResult Backup(const Arguments& arguments);
CommandResult Get(const Arguments& arguments);
CommandResult Search(const Arguments& arguments);
CommandResult Export(const Arguments& arguments);
CommandResult Bench(const Arguments& arguments);
CommandResult Stats(const Arguments& arguments);
CommandResult Verify(const Arguments& arguments);
CommandResult ShowVersion(const Arguments& arguments);
CommandResult Link(const Arguments& arguments);
CommandResult Neighbors(const Arguments& arguments);
CommandResult Recall(const Arguments& arguments);
CommandResult Reinforce(const Arguments& arguments);
CommandResult Forget(const Arguments& arguments);

// What the commands share.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const Arguments& arguments, bool read_only);
WriteOptions ToWriteOptions(const Arguments& arguments);

// Returns: the vectors to search with, one row a query: of --vector, --vectors or --id; of
// none of them no row.
absl::StatusOr<Matrix> CueVectors(const Arguments& arguments, const Store& store);

// Returns: the memory that --id or --key names; one of them is given.
absl::StatusOr<MemoryId> OneMemory(const Arguments& arguments, const Store& store);

// Returns: the memories that --id and --key name, ascending, each once.
absl::StatusOr<std::vector<MemoryId>> AllMemories(const Arguments& arguments, const Store& store);

// Returns: --half-life, --decay and --now as the library takes them.
StrengthOptions ToStrengthOptions(const Arguments& arguments);

// Errors: kInvalidArgument when --dim was given and is not the store's.
absl::Status CheckDimension(const Arguments& arguments, const Store& store);

// Draws a bar on stderr when that is a terminal; null otherwise.
ProgressCallback ProgressBar();

// Ends the line of a bar that did not come to its end. Before anything else is said.
void EndProgressLine();

// Prints a line, or bytes, to stdout. Errors: kInternal when stdout takes no more; see
// IsReaderGone.
absl::Status Print(std::string line);
// One line of stderr, beside an answer: what it does not tell.
void Note(std::string_view line);
absl::Status WriteOutput(const void* bytes, std::size_t size);
absl::Status FlushOutput();

// Returns: whether stdout was a pipe whose reader has left, as `head` does: it has read
// all it wanted, and the command ends without a word.
bool IsReaderGone(const absl::Status& status);

// Returns: `text` with control characters, and bytes that are no UTF-8, as \n or \x1b, so
// that no memory can write to the terminal as it likes.
std::string Visible(std::string_view text);

// Returns: the beginning of it, at most `bytes`, made visible.
std::string Beginning(std::string_view text, std::size_t bytes);
// Returns: "1 edge", "2 edges".
std::string Counted(std::uint64_t count, std::string_view one, std::string_view more);

// Returns: "7 cat", the id and the first key, as people see them.
std::string ShortName(const Record& record);
std::string ShortPayload(const Record& record);

std::string HumanBytes(std::uint64_t bytes);  // "15.4 MB"
const char* MetricName(Metric metric);        // as --metric takes it
Metric MetricNamed(const std::string& name);  // of those
const char* PathName(SearchPath path);        // as JSON has it
std::string VersionLine();

}  // namespace engram::cli

#endif  // ENGRAM_CLI_COMMANDS_H_

// The command line as options: which command was chosen and what was said to it. Each
// usage_*.cc adds a group of commands; main.cc parses, reports and runs the chosen one.
#ifndef ENGRAM_CLI_COMMAND_LINE_H_
#define ENGRAM_CLI_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "cli/commands.h"

namespace engram::cli {

using Command = CommandResult (*)(const Arguments&);

// Looks at options that only together are right or wrong.
// Returns: what is wrong with them, naming the option, or "".
using Check = std::string (*)(const Arguments&);

struct CommandLine {
  CommandLine() : app("Engram: an embedded vector store", "engram") {
    // So that the longest names and defaults leave room before what is said of them.
    constexpr std::size_t kColumns = 34;
    app.get_formatter()->column_width(kColumns);
  }

  CLI::App app;
  Arguments arguments;
  Command chosen = nullptr;
};

void AddWriting(CommandLine& line);  // create, import, put, delete
void AddReading(CommandLine& line);  // get, search, export, bench
void AddRecall(CommandLine& line);   // link, neighbors, recall, reinforce, forget
void AddUpkeep(CommandLine& line);   // stats, verify, compact, backup, repair, version

// What the groups share.
CLI::App* AddCommand(CommandLine& line, const char* name, const char* what, Command command,
                     Check check = nullptr);
CLI::App* AddStoreCommand(CommandLine& line, const char* name, const char* what, Command command,
                          Check check = nullptr);

// Decimal digits of a number from `least` to `most`, and nothing else.
CLI::Validator WholeNumber(std::uint64_t least, std::uint64_t most);

// A finite number from `least` to `most`. A `least` below any normal number, such as
// kAboveZero, is told as "above 0".
CLI::Validator NumberBetween(double least, double most);

template <typename Number>
inline constexpr Number kAboveZero = std::numeric_limits<Number>::denorm_min();

// Text that is not empty: an empty argument is most often a shell variable that is not set.
CLI::Option* AddText(CLI::App* command, const char* name, std::string& text, const char* what);

// A finite number, which its type can hold.
template <typename Number>
CLI::Option* AddNumber(CLI::App* command, const char* name, Number& number, const char* what,
                       Number least = std::numeric_limits<Number>::lowest(),
                       Number most = std::numeric_limits<Number>::max()) {
  return command->add_option(name, number, what)->transform(NumberBetween(least, most));
}

template <typename Number>
CLI::Option* AddNumber(CLI::App* command, const char* name, std::optional<Number>& number,
                       const char* what) {
  using Limits = std::numeric_limits<Number>;
  return command->add_option(name, number, what)
      ->transform(NumberBetween(Limits::lowest(), Limits::max()));
}

// A memory's ids; as many as wanted after one --id, or exactly one.
CLI::Option* AddIds(CLI::App* command, Arguments& arguments, const char* what, bool several);

// A memory's keys; --key is repeated for several.
CLI::Option* AddKeys(CLI::App* command, Arguments& arguments, const char* what, bool several);

void AddHits(CLI::App* command, Arguments& arguments);  // -k, --threads
void AddDurability(CLI::App* command, Arguments& arguments, const char* what);

// --vector, --vectors, --format, --dim and --id: the vectors to search with.
void AddCueVectors(CLI::App* command, Arguments& arguments);

// Returns: what is wrong with how these go together.
std::string CheckCueVectors(const Arguments& arguments);
std::string CheckOneMemory(const Arguments& arguments);
std::string CheckMemories(const Arguments& arguments);

}  // namespace engram::cli

#endif  // ENGRAM_CLI_COMMAND_LINE_H_

// From the command line to a command and an exit code.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/command_line.h"
#include "cli/commands.h"

namespace engram::cli {
namespace {

constexpr int kError = 1, kUsage = 2;

int Report(int code, const std::string& message) {
  EndProgressLine();
  absl::FPrintF(stderr, "engram: %s\n", Visible(message));
  return code;
}

// `engram help`, `engram help COMMAND`, as people write it.
std::vector<std::string> Words(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  return words;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

// What is wrong: a word that nothing knows before what is missing, because it is most
// often the misspelt name of what is missing.
std::string Wrong(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const bool before_command = chosen.empty() || !app.remaining().empty();
  const CLI::App& at = before_command ? app : *chosen[0];
  const std::vector<std::string> unknown = at.remaining();
  const auto option = std::find_if(unknown.begin(), unknown.end(),
                                   [](const std::string& word) { return word[0] == '-'; });
  if (option != unknown.end()) {
    std::vector<std::string> names;
    for (const CLI::Option* known : at.get_options()) {
      if (!known->get_positional()) names.push_back(known->get_name());
    }
    return absl::StrFormat("%s has no option %s; it has %s", at.get_name(), *option,
                           absl::StrJoin(names, ", "));
  }
  if (!unknown.empty()) {
    return absl::StrFormat("%s: \"%s\" is one argument too many", at.get_name(), unknown[0]);
  }
  if (chosen.empty()) return "a command is needed: " + absl::StrJoin(CommandNames(app), ", ");
  const std::string what = absl::StrReplaceAll(error.what(), {{": must be", " must be"}});
  return what.rfind(at.get_name() + ":", 0) == 0 ? what : at.get_name() + ": " + what;
}

int ReportUsage(const CLI::App& app, const std::string& wrong) {
  const auto chosen = app.get_subcommands();
  Report(kUsage, wrong);
  return Report(kUsage, absl::StrFormat("\"engram %s--help\" says more",
                                        chosen.empty() ? "" : chosen[0]->get_name() + " "));
}

int Main(int argc, char** argv) {
  // A reader that goes away must not kill the process in the midst of its work.
  std::signal(SIGPIPE, SIG_IGN);
  CommandLine line;
  line.app.require_subcommand(1);
  line.app.set_version_flag("--version", VersionLine(), "which library this is");
  AddWriting(line);
  AddReading(line);
  AddRecall(line);
  AddUpkeep(line);
  std::vector<std::string> words = Words(argc, argv);
  const std::vector<std::string> names = CommandNames(line.app);
  if (!words.empty() && words[0].rfind('-', 0) != 0 &&
      std::find(names.begin(), names.end(), words[0]) == names.end()) {
    return ReportUsage(line.app, absl::StrFormat("there is no command \"%s\"; there are %s",
                                                 words[0], absl::StrJoin(names, ", ")));
  }
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    line.app.parse(words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return line.app.exit(error);
    return ReportUsage(line.app, Wrong(line.app, error));
  }
  const CommandResult result = line.chosen(line.arguments);
  if (IsReaderGone(result.status())) return 0;
  if (!result.ok()) return Report(kError, std::string(result.status().message()));
  const absl::Status flushed = FlushOutput();
  if (!flushed.ok() && !IsReaderGone(flushed)) {
    return Report(kError, std::string(flushed.message()));
  }
  return *result;
}

}  // namespace
}  // namespace engram::cli

int main(int argc, char** argv) { return engram::cli::Main(argc, argv); }

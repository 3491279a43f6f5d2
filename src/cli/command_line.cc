#include "cli/command_line.h"

#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace engram::cli {
namespace {

CLI::Validator NotEmpty() {
  return {[](std::string& text) { return std::string(text.empty() ? "it is empty" : ""); }, ""};
}

CLI::Validator Key() {
  const auto check = [](std::string& text) -> std::string {
    if (text.empty()) return "it is empty";
    if (text.size() <= kMaxKeyBytes) return "";
    return absl::StrFormat("it has %d bytes; 1 to %d are allowed", text.size(), kMaxKeyBytes);
  };
  return {check, ""};
}

constexpr std::uint32_t kMaxThreads = 256;

}  // namespace

CLI::Validator WholeNumber(std::uint64_t least, std::uint64_t most) {
  const auto check = [least, most](std::string& text) -> std::string {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) {
      return absl::StrFormat("\"%s\" is no whole number in decimal digits", text);
    }
    std::uint64_t value = 0;
    const bool fits = absl::SimpleAtoi(text, &value);
    if (fits && value < least) return absl::StrFormat("must be at least %d, not %s", least, text);
    if (!fits || value > most) return absl::StrFormat("must be at most %d, not %s", most, text);
    // Without leading zeros, which would be read as octal from here on.
    text = std::to_string(value);
    return "";
  };
  return {check, ""};
}

CLI::Validator NumberBetween(double least, double most) {
  const auto check = [least, most](std::string& text) -> std::string {
    double value = 0;
    if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
      return absl::StrFormat("\"%s\" is no finite number", text);
    }
    if (value > most) return absl::StrFormat("must be at most %g, not %s", most, text);
    if (value >= least) return "";
    if (least > 0.0 && least < std::numeric_limits<float>::min()) {
      return absl::StrFormat("must be above 0, not %s", text);
    }
    return absl::StrFormat("must be at least %g, not %s", least, text);
  };
  return {check, ""};
}

CLI::App* AddCommand(CommandLine& line, const char* name, const char* what, Command command,
                     Check check) {
  CLI::App* sub = line.app.add_subcommand(name, what);
  sub->add_flag("--json", line.arguments.json, "answer in JSON, one object per line");
  sub->callback([&line, name, command, check] {
    line.chosen = command;
    const std::string wrong = check == nullptr ? "" : check(line.arguments);
    if (!wrong.empty()) throw CLI::ValidationError(name, wrong);
  });
  return sub;
}

CLI::App* AddStoreCommand(CommandLine& line, const char* name, const char* what, Command command,
                          Check check) {
  CLI::App* sub = AddCommand(line, name, what, command, check);
  AddText(sub, "STORE", line.arguments.store, "directory of the store")->required();
  return sub;
}

CLI::Option* AddText(CLI::App* command, const char* name, std::string& text, const char* what) {
  return command->add_option(name, text, what)->transform(NotEmpty());
}

CLI::Option* AddIds(CLI::App* command, Arguments& arguments, const char* what, bool several) {
  CLI::Option* option = command->add_option("--id", arguments.ids, what)
                            ->transform(WholeNumber(0, std::numeric_limits<MemoryId>::max()));
  return several ? option : option->expected(1);
}

CLI::Option* AddKeys(CLI::App* command, Arguments& arguments, const char* what, bool several) {
  CLI::Option* option = command->add_option("--key", arguments.keys, what)->transform(Key());
  // With extra arguments, "[a,b]" would be taken for the two keys a and b.
  option->allow_extra_args(false);
  return several ? option : option->expected(1);
}

void AddHits(CLI::App* command, Arguments& arguments) {
  command->add_option("-k", arguments.k, "how many hits")
      ->transform(WholeNumber(1, std::numeric_limits<std::uint32_t>::max()))
      ->capture_default_str();
  command->add_option("--threads", arguments.threads, "of one search; 0: as many as the CPU runs")
      ->transform(WholeNumber(0, kMaxThreads))
      ->capture_default_str();
}

void AddDurability(CLI::App* command, Arguments& arguments, const char* what) {
  command->add_option("--durability", arguments.durability, what)
      ->check(CLI::IsMember({"none", "process", "power"}));
}

}  // namespace engram::cli

// The options of the commands that change memories.
#include <limits>

#include "absl/strings/str_format.h"
#include "cli/command_line.h"
#include "cli/readers.h"

namespace engram::cli {
namespace {

constexpr std::uint64_t kAnyId = std::numeric_limits<MemoryId>::max();

std::string CheckImport(const Arguments& a) {
  if (!a.ids_file.empty() && a.first_id.has_value())
    return "--ids and --first-id exclude each other";
  if (IsStandardInput(a.file)) {
    if (a.format.empty()) return "from standard input --format is needed: it has no extension";
    if (IsStandardInput(a.ids_file) || IsStandardInput(a.payloads)) {
      return "standard input can be read only once";
    }
  }
  const auto format = FormatOf(a.file, a.format);
  if (!format.ok() || *format != "jsonl") return "";  // the command itself reports an unknown one
  const char* option = a.first_id.has_value() ? "--first-id"
                       : !a.ids_file.empty()  ? "--ids"
                       : !a.payloads.empty()  ? "--payloads"
                                              : nullptr;
  if (option == nullptr) return "";
  return absl::StrFormat("%s is not for jsonl, whose lines say ids and payloads themselves",
                         option);
}

void AddImport(CommandLine& line) {
  Arguments& a = line.arguments;
  CLI::App* import =
      AddStoreCommand(line, "import", "add the memories of a file", Import, CheckImport);
  AddText(import, "FILE", a.file, "what to read; - is standard input, with --format")->required();
  import->add_option("--format", a.format, "of FILE; without it the extension tells")
      ->check(CLI::IsMember({"npy", "fvecs", "f16", "jsonl"}));
  import->add_option("--dim", a.dimension, "floats per embedding, only to be checked")
      ->transform(WholeNumber(1, kMaxDimension));
  AddText(import, "--payloads", a.payloads, "text file with the payload of each row in a line");
  AddText(import, "--ids", a.ids_file, ".npy with the id of each row, 64-bit integers");
  import
      ->add_option("--first-id", a.first_id,
                   "rows get this id and those after it; without --ids and --first-id\n"
                   "they get 0, 1, ... in an empty store, and an error in another")
      ->transform(WholeNumber(0, kAnyId));
  AddDurability(import, a, "what each chunk survives; power unless said");
}

}  // namespace

std::string CheckMemories(const Arguments& a) {
  return a.ids.empty() && a.keys.empty() ? "--id or --key is needed" : "";
}

void AddWriting(CommandLine& line) {
  Arguments& a = line.arguments;
  CLI::App* create = AddStoreCommand(line, "create", "create a store", Create);
  create->add_option("--dim", a.dimension, "floats per embedding")
      ->transform(WholeNumber(1, kMaxDimension))
      ->required();
  create->add_option("--metric", a.metric, "what a score is; l2 is minus the squared distance")
      ->check(CLI::IsMember({"cosine", "dot", "l2"}))
      ->capture_default_str();

  AddImport(line);

  CLI::App* put =
      AddStoreCommand(line, "put", "store one memory, or replace it whole", Put, CheckMemories);
  AddIds(put, a, "of the memory", false);
  AddKeys(put, a,
          "text name, repeated for more; without --id: the memory it names,\nor a new one. "
          "With --id a key that named another memory\nmoves to this one",
          true);
  AddText(put, "--vector", a.vector,
          "JSON array; without it the memory has no embedding afterwards,\n"
          "and loses the one it had");
  put->add_option("--payload", a.text, "text; without it the payload is empty");
  AddDurability(put, a, "what the write survives; process unless said");
  put->footer("At least one of --id and --key is needed.");

  CLI::App* remove =
      AddStoreCommand(line, "delete", "remove memories with their keys", Delete, CheckMemories);
  AddIds(remove, a, "of memories, one or more", true);
  AddKeys(remove, a, "of a memory; repeated for more", true);
  AddDurability(remove, a, "what the write survives; process unless said");
  remove->footer("At least one of --id and --key is needed. All of them go, or none.");
}

}  // namespace engram::cli

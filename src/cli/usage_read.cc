// The options of the commands that read memories.
#include "cli/command_line.h"
#include "cli/readers.h"

namespace engram::cli {
namespace {

std::string CheckSearch(const Arguments& a) {
  std::string wrong = CheckCueVectors(a);
  if (!wrong.empty()) return wrong;
  const bool none = a.vector.empty() && a.file.empty() && a.ids.empty();
  return none ? "exactly one of --vector, --vectors and --id is needed" : "";
}

std::string CheckExport(const Arguments& a) {
  if (a.edges && !a.format.empty() && a.format != "jsonl") return "edges are written as jsonl only";
  return a.ids_file.empty() || a.format == "npy" ? "" : "--ids goes with --format npy only";
}

}  // namespace

std::string CheckOneMemory(const Arguments& a) {
  return a.ids.size() + a.keys.size() == 1 ? "" : "exactly one of --id and --key is needed";
}

std::string CheckCueVectors(const Arguments& a) {
  const int cues = (a.vector.empty() ? 0 : 1) + (a.file.empty() ? 0 : 1) + (a.ids.empty() ? 0 : 1);
  if (cues > 1) return "--vector, --vectors and --id exclude each other";
  if (a.file.empty() && !a.format.empty()) return "--format is of --vectors, which is not given";
  if (IsStandardInput(a.file) && a.format.empty()) {
    return "from standard input --format is needed: it has no extension";
  }
  return "";
}

void AddCueVectors(CLI::App* command, Arguments& a) {
  AddText(command, "--vector", a.vector, "JSON array");
  AddText(command, "--vectors", a.file, "file of queries; - is standard input, with --format");
  AddIds(command, a, "search with the embedding of this memory, which is a hit itself", false);
  command->add_option("--format", a.format, "of --vectors; without it the extension tells")
      ->check(CLI::IsMember({"npy", "fvecs", "f16"}));
  command->add_option("--dim", a.dimension, "floats per query, only to be checked")
      ->transform(WholeNumber(1, kMaxDimension));
}

void AddReading(CommandLine& line) {
  Arguments& a = line.arguments;
  CLI::App* get = AddStoreCommand(line, "get", "show one memory", Get, CheckOneMemory);
  AddIds(get, a, "of the memory", false);
  AddKeys(get, a, "of the memory", false);
  get->footer("Exactly one of --id and --key is needed.");

  CLI::App* search =
      AddStoreCommand(line, "search", "find the nearest memories", Search, CheckSearch);
  AddCueVectors(search, a);
  AddHits(search, a);
  AddNumber(search, "--min-score", a.min_score, "only hits of this score or higher");
  search->add_option("--mode", a.mode, "what may be left out; exact: nothing")
      ->check(CLI::IsMember({"exact"}))
      ->capture_default_str();
  search->add_flag("--plain", a.plain, "score every row in f32: the same answer, to compare");
  search->add_flag("--payload", a.payload, "payloads in the JSON answers, too");
  search->footer("Exactly one of --vector, --vectors and --id is needed.");

  CLI::App* out =
      AddStoreCommand(line, "export", "write all memories to stdout", Export, CheckExport);
  out->add_option("--format", a.format, "jsonl unless said; npy: the embeddings alone")
      ->check(CLI::IsMember({"jsonl", "npy"}));
  out->add_flag("--edges", a.edges, "write the edges instead, as link reads them");
  AddText(out, "--ids", a.ids_file, "with npy: the file to write the ids of its rows to");

  CLI::App* bench = AddStoreCommand(line, "bench", "time searches of the store", Bench);
  AddHits(bench, a);
  bench->add_option("--seconds", a.seconds, "how long")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
}

}  // namespace engram::cli

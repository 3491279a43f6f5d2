// The command line: which options each command has, and what it exits with.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "cli/commands.h"

namespace engram::cli {
namespace {

using Command = CommandResult (*)(const Arguments&);

CLI::App* Add(CLI::App& app, const char* name, const char* what, Arguments& arguments,
              Command command, Command& chosen) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->add_flag("--json", arguments.json, "one JSON object per line");
  sub->callback([&chosen, command] { chosen = command; });
  return sub;
}

CLI::App* AddWithStore(CLI::App& app, const char* name, const char* what, Arguments& arguments,
                       Command command, Command& chosen) {
  CLI::App* sub = Add(app, name, what, arguments, command, chosen);
  sub->add_option("STORE", arguments.store, "directory of the store")->required();
  return sub;
}

void AddDurability(CLI::App* sub, Arguments& arguments) {
  sub->add_option("--durability", arguments.durability, "what the write survives")
      ->check(CLI::IsMember({"none", "process", "power"}));
}

void AddWriting(CLI::App& app, Arguments& a, Command& chosen) {
  CLI::App* create = AddWithStore(app, "create", "create a store", a, Create, chosen);
  create->add_option("--dim", a.dimension, "floats per embedding")->required();
  create->add_option("--metric", a.metric)->check(CLI::IsMember({"cosine", "dot", "l2"}));

  CLI::App* import = AddWithStore(app, "import", "add the memories of a file", a, Import, chosen);
  import->add_option("FILE", a.file)->required();
  import->add_option("--format", a.format)->check(CLI::IsMember({"npy", "fvecs", "f16", "jsonl"}));
  import->add_option("--dim", a.dimension, "checked against the store");
  import->add_option("--payloads", a.payloads, "text file, one line a row");
  auto* ids = import->add_option("--ids", a.ids_file, ".npy of 64-bit ids");
  import->add_option("--first-id", a.first_id, "the id of the first row")->excludes(ids);
  AddDurability(import, a);

  CLI::App* put = AddWithStore(app, "put", "store or replace one memory", a, Put, chosen);
  CLI::Option_group* memory = put->add_option_group("memory");
  memory->add_option("--id", a.ids)->expected(1);
  memory->add_option("--key", a.keys, "text name; without --id: of this memory, or of a new one");
  memory->require_option(1, 2);
  put->add_option("--vector", a.vector, "JSON array");
  put->add_option("--payload", a.text);
  AddDurability(put, a);

  CLI::App* remove = AddWithStore(app, "delete", "remove memories", a, Delete, chosen);
  CLI::Option_group* which = remove->add_option_group("memories");
  which->add_option("--id", a.ids);
  which->add_option("--key", a.keys);
  which->require_option(1, 2);
  AddDurability(remove, a);

  AddWithStore(app, "compact", "give back the space of dead rows", a, Compact, chosen);
  CLI::App* backup = AddWithStore(app, "backup", "copy the store", a, Backup, chosen);
  backup->add_option("DIRECTORY", a.directory, "must not exist")->required();
}

void AddReading(CLI::App& app, Arguments& a, Command& chosen) {
  CLI::App* get = AddWithStore(app, "get", "show one memory", a, Get, chosen);
  CLI::Option_group* which = get->add_option_group("memory");
  which->add_option("--id", a.ids)->expected(1);
  which->add_option("--key", a.keys)->expected(1);
  which->require_option(1);

  CLI::App* search = AddWithStore(app, "search", "find the nearest memories", a, Search, chosen);
  CLI::Option_group* cue = search->add_option_group("query");
  cue->add_option("--vector", a.vector, "JSON array");
  cue->add_option("--vectors", a.file, "file of queries");
  cue->add_option("--id", a.ids, "the embedding of a memory")->expected(1);
  cue->require_option(1);
  search->add_option("--format", a.format)->check(CLI::IsMember({"npy", "fvecs", "f16"}));
  search->add_option("-k", a.k, "how many hits")->check(CLI::PositiveNumber);
  search->add_option("--mode", a.mode)->check(CLI::IsMember({"exact"}));
  search->add_flag("--plain", a.plain, "the plain scan, which is the only one yet");
  search->add_option("--threads", a.threads);
  search->add_option("--min-score", a.min_score);
  search->add_flag("--payload", a.payload, "payloads in the JSON answers");

  CLI::App* out = AddWithStore(app, "export", "write all memories to stdout", a, Export, chosen);
  out->add_option("--format", a.format, "npy: the embeddings alone")
      ->check(CLI::IsMember({"jsonl", "npy"}));
  out->add_option("--ids", a.ids_file, "with npy: a file for the ids of its rows");

  CLI::App* bench = AddWithStore(app, "bench", "time searches of the store", a, Bench, chosen);
  bench->add_option("-k", a.k, "how many hits")->check(CLI::PositiveNumber);
  bench->add_option("--threads", a.threads);
  bench->add_option("--seconds", a.seconds, "how long")->check(CLI::Range(0.01, 3600.0));
  AddWithStore(app, "stats", "numbers about a store", a, Stats, chosen);
  AddWithStore(app, "verify", "check a store; exit 3 means damage", a, Verify, chosen);
  CLI::App* version = Add(app, "version", "which library this is", a, ShowVersion, chosen);
  version->add_flag("--kernels", a.kernels, "list the compute kernels");
}

int Main(int argc, char** argv) {
  constexpr int kError = 1, kUsage = 2;
  // A reader that goes away is an error of writing, not a death without a word.
  std::signal(SIGPIPE, SIG_IGN);
  Arguments arguments;
  Command chosen = nullptr;
  CLI::App app("Engram: an embedded vector store", "engram");
  app.require_subcommand(1);
  AddWriting(app, arguments, chosen);
  AddReading(app, arguments, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  const CommandResult result = chosen(arguments);
  if (!result.ok()) {
    absl::FPrintF(stderr, "engram: %s\n", std::string(result.status().message()));
    return kError;
  }
  if (std::fflush(stdout) != 0) {
    absl::FPrintF(stderr, "engram: standard output takes no more\n");
    return kError;
  }
  return *result;
}

}  // namespace
}  // namespace engram::cli

int main(int argc, char** argv) { return engram::cli::Main(argc, argv); }

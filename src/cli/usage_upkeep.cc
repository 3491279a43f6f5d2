// The options of the commands about a store as a whole, and about the program.
#include "cli/command_line.h"

namespace engram::cli {

void AddUpkeep(CommandLine& line) {
  Arguments& a = line.arguments;
  AddStoreCommand(line, "stats", "numbers about a store", Stats);
  AddStoreCommand(line, "verify", "check a store; exit 3 means damage", Verify);
  AddStoreCommand(line, "compact", "give back the space of dead rows, and give codes to old files",
                  Compact);
  CLI::App* backup =
      AddStoreCommand(line, "backup", "copy a store that no other process writes to", Backup);
  AddText(backup, "DIRECTORY", a.directory, "where to; must not exist")->required();
  CLI::App* repair = AddStoreCommand(
      line, "repair", "make a new store of what is sound in a damaged one; exit 3 means losses",
      Repair);
  AddText(repair, "INTO", a.directory, "where to; must not exist")->required();
  repair->add_option("--dim", a.dimension, "floats per embedding, where the store cannot tell")
      ->transform(WholeNumber(1, kMaxDimension));
  repair->add_option("--metric", a.repair_metric, "what a score is, where the store cannot tell")
      ->check(CLI::IsMember({"cosine", "dot", "l2"}));
  CLI::App* version = AddCommand(line, "version", "which library this is", ShowVersion);
  version->add_flag("--kernels", a.kernels, "list the compute kernels");
}

}  // namespace engram::cli

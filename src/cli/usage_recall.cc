// The options of the commands about associations: edges, recall and strength.
#include <limits>

#include "cli/command_line.h"
#include "cli/names.h"
#include "cli/readers.h"

namespace engram::cli {
namespace {

constexpr std::uint64_t kLatest = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMostHops = 1000;
constexpr float kMostSharpness = 100.0f;

std::string CheckLink(const Arguments& a) {
  if (!IsStandardInput(a.file) || !a.format.empty()) return "";
  return "from standard input --format is needed: it has no extension";
}

std::string CheckRecall(const Arguments& a) {
  std::string wrong = CheckCueVectors(a);
  if (!wrong.empty()) return wrong;
  if (IsStandardInput(a.file) && IsStandardInput(a.named)) {
    return "standard input can be read only once";
  }
  if (!a.types.empty()) {
    const auto types = ParseTypes(a.types);
    if (!types.ok()) return "--types: " + std::string(types.status().message());
  }
  const bool none =
      a.vector.empty() && a.file.empty() && a.ids.empty() && a.text.empty() && a.named.empty();
  return none ? "a cue is needed: --vector, --vectors, --id, --text or --named" : "";
}

void AddNow(CLI::App* command, Arguments& a, const char* what) {
  command->add_option("--now", a.now, what)->transform(WholeNumber(0, kLatest));
}

void AddStrength(CLI::App* command, Arguments& a) {
  AddNow(command, a,
         "clock by which strengths have faded, in seconds\nsince 1970; else the system's");
  AddNumber(command, "--half-life", a.recall.strength.half_life_seconds,
            "of a strength, in seconds", kAboveZero<double>)
      ->capture_default_str();
  command->add_option("--decay", a.decay, "how strengths fade; half-life unless said")
      ->check(CLI::IsMember({"none", "half-life", "power-law"}));
  AddNumber(command, "--decay-exponent", a.recall.strength.power_law_exponent, "of power-law",
            kAboveZero<double>)
      ->capture_default_str();
}

void AddSpreading(CLI::App* command, Arguments& a) {
  SpreadOptions& spread = a.recall.spread;
  command->add_option("--hops", spread.max_hops, "steps that activation takes along edges")
      ->transform(WholeNumber(0, kMostHops))
      ->capture_default_str();
  AddNumber(command, "--restart", spread.restart, "share that returns to the seeds each step", 0.0f,
            1.0f)
      ->capture_default_str();
  AddNumber(command, "--hop-decay", spread.hop_decay, "with --restart 0: what a step leaves over",
            0.0f, 1.0f)
      ->capture_default_str();
  AddNumber(command, "--threshold", spread.threshold, "activation below which nothing is passed on",
            0.0f)
      ->capture_default_str();
  command
      ->add_option(
          "--normalisation", a.normalisation,
          "what the weights of a memory's edges are\ndivided by; out-weight-sum unless said")
      ->check(CLI::IsMember({"none", "out-weight-sum", "sqrt-degree"}));
  AddText(command, "--types", a.types, "edge types that count, separated by commas; else all");
}

void AddRecallCommand(CommandLine& line) {
  Arguments& a = line.arguments;
  CLI::App* recall =
      AddStoreCommand(line, "recall", "find what belongs to a cue", Recall, CheckRecall);
  AddCueVectors(recall, a);
  AddText(recall, "--text", a.text, "the memories whose keys occur in it are named");
  AddText(
      recall, "--named", a.named,
      "ids or keys of memories, separated by commas; or a file\nwith such a line for each query, "
      "which is taken where\none has that name, but for digits and commas alone");
  AddHits(recall, a);
  recall->add_option("--seeds", a.recall.seeds.k, "how many of the nearest activation starts from")
      ->transform(WholeNumber(1, kMost))
      ->capture_default_str();
  AddNumber(recall, "--sharpness", a.recall.seed_sharpness, "how much the nearest start with more",
            0.0f, kMostSharpness)
      ->capture_default_str();
  AddNumber(recall, "--named-weight", a.recall.named_weight, "activation of a named memory", 0.0f)
      ->capture_default_str();
  AddNumber(recall, "--fan-exponent", a.recall.named_fan_exponent,
            "its activation is divided by its number of edges\nto this power", 0.0f)
      ->capture_default_str();
  AddSpreading(recall, a);
  AddNumber(recall, "--activation-weight", a.recall.activation_weight, "in the score")
      ->capture_default_str();
  AddNumber(recall, "--strength-weight", a.recall.strength_weight, "in the score")
      ->capture_default_str();
  AddStrength(recall, a);
  recall->add_flag("--bare", a.recall.include_bare, "memories without an embedding are hits, too");
  recall->add_flag("--explain", a.explain, "the way activation took to each hit");
  recall->add_flag("--payload", a.payload, "payloads in the JSON answers, too");
  recall->footer("At least one of --vector, --vectors, --id, --text and --named is needed.");
}

}  // namespace

void AddRecall(CommandLine& line) {
  Arguments& a = line.arguments;
  CLI::App* link = AddStoreCommand(line, "link", "put the edges of a file", Link, CheckLink);
  AddText(link, "EDGES", a.file, "what to read; - is standard input, with --format")->required();
  link->add_option("--format", a.format, "of EDGES; without it the extension tells")
      ->check(CLI::IsMember({"tsv", "jsonl"}));
  link->add_flag("--bidirectional", a.bidirectional, "put each edge in both directions");
  link->add_flag("--create-missing", a.create_missing,
                 "make memories for ids and keys that do not exist");
  AddDurability(link, a, "what each chunk survives; process unless said");

  CLI::App* neighbors =
      AddStoreCommand(line, "neighbors", "show the edges of one memory", Neighbors, CheckOneMemory);
  AddIds(neighbors, a, "of the memory", false);
  AddKeys(neighbors, a, "of the memory", false);
  neighbors->add_flag("--in", a.in, "those that come in; else those that leave it");
  neighbors->footer("Exactly one of --id and --key is needed.");

  AddRecallCommand(line);

  CLI::App* reinforce =
      AddStoreCommand(line, "reinforce", "make memories stronger", Reinforce, CheckMemories);
  AddIds(reinforce, a, "of memories, one or more", true);
  AddKeys(reinforce, a, "of a memory; repeated for more", true);
  AddNumber(reinforce, "--amount", a.amount, "what is added to the strength of each",
            kAboveZero<float>, kMaxStrength)
      ->required();
  AddNow(reinforce, a,
         "when they were used, in seconds since 1970;\nelse what the system's clock says");
  AddDurability(reinforce, a, "what the write survives; process unless said");
  reinforce->footer("At least one of --id and --key is needed. All of them gain, or none.");

  CLI::App* forget =
      AddStoreCommand(line, "forget", "count, or delete, memories that have faded", Forget);
  AddNumber(forget, "--below", a.below, "strength below which a memory goes", kAboveZero<float>,
            kMaxStrength)
      ->required();
  AddStrength(forget, a);
  forget->add_flag("--apply", a.apply, "delete them; without it they are only counted");
  forget->add_flag("--list", a.list, "show each of them, and its strength");
  AddDurability(forget, a, "what each batch survives; process unless said");
}

}  // namespace engram::cli

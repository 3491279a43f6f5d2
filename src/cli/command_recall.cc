// Recall: cues from vectors, texts and names, and answers that say why.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/names.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kShownName = 24;

// A list that happens to be the name of a file is that file; numbers alone never are.
bool IsFile(const std::string& named) {
  if (named.empty()) return false;
  if (IsStandardInput(named)) return true;
  if (named.find_first_not_of("0123456789,") == std::string::npos) return false;
  struct stat about {};
  return ::stat(named.c_str(), &about) == 0 && !S_ISDIR(about.st_mode);
}

// What is asked: query i has row i of the vectors, and its names.
class Cues {
 public:
  static absl::StatusOr<Cues> Of(const Arguments& arguments, const Store& store);

  std::size_t size() const { return size_; }
  absl::Span<const float> vector(std::size_t i) const {
    if (vectors_.rows == 0) return {};
    return absl::MakeConstSpan(vectors_.row(i), vectors_.dimension);
  }
  const std::vector<NamedInText>& named(std::size_t i) const {
    return named_[named_.size() == 1 ? 0 : i];
  }

  // Returns: `status`, saying of which query it is where there are several.
  absl::Status At(const absl::Status& status, std::size_t i) const {
    return origin_.empty()
               ? status
               : storage::Annotate(status, absl::StrFormat("%s %d", origin_, i + base_));
  }

 private:
  absl::Status ReadNames(const std::string& path, const Store& store, bool has_vectors);

  Matrix vectors_;
  std::vector<std::vector<NamedInText>> named_{1};  // of each query, or of all
  std::size_t size_ = 1;
  std::string origin_;    // where queries come from, in words
  std::size_t base_ = 0;  // the number of the first there
};

absl::Status AddNames(const Store& store, const std::string& text,
                      std::vector<NamedInText>& named) {
  if (text.empty()) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<Name> names, ParseNames(text));
  for (const Name& name : names) {
    ENGRAM_ASSIGN_OR_RETURN(const MemoryId id, IdOf(store, name));
    named.push_back({.id = id, .key = name.text});
  }
  return absl::OkStatus();
}

absl::Status Cues::ReadNames(const std::string& path, const Store& store, bool has_vectors) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(path));
  if (has_vectors && lines.size() != size_) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s has %s, and there %s %s", NameOf(path), Counted(lines.size(), "line", "lines"),
        size_ == 1 ? "is" : "are", Counted(size_, "cue vector", "cue vectors")));
  }
  size_ = lines.size();
  origin_ = NameOf(path) + ": line";
  base_ = 1;
  named_.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    ENGRAM_RETURN_IF_ERROR(At(AddNames(store, lines[i], named_[i]), i));
  }
  return absl::OkStatus();
}

absl::StatusOr<Cues> Cues::Of(const Arguments& arguments, const Store& store) {
  Cues cues;
  ENGRAM_ASSIGN_OR_RETURN(cues.vectors_, CueVectors(arguments, store));
  const bool has_vectors =
      !arguments.vector.empty() || !arguments.file.empty() || !arguments.ids.empty();
  if (has_vectors) cues.size_ = cues.vectors_.rows;
  if (!arguments.file.empty()) cues.origin_ = NameOf(arguments.file) + ": row";
  if (IsFile(arguments.named)) {
    ENGRAM_RETURN_IF_ERROR(cues.ReadNames(arguments.named, store, has_vectors));
  } else {
    ENGRAM_RETURN_IF_ERROR(storage::Annotate(AddNames(store, arguments.named, cues.named_[0]),
                                             "--named, which is no file"));
  }
  if (arguments.text.empty()) return cues;
  ENGRAM_ASSIGN_OR_RETURN(const auto found, store.FindNamed({}, arguments.text));
  if (found.empty()) {
    Note("no word of --text is a key of a memory");
  }
  for (auto& named : cues.named_) named.insert(named.end(), found.begin(), found.end());
  return cues;
}

// Answers as they are printed, which needs the memories and types they speak of.
class Printer {
 public:
  Printer(const Arguments& arguments, const Store& store, TypeNames types)
      : arguments_(arguments), store_(store), types_(std::move(types)) {}

  absl::Status Answer(std::size_t query, const std::vector<NamedInText>& named,
                      const RecallResults& results) {
    return arguments_.json ? Json(query, named, results) : Table(query, named, results);
  }

 private:
  absl::Status Json(std::size_t query, const std::vector<NamedInText>& named,
                    const RecallResults& results);
  absl::StatusOr<std::string> JsonHit(const Recalled& hit) const;
  absl::Status Table(std::size_t query, const std::vector<NamedInText>& named,
                     const RecallResults& results);
  absl::Status TableHit(std::size_t rank, const Recalled& hit);

  // Returns: the first key of the memory, or its id.
  absl::StatusOr<std::string> NameOfMemory(MemoryId id) const;
  absl::StatusOr<std::string> PathAsText(const std::vector<PathStep>& path) const;

  const Arguments& arguments_;
  const Store& store_;
  const TypeNames types_;
};

// A hit that no activation reached is neither a seed nor some steps away from one.
bool Reached(const Recalled& hit) { return hit.activation > 0; }

absl::StatusOr<std::string> Printer::JsonHit(const Recalled& hit) const {
  std::string json = absl::StrFormat(
      "{\"id\":%d,\"score\":%s,\"similarity\":%s,\"activation\":%s,\"strength\":%s,\"hops\":%s,"
      "\"via\":%s",
      hit.id, Number(hit.score), Number(hit.similarity), Number(hit.activation),
      Number(hit.strength), Reached(hit) ? std::to_string(hit.hops) : "null",
      Reached(hit) && hit.via != hit.id ? std::to_string(hit.via) : "null");
  for (std::size_t i = 0; arguments_.explain && i < hit.path.size(); ++i) {
    const PathStep& step = hit.path[i];
    json += absl::StrFormat("%s{\"id\":%d", i == 0 ? ",\"path\":[" : ",", step.id);
    if (i > 0) {
      json += absl::StrFormat(",\"weight\":%s,\"type\":%s", Number(step.weight),
                              types_.ForJson(step.type));
    }
    json += i + 1 == hit.path.size() ? "}]" : "}";
  }
  if (arguments_.payload) {
    ENGRAM_ASSIGN_OR_RETURN(const Record record, store_.Get({}, hit.id));
    json += ",\"payload\":" + Quoted(record.payload);
  }
  return json + "}";
}

absl::Status Printer::Json(std::size_t query, const std::vector<NamedInText>& named,
                           const RecallResults& results) {
  std::string json = absl::StrFormat("{\"query\":%d,\"named\":[", query);
  json += absl::StrJoin(
      named, ",", [](std::string* out, const NamedInText& one) { *out += std::to_string(one.id); });
  json += "],\"hits\":[";
  for (std::size_t i = 0; i < results.hits.size(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(const std::string hit, JsonHit(results.hits[i]));
    json += (i == 0 ? "" : ",") + hit;
  }
  const char* const truncated =
      results.search.truncated || results.spread.truncated ? "true" : "false";
  return Print(json + absl::StrFormat("],\"info\":{\"exact\":%s,\"rows_scored\":%d,"
                                      "\"rows_rescored\":%d,\"rows_in_store\":%d,"
                                      "\"path\":\"%s\",\"steps\":%d,"
                                      "\"memories_reached\":%d,\"edges_followed\":%d,"
                                      "\"truncated\":%s}}",
                                      results.search.exact ? "true" : "false",
                                      results.search.rows_scored, results.search.rows_rescored,
                                      results.search.rows_in_store, PathName(results.search.path),
                                      results.spread.steps, results.spread.memories,
                                      results.spread.edges_followed, truncated));
}

absl::StatusOr<std::string> Printer::NameOfMemory(MemoryId id) const {
  ENGRAM_ASSIGN_OR_RETURN(const Record record, store_.Get({}, id));
  return record.keys.empty() ? std::to_string(id) : Beginning(record.keys[0], kShownName);
}

absl::StatusOr<std::string> Printer::PathAsText(const std::vector<PathStep>& path) const {
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (i > 0) text += absl::StrFormat(" --%s--> ", types_.ForPeople(path[i].type));
    ENGRAM_ASSIGN_OR_RETURN(const std::string name, NameOfMemory(path[i].id));
    text += name;
  }
  return text;
}

std::string Fixed(float value) {
  if (std::isnan(value)) return "-";
  const std::string text = absl::StrFormat("%.4f", value);
  return text == "-0.0000" ? "0.0000" : text;
}

absl::Status Printer::TableHit(std::size_t rank, const Recalled& hit) {
  ENGRAM_ASSIGN_OR_RETURN(const Record record, store_.Get({}, hit.id));
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat(
      "%4d  %-20s  %8s  %10s  %10s  %8s  %4s  %s", rank, ShortName(record), Fixed(hit.score),
      Fixed(hit.similarity), Fixed(hit.activation), Fixed(hit.strength),
      Reached(hit) ? std::to_string(hit.hops) : "-", ShortPayload(record))));
  if (hit.path.size() < 2) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const std::string path, PathAsText(hit.path));
  return Print("      " + path);
}

absl::Status Printer::Table(std::size_t query, const std::vector<NamedInText>& named,
                            const RecallResults& results) {
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("query %d", query)));
  std::vector<std::string> names;
  names.reserve(named.size());
  for (const NamedInText& one : named) {
    names.push_back(one.key.empty() ? std::to_string(one.id) : Beginning(one.key, kShownName));
  }
  if (!names.empty()) ENGRAM_RETURN_IF_ERROR(Print("      names " + absl::StrJoin(names, ", ")));
  if (results.hits.empty()) return Print("      no hits");
  ENGRAM_RETURN_IF_ERROR(
      Print(absl::StrFormat("      %-20s  %8s  %10s  %10s  %8s  %4s", "memory", "score",
                            "similarity", "activation", "strength", "hops")));
  for (std::size_t i = 0; i < results.hits.size(); ++i) {
    ENGRAM_RETURN_IF_ERROR(TableHit(i + 1, results.hits[i]));
  }
  return absl::OkStatus();
}

// Fills in what the command line does not write there itself. `types` is pointed to.
RecallOptions ToRecallOptions(const Arguments& arguments, const std::vector<std::uint32_t>& types) {
  RecallOptions options = arguments.recall;
  options.k = arguments.k;
  options.seeds.threads = arguments.threads;
  options.strength = ToStrengthOptions(arguments);
  options.spread.edge_types = types;
  options.spread.explain = arguments.explain;
  if (arguments.normalisation == "none") options.spread.normalisation = Normalisation::kNone;
  if (arguments.normalisation == "sqrt-degree") {
    options.spread.normalisation = Normalisation::kSqrtDegree;
  }
  return options;
}

}  // namespace

CommandResult Recall(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const TypeNames names, TypeNames::Of(*store));
  std::vector<std::uint32_t> types;
  if (!arguments.types.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(types, names.Numbers(arguments.types));
  }
  ENGRAM_ASSIGN_OR_RETURN(const Cues cues, Cues::Of(arguments, *store));
  RecallOptions options = ToRecallOptions(arguments, types);
  Printer printer(arguments, *store, names);
  for (std::size_t i = 0; i < cues.size(); ++i) {
    std::vector<MemoryId> named;
    for (const NamedInText& one : cues.named(i)) named.push_back(one.id);
    options.named = named;
    const auto results = store->Recall(options, cues.vector(i));
    ENGRAM_RETURN_IF_ERROR(cues.At(results.status(), i));
    ENGRAM_RETURN_IF_ERROR(printer.Answer(i, cues.named(i), *results));
    if (results->hits.empty() && results->spread.memories > 0 && !options.include_bare) {
      Note(
          absl::StrFormat("query %d: only memories without an embedding were reached; --bare shows "
                          "them",
                          i));
    }
  }
  return 0;
}

}  // namespace engram::cli

// Edges: putting those of a file, and showing those of a memory.
#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/edge_files.h"
#include "cli/names.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// How far the iterator walks before a jump is cheaper.
constexpr int kSteps = 16;
constexpr std::uint64_t kLinesBetweenBars = 100'000;

// A file of edges: read and checked whole before anything is written, and kept in 40 bytes an
// edge, its keys and types once each.
class EdgeFile {
 public:
  explicit EdgeFile(const Arguments& arguments) : arguments_(arguments) {}
  EdgeFile(const EdgeFile&) = delete;
  EdgeFile& operator=(const EdgeFile&) = delete;

  absl::Status Read();

  // Finds the memories that the ends name.
  absl::Status Look(const Store& store);

  // Makes those that were not found. Returns: how many.
  absl::StatusOr<std::uint64_t> Create(Store& store);

  // Returns: how many edges were put.
  absl::StatusOr<std::uint64_t> Put(Store& store);

 private:
  struct FileEdge {
    std::uint64_t from = 0, to = 0;  // ids, or places in keys_
    float weight = 0.0f;
    std::uint32_t type = 0;  // place in types_
    std::uint64_t line = 0;
    bool from_is_key = false, to_is_key = false;
  };
  struct Key {
    const std::string* text = nullptr;  // in place_of_key_
    std::optional<MemoryId> id;
  };

  void Add(EdgeLine edge, std::uint64_t line);
  std::pair<std::uint64_t, bool> EndOf(Name& name);
  absl::Status WhichIsMissing() const;
  absl::Status ResolveTypes(Store& store);
  Edge Resolved(const FileEdge& edge) const;

  const Arguments& arguments_;
  std::vector<FileEdge> edges_;
  std::unordered_map<std::string, std::uint64_t> place_of_key_, place_of_type_;
  std::vector<Key> keys_;
  std::vector<Name> types_;
  std::vector<MemoryId> missing_ids_;  // ascending
  bool keys_are_missing_ = false;
};

absl::Status EdgeFile::Read() {
  ENGRAM_ASSIGN_OR_RETURN(const auto reader, EdgeReader::Open(arguments_.file, arguments_.format));
  const ProgressCallback bar = ProgressBar();
  EdgeLine edge;
  for (;;) {
    ENGRAM_ASSIGN_OR_RETURN(const bool more, reader->Next(&edge));
    if (!more) return absl::OkStatus();
    Add(std::move(edge), reader->line());
    if (bar != nullptr && edges_.size() % kLinesBetweenBars == 0) {
      bar({.stage = "read", .done = edges_.size(), .total = 0});
    }
  }
}

std::pair<std::uint64_t, bool> EdgeFile::EndOf(Name& name) {
  if (name.number.has_value()) return {*name.number, false};
  const auto [entry, is_new] = place_of_key_.try_emplace(std::move(name.text), keys_.size());
  if (is_new) keys_.push_back({.text = &entry->first, .id = std::nullopt});
  return {entry->second, true};
}

void EdgeFile::Add(EdgeLine edge, std::uint64_t line) {
  FileEdge added;
  added.line = line;
  added.weight = edge.weight;
  std::tie(added.from, added.from_is_key) = EndOf(edge.from);
  std::tie(added.to, added.to_is_key) = EndOf(edge.to);
  // A mark in front, so that the number 7 is not the name "7".
  const std::string type =
      edge.type.number.has_value() ? "#" + std::to_string(*edge.type.number) : "=" + edge.type.text;
  const auto [entry, is_new] = place_of_type_.try_emplace(type, types_.size());
  if (is_new) types_.push_back(edge.type);
  added.type = static_cast<std::uint32_t>(entry->second);
  edges_.push_back(added);
}

absl::Status EdgeFile::Look(const Store& store) {
  for (Key& key : keys_) {
    const auto id = store.IdForKey({}, *key.text);
    if (id.ok()) {
      key.id = *id;
    } else if (absl::IsNotFound(id.status())) {
      keys_are_missing_ = true;
    } else {
      return id.status();
    }
  }
  std::vector<MemoryId> ids;
  for (const FileEdge& edge : edges_) {
    if (!edge.from_is_key) ids.push_back(edge.from);
    if (!edge.to_is_key) ids.push_back(edge.to);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  const auto it = store.NewIterator({});
  for (const MemoryId id : ids) {
    for (int step = 0; step < kSteps && it->Valid() && it->id() < id; ++step) it->Next();
    if (it->Valid() && it->id() < id) it->Seek(id);
    if (!it->Valid() || it->id() != id) missing_ids_.push_back(id);
  }
  ENGRAM_RETURN_IF_ERROR(it->status());
  return arguments_.create_missing ? absl::OkStatus() : WhichIsMissing();
}

// Returns: an error that names the first end that does not exist, or OK.
absl::Status EdgeFile::WhichIsMissing() const {
  if (!keys_are_missing_ && missing_ids_.empty()) return absl::OkStatus();
  for (const FileEdge& edge : edges_) {
    for (const auto& [end, is_key] :
         {std::pair(edge.from, edge.from_is_key), std::pair(edge.to, edge.to_is_key)}) {
      std::string what;
      if (is_key) {
        if (keys_[end].id.has_value()) continue;
        what = absl::StrFormat("key \"%s\"", *keys_[end].text);
      } else {
        if (!std::binary_search(missing_ids_.begin(), missing_ids_.end(), end)) continue;
        what = absl::StrFormat("id %d", end);
      }
      return absl::NotFoundError(
          absl::StrFormat("%s: line %d: there is no memory with %s; --create-missing makes it",
                          NameOf(arguments_.file), edge.line, what));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> EdgeFile::Create(Store& store) {
  if (!keys_are_missing_ && missing_ids_.empty()) return 0;
  ImportOptions options;
  options.durability = ToWriteOptions(arguments_).durability;
  options.progress = ProgressBar();
  options.expected = missing_ids_.size();
  for (const Key& key : keys_) options.expected += key.id.has_value() ? 0 : 1;
  // Ids first: a memory that only a key names gets the next id, which must be none of these.
  std::size_t next_id = 0, next_key = 0;
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    *row = {};
    if (next_id < missing_ids_.size()) {
      row->id = missing_ids_[next_id++];
      return true;
    }
    while (next_key < keys_.size() && keys_[next_key].id.has_value()) ++next_key;
    if (next_key == keys_.size()) return false;
    row->keys = absl::MakeConstSpan(keys_[next_key++].text, 1);
    return true;
  };
  const auto report = store.Import(options, source);
  ENGRAM_RETURN_IF_ERROR(storage::Annotate(
      report.status(), "making the memories that " + NameOf(arguments_.file) + " names"));
  for (Key& key : keys_) {
    if (key.id.has_value()) continue;
    ENGRAM_ASSIGN_OR_RETURN(key.id, store.IdForKey({}, *key.text));
  }
  return report->memories;
}

absl::Status EdgeFile::ResolveTypes(Store& store) {
  ENGRAM_ASSIGN_OR_RETURN(const auto known, store.EdgeTypes({}));
  for (Name& type : types_) {
    for (const auto& [number, name] : known) {
      if (!type.number.has_value() && name == type.text) type.number = number;
    }
    if (type.number.has_value()) continue;
    ENGRAM_ASSIGN_OR_RETURN(type.number, store.EdgeType(ToWriteOptions(arguments_), type.text));
  }
  return absl::OkStatus();
}

Edge EdgeFile::Resolved(const FileEdge& edge) const {
  return {.from = edge.from_is_key ? *keys_[edge.from].id : edge.from,
          .to = edge.to_is_key ? *keys_[edge.to].id : edge.to,
          .weight = edge.weight,
          .type = static_cast<std::uint32_t>(*types_[edge.type].number)};
}

absl::StatusOr<std::uint64_t> EdgeFile::Put(Store& store) {
  ENGRAM_RETURN_IF_ERROR(ResolveTypes(store));
  LinkOptions options;
  options.durability = ToWriteOptions(arguments_).durability;
  options.expected = edges_.size() * (arguments_.bidirectional ? 2 : 1);
  std::uint64_t done = 0;
  options.progress = [&, bar = ProgressBar()](const Progress& progress) {
    done = progress.done;
    return bar == nullptr || bar(progress);
  };
  std::size_t next = 0;
  bool turned = false;
  const auto source = [&](Edge* edge) -> absl::StatusOr<bool> {
    if (next == edges_.size()) return false;
    *edge = Resolved(edges_[next]);
    if (turned) std::swap(edge->from, edge->to);
    turned = arguments_.bidirectional && !turned && edge->from != edge->to;
    if (!turned) ++next;
    return true;
  };
  const auto report = store.Link(options, source);
  if (report.ok()) return report->edges;
  return absl::Status(
      report.status().code(),
      absl::StrFormat("%s; the first %d edges of %s are in the store",
                      std::string(report.status().message()), done, NameOf(arguments_.file)));
}

absl::Status PrintEdge(const Arguments& arguments, const Store& store, const TypeNames& types,
                       const Edge& edge) {
  if (arguments.json) return Print(EdgeJson(edge, types));
  ENGRAM_ASSIGN_OR_RETURN(const Record other, store.Get({}, arguments.in ? edge.from : edge.to));
  return Print(absl::StrFormat("%-20s  %10.6g  %-20s  %s", types.ForPeople(edge.type), edge.weight,
                               ShortName(other), ShortPayload(other)));
}

}  // namespace

CommandResult Link(const Arguments& arguments) {
  EdgeFile file(arguments);
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_RETURN_IF_ERROR(file.Read());
  ENGRAM_RETURN_IF_ERROR(file.Look(*store));
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t created, file.Create(*store));
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t linked, file.Put(*store));
  // Sealing rewrites every sealed edge: only where there are not many times as many of them.
  constexpr std::uint64_t kWorthSealing = 4;
  const StoreStats stats = store->Stats();
  if (stats.edge_changes * kWorthSealing >= stats.sealed_edges) {
    ENGRAM_RETURN_IF_ERROR(store->Seal());
  }
  ENGRAM_RETURN_IF_ERROR(store->Close());
  ENGRAM_RETURN_IF_ERROR(
      Print(arguments.json ? absl::StrFormat("{\"linked\":%d,\"created\":%d}", linked, created)
                           : Counted(linked, "edge", "edges") + " linked, " +
                                 Counted(created, "memory", "memories") + " created for them"));
  return 0;
}

CommandResult Neighbors(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const MemoryId id, OneMemory(arguments, *store));
  ENGRAM_ASSIGN_OR_RETURN(
      const std::vector<Edge> edges,
      store->Neighbors({}, id, arguments.in ? Direction::kIn : Direction::kOut));
  ENGRAM_ASSIGN_OR_RETURN(const TypeNames types, TypeNames::Of(*store));
  if (!edges.empty() && !arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("%-20s  %10s  %-20s  %s", "type", "weight",
                                                 arguments.in ? "from" : "to", "payload")));
  }
  for (const Edge& edge : edges) {
    ENGRAM_RETURN_IF_ERROR(PrintEdge(arguments, *store, types, edge));
  }
  if (edges.empty() && !arguments.json) ENGRAM_RETURN_IF_ERROR(Print("no edges"));
  return 0;
}

}  // namespace engram::cli

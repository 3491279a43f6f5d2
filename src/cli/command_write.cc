// The commands that change single memories, and the one that makes a store.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// Returns: the memory that keys name, or none. Keys of several memories say not which
// one is meant, and the others would lose their names.
absl::StatusOr<std::optional<MemoryId>> NamedBy(const Store& store,
                                                const std::vector<std::string>& keys) {
  std::optional<MemoryId> named;
  const std::string* by = nullptr;
  for (const std::string& key : keys) {
    const auto id = store.IdForKey({}, key);
    if (absl::IsNotFound(id.status())) continue;
    ENGRAM_RETURN_IF_ERROR(id.status());
    if (named.has_value() && *named != *id) {
      return absl::InvalidArgumentError(
          absl::StrFormat("key \"%s\" names memory %d and key \"%s\" memory %d: say by --id which "
                          "one is meant, and the keys will be its own",
                          *by, *named, key, *id));
    }
    named = *id;
    by = &key;
  }
  return named;
}

// Stores a new memory with the arguments' keys. An import of one memory: it knows the next id.
absl::StatusOr<MemoryId> PutNew(Store& store, const Arguments& arguments,
                                const std::vector<float>& vector) {
  ImportOptions import;
  import.durability = ToWriteOptions(arguments).durability;
  bool given = false;
  const auto source = [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (std::exchange(given, true)) return false;
    *row = {
        .id = std::nullopt, .vector = vector, .payload = arguments.text, .keys = arguments.keys};
    return true;
  };
  const absl::Status status = store.Import(import, source).status();
  if (!status.ok()) {
    return absl::Status(
        status.code(),
        absl::StrReplaceAll(status.message(), {{"memory 0 of the import: ", "put: "}}));
  }
  return store.IdForKey({}, arguments.keys[0]);
}

}  // namespace

absl::StatusOr<std::vector<MemoryId>> AllMemories(const Arguments& arguments, const Store& store) {
  std::vector<MemoryId> ids = arguments.ids;
  for (const std::string& key : arguments.keys) {
    ENGRAM_ASSIGN_OR_RETURN(const MemoryId id, store.IdForKey({}, key));
    ids.push_back(id);
  }
  // A memory that is named twice is meant once.
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

CommandResult Create(const Arguments& arguments) {
  StoreOptions options;
  options.dimension = arguments.dimension;
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.metric = MetricNamed(arguments.metric);
  ENGRAM_ASSIGN_OR_RETURN(const auto store, Store::Open(options, arguments.store));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (!arguments.json) return 0;
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("{\"store\":%s,\"dimension\":%d,\"metric\":%s}",
                                               Quoted(arguments.store), arguments.dimension,
                                               Quoted(arguments.metric))));
  return 0;
}

CommandResult Put(const Arguments& arguments) {
  std::vector<float> vector;
  if (!arguments.vector.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(vector, ParseVector(arguments.vector));
    if (vector.empty()) {
      return absl::InvalidArgumentError(
          "--vector is empty; a memory without an embedding is put without --vector");
    }
  }
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  std::optional<MemoryId> id;
  if (!arguments.ids.empty()) {
    id = arguments.ids[0];
  } else {
    ENGRAM_ASSIGN_OR_RETURN(id, NamedBy(*store, arguments.keys));
  }
  if (id.has_value()) {
    WriteBatch batch;
    batch.Put(*id, vector, arguments.text);
    for (const std::string& key : arguments.keys) batch.SetKey(key, *id);
    ENGRAM_RETURN_IF_ERROR(store->Write(ToWriteOptions(arguments), batch));
  } else {
    ENGRAM_ASSIGN_OR_RETURN(id, PutNew(*store, arguments, vector));
  }
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("{\"id\":%d}", *id)));
  } else if (arguments.ids.empty()) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("id %d", *id)));
  }
  return 0;
}

CommandResult Delete(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/false));
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<MemoryId> ids, AllMemories(arguments, *store));
  WriteBatch batch;
  for (const MemoryId id : ids) batch.Delete(id);
  ENGRAM_RETURN_IF_ERROR(store->Write(ToWriteOptions(arguments), batch));
  ENGRAM_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("{\"deleted\":%d}", ids.size())));
  }
  return 0;
}

}  // namespace engram::cli

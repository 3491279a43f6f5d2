// The part of Committer that takes imported memories: which id one without an id has is
// known only here, when it is its turn.
#include <limits>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/committer.h"

namespace engram::storage {

absl::StatusOr<std::optional<std::uint64_t>> Committer::FindNamed(
    absl::Span<const std::string> keys) {
  std::optional<std::uint64_t> named;
  const std::string* by = nullptr;
  for (const std::string& key : keys) {
    ENGRAM_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> owner, FindKeyOwner(key));
    if (!owner.has_value()) continue;
    if (named.has_value() && *owner != *named) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "key \"%s\" names memory %d and key \"%s\" memory %d; without an id, all keys must name "
          "one memory",
          *by, *named, key, *owner));
    }
    named = owner;
    by = &key;
  }
  return named;
}

absl::Status Committer::AddImported(const ImportedMemory& memory, const WriteRules& rules) {
  std::optional<std::uint64_t> id = memory.id;
  if (!id.has_value()) {
    ENGRAM_ASSIGN_OR_RETURN(id, FindNamed(memory.keys));
  }
  if (!id.has_value()) {
    ENGRAM_ASSIGN_OR_RETURN(id, IdAbove(max_id_));
  }
  Change change;
  change.id = *id;
  change.vector = memory.vector;
  change.norm = memory.norm;
  change.bytes = memory.payload;
  ENGRAM_RETURN_IF_ERROR(AddPut(change, rules));
  for (const std::string& key : memory.keys) {
    change = {};
    change.kind = Change::Kind::kSetKey;
    change.id = *id;
    change.bytes = key;
    ENGRAM_RETURN_IF_ERROR(AddSetKey(change));
  }
  return absl::OkStatus();
}

absl::Status Committer::AddAllImported(const CommitRequest& request) {
  std::uint64_t ordinal = request.first_imported;
  for (const ImportedMemory& memory : request.imported) {
    const absl::Status status = AddImported(memory, request.rules);
    if (!status.ok()) return Annotate(status, absl::StrFormat("memory %d of the import", ordinal));
    ++ordinal;
  }
  return absl::OkStatus();
}

}  // namespace engram::storage

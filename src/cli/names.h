// How memories and types of edges are named on the command line and in files: by number or
// by text, where one rule has to tell which.
#ifndef ENGRAM_CLI_NAMES_H_
#define ENGRAM_CLI_NAMES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engram/engram.h"

namespace engram::cli {

// An id, or a key where there is no id; of an edge type, its number or its name.
struct Name {
  std::optional<std::uint64_t> number;
  std::string text;
};

// Decimal digits alone are a number; everything else is text. A "=" in front is cut off, and
// what follows is text whatever it looks like: "=1984".
// Errors: kInvalidArgument for an empty name and a number above 2^64 - 1.
absl::StatusOr<Name> ParseName(std::string_view text);

// Several names, separated by commas, spaces around which are cut off; where there is a tab,
// by tabs alone, the last of which may stand at the end.
absl::StatusOr<std::vector<Name>> ParseNames(std::string_view text);

// The same of edge types, whose numbers are 2^32 - 1 at most.
absl::StatusOr<std::vector<Name>> ParseTypes(std::string_view text);

// Errors: kInvalidArgument when no memory can have this key.
absl::Status CheckKey(std::string_view key);

// Returns: the id itself, or the memory of the key. kNotFound names the key.
absl::StatusOr<MemoryId> IdOf(const Store& store, const Name& name);

// The names of the edge types of a store.
class TypeNames {
 public:
  static absl::StatusOr<TypeNames> Of(const Store& store);

  std::string ForJson(std::uint32_t type) const;  // a string, or the number of one without a name
  std::string ForPeople(std::uint32_t type) const;

  // Returns: the numbers of `types`, a list of names and numbers. kNotFound names the first
  // that there is not.
  absl::StatusOr<std::vector<std::uint32_t>> Numbers(std::string_view types) const;

 private:
  std::map<std::uint32_t, std::string> names_;
};

}  // namespace engram::cli

#endif  // ENGRAM_CLI_NAMES_H_

#include "cli/names.h"

#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kShownName = 60;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::StatusOr<Name> ParseName(std::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("a name is empty");
  if (text[0] == '=') {
    if (text.size() > 1) return Name{.number = std::nullopt, .text = std::string(text.substr(1))};
    return absl::InvalidArgumentError("nothing follows the \"=\" of a name");
  }
  if (text.find_first_not_of("0123456789") != std::string_view::npos) {
    return Name{.number = std::nullopt, .text = std::string(text)};
  }
  std::uint64_t number = 0;
  if (absl::SimpleAtoi(View(text), &number)) return Name{.number = number, .text = ""};
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is above 2^64 - 1; a text that looks like a number is written with a "
                      "\"=\" in front",
                      Beginning(text, kShownName)));
}

absl::StatusOr<std::vector<Name>> ParseNames(std::string_view text) {
  const bool by_tabs = text.find('\t') != std::string_view::npos;
  if (by_tabs && text.back() == '\t') text.remove_suffix(1);
  std::vector<Name> names;
  for (const absl::string_view part : absl::StrSplit(View(text), by_tabs ? '\t' : ',')) {
    const absl::string_view kept = by_tabs ? part : absl::StripAsciiWhitespace(part);
    auto name = ParseName({kept.data(), kept.size()});
    if (!name.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "entry %d of the list: %s", names.size() + 1, std::string(name.status().message())));
    }
    names.push_back(*std::move(name));
  }
  return names;
}

absl::StatusOr<std::vector<Name>> ParseTypes(std::string_view text) {
  ENGRAM_ASSIGN_OR_RETURN(std::vector<Name> types, ParseNames(text));
  for (const Name& type : types) {
    if (type.number.value_or(0) <= std::numeric_limits<std::uint32_t>::max()) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("the edge type %d is above 2^32 - 1", *type.number));
  }
  return types;
}

absl::Status CheckKey(std::string_view key) {
  if (!key.empty() && key.size() <= kMaxKeyBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("the key \"%s\" has %d bytes; 1 to %d are allowed",
                      Beginning(key, kShownName), key.size(), kMaxKeyBytes));
}

absl::StatusOr<MemoryId> IdOf(const Store& store, const Name& name) {
  if (name.number.has_value()) return *name.number;
  ENGRAM_RETURN_IF_ERROR(CheckKey(name.text));
  return store.IdForKey({}, name.text);
}

absl::StatusOr<TypeNames> TypeNames::Of(const Store& store) {
  TypeNames names;
  ENGRAM_ASSIGN_OR_RETURN(const auto types, store.EdgeTypes({}));
  names.names_.insert(types.begin(), types.end());
  return names;
}

std::string TypeNames::ForJson(std::uint32_t type) const {
  const auto found = names_.find(type);
  return found == names_.end() ? std::to_string(type) : Quoted(found->second);
}

std::string TypeNames::ForPeople(std::uint32_t type) const {
  const auto found = names_.find(type);
  return found == names_.end() ? std::to_string(type) : Visible(found->second);
}

absl::StatusOr<std::vector<std::uint32_t>> TypeNames::Numbers(std::string_view types) const {
  std::vector<std::uint32_t> numbers;
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<Name> wanted, ParseTypes(types));
  for (const Name& name : wanted) {
    if (name.number.has_value()) {
      numbers.push_back(static_cast<std::uint32_t>(*name.number));
      continue;
    }
    const std::size_t before = numbers.size();
    for (const auto& [number, known] : names_) {
      if (known == name.text) numbers.push_back(number);
    }
    if (numbers.size() > before) continue;
    return absl::NotFoundError(absl::StrFormat(
        "the store has no edge type \"%s\"; it has %s", name.text,
        absl::StrJoin(names_, ", ",
                      [](std::string* out, const auto& entry) { *out += entry.second; })));
  }
  return numbers;
}

}  // namespace engram::cli

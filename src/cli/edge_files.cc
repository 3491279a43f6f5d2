#include "cli/edge_files.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kReadBytes = std::size_t{1} << 20;
// Two keys and a type fit many times, however they are escaped.
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;
constexpr std::size_t kShown = 60;

constexpr std::array<const char*, 6> kColumns = {"from",   "from_key", "to",
                                                 "to_key", "weight",   "type"};

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::Status CheckLine(const EdgeLine& edge) {
  for (const Name* end : {&edge.from, &edge.to}) {
    if (!end->number.has_value()) ENGRAM_RETURN_IF_ERROR(CheckKey(end->text));
  }
  if (!edge.type.number.has_value() &&
      (edge.type.text.empty() || edge.type.text.size() > kMaxEdgeTypeBytes)) {
    return Bad(absl::StrFormat("the type \"%s\" has %d bytes; 1 to %d are allowed",
                               Beginning(edge.type.text, kShown), edge.type.text.size(),
                               kMaxEdgeTypeBytes));
  }
  if (std::isfinite(edge.weight) && edge.weight >= 0.0f) return absl::OkStatus();
  return Bad(absl::StrFormat("the weight is %g; it must be finite and not negative", edge.weight));
}

absl::StatusOr<Name> ParseEnd(const std::string& field, const Json& value) {
  if (value.is_number_unsigned()) return Name{.number = value.get<std::uint64_t>(), .text = ""};
  if (value.is_string()) return Name{.number = std::nullopt, .text = value.get<std::string>()};
  return Bad(absl::StrFormat(
      "\"%s\" is neither an id, a whole number from 0 to 2^64 - 1, nor a key, a string", field));
}

absl::Status SetField(const std::string& field, const Json& value, EdgeLine& edge) {
  if (field == "from" || field == "to") {
    Name& end = field == "from" ? edge.from : edge.to;
    ENGRAM_ASSIGN_OR_RETURN(end, ParseEnd(field, value));
  } else if (field == "weight") {
    if (!value.is_number()) return Bad("\"weight\" is no number");
    edge.weight = ToFloat(value.get<double>());
  } else if (field == "type") {
    const bool number = value.is_number_unsigned() && value.get<std::uint64_t>() <= 0xffffffff;
    if (!number && !value.is_string()) {
      return Bad("\"type\" is neither a name nor a number from 0 to 2^32 - 1");
    }
    edge.type = {};
    if (number) edge.type.number = value.get<std::uint64_t>();
    if (!number) edge.type.text = value.get<std::string>();
  } else {
    return Bad("an edge has no field \"" + field + "\"; from, to, weight and type are known");
  }
  return absl::OkStatus();
}

absl::StatusOr<Name> ParseCell(std::string_view column, absl::string_view cell, bool key) {
  const std::string_view text(cell.data(), cell.size());
  if (key) return Name{.number = std::nullopt, .text = std::string(text)};
  auto name = ParseName(text);
  if (name.ok()) return name;
  return storage::Annotate(name.status(), "column \"" + std::string(column) + "\"");
}

}  // namespace

absl::StatusOr<EdgeLine> ParseEdge(const std::string& line) {
  ENGRAM_ASSIGN_OR_RETURN(const Json json, ParseObject(line));
  for (const char* field : {"from", "to"}) {
    if (!json.contains(field)) return Bad(absl::StrFormat("it has no \"%s\"", field));
  }
  EdgeLine edge;
  for (const auto& [field, value] : json.items()) {
    ENGRAM_RETURN_IF_ERROR(SetField(field, value, edge));
  }
  ENGRAM_RETURN_IF_ERROR(CheckLine(edge));
  return edge;
}

std::string EdgeJson(const Edge& edge, const TypeNames& types) {
  return absl::StrFormat("{\"from\":%d,\"to\":%d,\"weight\":%s,\"type\":%s}", edge.from, edge.to,
                         Number(edge.weight), types.ForJson(edge.type));
}

absl::StatusOr<std::unique_ptr<EdgeReader>> EdgeReader::Open(const std::string& path,
                                                             const std::string& format) {
  const std::size_t dot = path.rfind('.');
  const std::string name = !format.empty()            ? format
                           : dot == std::string::npos ? ""
                                                      : absl::AsciiStrToLower(path.substr(dot + 1));
  if (name != "tsv" && name != "jsonl") {
    return Bad(
        absl::StrFormat("%s: \"%s\" is no known format of edges; tsv and jsonl are, by "
                        "extension or by --format",
                        NameOf(path), name));
  }
  const bool standard = IsStandardInput(path);
  File file(standard ? stdin : std::fopen(path.c_str(), "rb"),
            standard ? [](std::FILE*) { return 0; } : &std::fclose);
  if (file == nullptr) return absl::NotFoundError(NameOf(path) + ": " + std::strerror(errno));
  std::unique_ptr<EdgeReader> reader(new EdgeReader(path, std::move(file), name == "tsv"));
  if (reader->tsv_) ENGRAM_RETURN_IF_ERROR(reader->At(reader->ReadHeader()));
  return reader;
}

absl::Status EdgeReader::At(const absl::Status& status) const {
  return storage::Annotate(status, absl::StrFormat("%s: line %d", NameOf(path_), line_));
}

absl::StatusOr<bool> EdgeReader::ReadLine() {
  text_.clear();
  for (++line_;;) {
    const std::size_t end = std::min(buffer_.find('\n', position_), buffer_.size());
    text_.append(buffer_, position_, end - position_);
    position_ = end + 1;
    if (text_.size() > kMaxLineBytes) {
      return Bad(absl::StrFormat("it is longer than %d bytes", kMaxLineBytes));
    }
    if (end < buffer_.size()) break;
    buffer_.resize(kReadBytes);
    buffer_.resize(std::fread(buffer_.data(), 1, kReadBytes, file_.get()));
    position_ = 0;
    if (std::ferror(file_.get()) != 0) return absl::NotFoundError(std::strerror(errno));
    if (!buffer_.empty()) continue;
    if (text_.empty()) return false;
    break;
  }
  if (!text_.empty() && text_.back() == '\r') text_.pop_back();
  return true;
}

absl::Status EdgeReader::ReadHeader() {
  ENGRAM_ASSIGN_OR_RETURN(const bool there, ReadLine());
  if (!there) return Bad("there is no header, which names the columns");
  absl::string_view header = text_;
  // What spreadsheets put in front of UTF-8.
  if (absl::StartsWith(header, "\xef\xbb\xbf")) header.remove_prefix(3);
  for (const absl::string_view name : absl::StrSplit(header, '\t')) {
    const auto found = std::find(kColumns.begin(), kColumns.end(), name);
    if (found == kColumns.end()) {
      return Bad(absl::StrFormat("the header has a column \"%s\"; %s are known",
                                 Beginning(std::string(name), kShown),
                                 absl::StrJoin(kColumns, ", ")));
    }
    const auto column = static_cast<Column>(found - kColumns.begin());
    if (std::find(columns_.begin(), columns_.end(), column) != columns_.end()) {
      return Bad(absl::StrFormat("the header has two columns \"%s\"", name));
    }
    columns_.push_back(column);
  }
  const auto has = [this](Column column) {
    return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
  };
  const auto check = [](bool id, bool key, const char* end) {
    if (id != key) return absl::OkStatus();
    if (!id) {
      return Bad(
          absl::StrFormat("the header needs one of the columns \"%s\" and \"%s_key\"", end, end));
    }
    return Bad(absl::StrFormat(
        "the header names both \"%s\" and \"%s_key\"; an end is given one way", end, end));
  };
  ENGRAM_RETURN_IF_ERROR(check(has(Column::kFrom), has(Column::kFromKey), "from"));
  return check(has(Column::kTo), has(Column::kToKey), "to");
}

absl::StatusOr<EdgeLine> EdgeReader::ParseRow() const {
  const std::vector<absl::string_view> cells = absl::StrSplit(text_, '\t');
  if (cells.size() != columns_.size()) {
    return Bad(absl::StrFormat("it has %d columns, and the header names %d", cells.size(),
                               columns_.size()));
  }
  EdgeLine edge;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Column column = columns_[i];
    const std::string_view name = kColumns[static_cast<std::size_t>(column)];
    if (column == Column::kFrom || column == Column::kFromKey) {
      ENGRAM_ASSIGN_OR_RETURN(edge.from, ParseCell(name, cells[i], column == Column::kFromKey));
    } else if (column == Column::kTo || column == Column::kToKey) {
      ENGRAM_ASSIGN_OR_RETURN(edge.to, ParseCell(name, cells[i], column == Column::kToKey));
    } else if (cells[i].empty()) {
      continue;  // the default
    } else if (column == Column::kType) {
      edge.type.text = std::string(cells[i]);
    } else if (!absl::SimpleAtof(cells[i], &edge.weight)) {
      return Bad(absl::StrFormat("the weight \"%s\" is no number",
                                 Beginning(std::string(cells[i]), kShown)));
    }
  }
  ENGRAM_RETURN_IF_ERROR(CheckLine(edge));
  return edge;
}

absl::StatusOr<bool> EdgeReader::Next(EdgeLine* edge) {
  do {
    const auto more = ReadLine();
    ENGRAM_RETURN_IF_ERROR(At(more.status()));
    if (!*more) return false;
  } while (text_.empty());
  auto parsed = tsv_ ? ParseRow() : ParseEdge(text_);
  ENGRAM_RETURN_IF_ERROR(At(parsed.status()));
  *edge = *std::move(parsed);
  return true;
}

}  // namespace engram::cli

#include "cli/json_lines.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

using Json = nlohmann::json;

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

// What a parser says of bytes that are not JSON, cut to where and why.
constexpr std::size_t kShownReason = 200;

// A text for the JSON reader. The sign of a lone -0 is lost when it is read as an integer, as
// such readers do: it is -0.0 there. What is in quotes stays, and is not counted.
struct Prepared {
  explicit Prepared(const std::string& from);

  std::string text;
  std::size_t colons = 0;
};

Prepared::Prepared(const std::string& from) {
  bool quoted = false;
  for (std::size_t i = 0; i < from.size(); ++i) {
    text += from[i];
    if (from[i] == ':' && !quoted) ++colons;
    if (quoted && from[i] == '\\' && i + 1 < from.size()) {
      text += from[++i];
    } else if (from[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && from.compare(i, 2, "-0") == 0) {
      const char next = i + 2 < from.size() ? from[i + 2] : ' ';
      const bool goes_on = std::string_view("0123456789.eE").find(next) != std::string_view::npos;
      text += goes_on ? "0" : "0.0";
      ++i;
    }
  }
}

absl::Status WhyNotJson(const std::string& text) {
  std::string why = "it cannot be read";
  try {
    [[maybe_unused]] const Json json = Json::parse(text);
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 9: syntax error while ..."
    why = error.what();
    const std::size_t column = why.find("column ");
    if (column != std::string::npos) why.erase(0, column);
  }
  return Bad("it is not JSON: " + Beginning(why, kShownReason));
}

// Returns: a field that the object `text` has twice, if there is one.
std::optional<std::string> FieldTwice(const std::string& text) {
  std::set<std::string> fields;
  std::optional<std::string> twice;
  const auto look = [&](int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth == 1 && event == Json::parse_event_t::key) {
      const auto& field = parsed.get_ref<const std::string&>();
      if (!fields.insert(field).second) twice = field;
    }
    return true;
  };
  [[maybe_unused]] const Json json = Json::parse(text, look, /*allow_exceptions=*/false);
  return twice;
}

absl::StatusOr<std::vector<float>> ToVector(const Json& json) {
  if (!json.is_array()) return Bad("the vector is no array of numbers");
  std::vector<float> vector;
  vector.reserve(json.size());
  for (const Json& value : json) {
    if (!value.is_number()) {
      return Bad(absl::StrFormat("value %d of the vector is %s, not a number", vector.size(),
                                 value.type_name()));
    }
    vector.push_back(ToFloat(value.get<double>()));
    if (std::isfinite(vector.back())) continue;
    return Bad(absl::StrFormat("value %d of the vector is %g, beyond the range of f32",
                               vector.size() - 1, value.get<double>()));
  }
  return vector;
}

bool IsUtf8(std::string_view text) {
  return text.empty() || Json::parse(Quoted(text), nullptr, false).get<std::string>() == text;
}

absl::Status SetField(const std::string& name, const Json& value, JsonMemory& memory) {
  if (name == "id") {
    if (!value.is_number_unsigned()) return Bad("\"id\" is no whole number from 0 to 2^64 - 1");
    memory.id = value.get<std::uint64_t>();
  } else if (name == "vector") {
    ENGRAM_ASSIGN_OR_RETURN(memory.vector, ToVector(value));
    if (memory.vector.empty()) {
      return Bad("\"vector\" is empty; a memory without an embedding has no \"vector\"");
    }
  } else if (name == "keys") {
    if (!value.is_array()) return Bad("\"keys\" is no array of strings");
    for (const Json& key : value) {
      if (!key.is_string()) return Bad("\"keys\" is no array of strings");
      memory.keys.push_back(key.get<std::string>());
    }
  } else if (name == "key" || name == "payload" || name == "payload_hex") {
    if (!value.is_string()) return Bad("\"" + name + "\" is no string");
    std::string text = value.get<std::string>();
    if (name == "payload_hex") {
      const bool hex = text.size() % 2 == 0 &&
                       text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
      if (!hex) return Bad("\"payload_hex\" is no even run of hexadecimal digits");
      text = absl::HexStringToBytes(text);
    }
    if (name == "key") {
      memory.keys.insert(memory.keys.begin(), std::move(text));
    } else {
      memory.payload = std::move(text);
    }
  } else {
    return Bad("there is no field \"" + name +
               "\" in this version; id, key, keys, vector, payload and payload_hex are known");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> ParseJson(const std::string& text) {
  Json json = Json::parse(Prepared(text).text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return WhyNotJson(text);
  return json;
}

absl::StatusOr<Json> ParseObject(const std::string& text) {
  const Prepared prepared(text);
  Json json = Json::parse(prepared.text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return WhyNotJson(text);
  if (!json.is_object()) return Bad("it is not a JSON object");
  // A field has one colon. Looking at every value is work, so it is done where this differs.
  if (prepared.colons != json.size()) {
    if (const auto twice = FieldTwice(prepared.text); twice.has_value()) {
      return Bad("it has the field \"" + Beginning(*twice, kShownReason) + "\" twice");
    }
  }
  return json;
}

absl::StatusOr<JsonMemory> ParseMemory(const std::string& line) {
  ENGRAM_ASSIGN_OR_RETURN(const Json json, ParseObject(line));
  if (json.contains("payload") && json.contains("payload_hex")) {
    return Bad("it has both \"payload\" and \"payload_hex\"; one of them is allowed");
  }
  JsonMemory memory;
  for (const auto& [name, value] : json.items()) {
    ENGRAM_RETURN_IF_ERROR(SetField(name, value, memory));
  }
  if (!memory.id.has_value() && memory.keys.empty()) {
    return Bad("it has neither \"id\" nor \"key\"");
  }
  return memory;
}

float ToFloat(double value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  constexpr double kNearestIsInfinity = 0x1.ffffffp127;
  if (std::abs(value) < kNearestIsInfinity) {
    return static_cast<float>(std::clamp(value, -kMost, kMost));
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return value < 0 ? -kInfinity : kInfinity;
}

absl::StatusOr<std::vector<float>> ParseVector(const std::string& text) {
  const auto json = ParseJson(text);
  if (!json.ok() || !json->is_array()) {
    return Bad(
        absl::StrFormat("--vector: %s; an array such as [0.5,-1,2] is expected",
                        json.ok() ? "it is no array" : std::string(json.status().message())));
  }
  return ToVector(*json);
}

std::string Number(float value) {
  // Without a point it would read back as the integer 0, which has no sign.
  if (value == 0.0f && std::signbit(value)) return "-0.0";
  if (!std::isfinite(value)) return "null";
  return absl::StrFormat("%.9g", static_cast<double>(value));
}

std::string Quoted(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string MemoryLine(MemoryId id, absl::Span<const float> vector, std::string_view payload,
                       absl::Span<const std::string> keys) {
  std::string line = absl::StrFormat("{\"id\":%d", id);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    line += (i == 0 ? ",\"keys\":[" : ",") + Quoted(keys[i]);
  }
  if (!keys.empty()) line += "]";
  for (std::size_t i = 0; i < vector.size(); ++i) {
    line += (i == 0 ? ",\"vector\":[" : ",") + Number(vector[i]);
  }
  if (!vector.empty()) line += "]";
  if (IsUtf8(payload)) {
    line += ",\"payload\":" + Quoted(payload);
  } else {
    line += ",\"payload_hex\":\"" +
            absl::BytesToHexString(absl::string_view(payload.data(), payload.size())) + "\"";
  }
  return line + "}";
}

}  // namespace engram::cli

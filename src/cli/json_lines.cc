#include "cli/json_lines.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

using Json = nlohmann::json;

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<std::vector<float>> ToVector(const Json& json) {
  if (!json.is_array()) return Bad("the vector is no array of numbers");
  std::vector<float> vector;
  vector.reserve(json.size());
  for (const Json& value : json) {
    if (!value.is_number()) return Bad("the vector is no array of numbers");
    vector.push_back(static_cast<float>(value.get<double>()));
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
    return Bad("there is no field \"" + name + "\" in this version");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JsonMemory> ParseMemory(const std::string& line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Bad("it is not JSON");
  if (!json.is_object()) return Bad("it is not a JSON object");
  JsonMemory memory;
  for (const auto& [name, value] : json.items()) {
    ENGRAM_RETURN_IF_ERROR(SetField(name, value, memory));
  }
  if (!memory.id.has_value() && memory.keys.empty()) {
    return Bad("it has neither \"id\" nor \"key\"");
  }
  return memory;
}

absl::StatusOr<std::vector<float>> ParseVector(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Bad("the vector is not JSON");
  return ToVector(json);
}

std::string Number(float value) { return absl::StrFormat("%.9g", static_cast<double>(value)); }

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

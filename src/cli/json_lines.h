// Memories as JSON lines, and answers as JSON: how the command speaks to programs.
#ifndef ENGRAM_CLI_JSON_LINES_H_
#define ENGRAM_CLI_JSON_LINES_H_

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engram/engram.h"

namespace engram::cli {

struct JsonMemory {
  std::optional<MemoryId> id;
  std::vector<float> vector;
  std::string payload;
  std::vector<std::string> keys;
};

// Errors: kInvalidArgument saying where and why `text` is not JSON.
absl::StatusOr<nlohmann::json> ParseJson(const std::string& text);

// Reads an object none of whose fields comes twice. Errors: kInvalidArgument.
absl::StatusOr<nlohmann::json> ParseObject(const std::string& text);

// Reads {"id":1,"key":"…","keys":[…],"vector":[…],"payload":"…"}; id or key is
// needed, the rest is not. Bytes that are no UTF-8 stand as "payload_hex", instead of
// "payload".
// Errors: kInvalidArgument saying what is wrong; the caller names the line.
absl::StatusOr<JsonMemory> ParseMemory(const std::string& line);

// Returns: the f32 that is nearest to `value`; infinity beyond its range, where a cast is
// undefined.
float ToFloat(double value);

// Reads the array of --vector.
absl::StatusOr<std::vector<float>> ParseVector(const std::string& text);

// Returns: a line that ParseMemory reads back whole, without the newline.
std::string MemoryLine(MemoryId id, absl::Span<const float> vector, std::string_view payload,
                       absl::Span<const std::string> keys);

// Returns: the number with 9 significant digits, which give back every f32; null for what
// JSON has no number for.
std::string Number(float value);
std::string Quoted(std::string_view text);  // bytes that are no UTF-8 become U+FFFD

}  // namespace engram::cli

#endif  // ENGRAM_CLI_JSON_LINES_H_

// Files of lines, as `engram import` and `engram link` read them: memories as JSON lines, edges as
// JSON lines and as TSV.
#include <cmath>
#include <cstring>

#include "cli/edge_files.h"
#include "cli/json_lines.h"
#include "tests/fuzz/memory_file.h"

namespace engram::fuzz {
namespace {

bool SameFloats(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

void TryMemory(const std::string& line) {
  const auto memory = cli::ParseMemory(line);
  if (!memory.ok()) {
    Expect(absl::IsInvalidArgument(memory.status()), "what is wrong with a line is an argument");
    return;
  }
  for (const float value : memory->vector) Expect(std::isfinite(value), "floats are finite");
  const MemoryId id = memory->id.value_or(7);
  const auto again =
      cli::ParseMemory(cli::MemoryLine(id, memory->vector, memory->payload, memory->keys));
  Expect(again.ok(), "a line that was written reads");
  Expect(again->id == id && SameFloats(again->vector, memory->vector) &&
             again->payload == memory->payload,
         "a memory comes back");
}

void TryVector(const std::string& text) {
  const auto vector = cli::ParseVector(text);
  if (!vector.ok()) return;
  for (const float value : *vector) Expect(std::isfinite(value), "floats are finite");
}

void TryEdges(const std::string& bytes, const char* format) {
  const MemoryFile file(bytes);
  const auto reader = cli::EdgeReader::Open(file.path(), format);
  if (!reader.ok()) return;
  cli::EdgeLine edge;
  std::uint64_t last = 0;
  for (;;) {
    const auto more = (*reader)->Next(&edge);
    if (!more.ok() || !*more) break;
    Expect((*reader)->line() > last, "lines are counted");
    last = (*reader)->line();
    for (const cli::Name& end : {edge.from, edge.to}) {
      Expect(end.number.has_value() || !end.text.empty(), "an end has a name");
    }
  }
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engram::fuzz::Input input(data, size);
  const std::uint8_t kind = input.Take<std::uint8_t>();
  const std::string text = input.TakeRest();
  switch (kind % 4) {
    case 0: engram::fuzz::TryMemory(text); break;
    case 1: engram::fuzz::TryVector(text); break;
    case 2: engram::fuzz::TryEdges(text, "tsv"); break;
    default: engram::fuzz::TryEdges(text, "jsonl"); break;
  }
  return 0;
}

// The values of associations: runs of changes, the catalog of sealed edges, and their keys.
#include <cmath>

#include "storage/format/edge_format.h"
#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {
namespace {

using namespace storage;  // NOLINT: each name is of the format

void TryEvents(Input& input) {
  const std::uint32_t nodes = input.Take<std::uint32_t>();
  const std::string bytes = input.TakeRest();
  const auto events = DecodeEdgeEvents(bytes, nodes);
  if (!events.ok()) {
    Expect(absl::IsDataLoss(events.status()), "what is wrong with changes is DataLoss");
    return;
  }
  std::string again;
  for (const EdgeEvent& event : *events) {
    Expect(event.from < nodes && event.to < nodes, "nodes are below their number");
    Expect(std::isfinite(event.weight) && event.weight >= 0, "weights are finite, not negative");
    AppendEdgeEvent(event, &again);
  }
  Expect(again == bytes, "a run of changes");
}

void TryCatalog(const std::string& bytes) {
  const auto catalog = DecodeEdgeCatalog(bytes);
  if (!catalog.ok()) {
    Expect(absl::IsDataLoss(catalog.status()), "what is wrong with a catalog is DataLoss");
    return;
  }
  std::uint64_t next = 0;
  for (const EdgeBlock& block : catalog->blocks) {
    Expect(block.first_node == next && block.nodes > 0, "blocks follow one another");
    next += block.nodes;
  }
  Expect(next == catalog->nodes() && next < ~std::uint32_t{0}, "nodes are bounded");
  Expect(EncodeEdgeCatalog(*catalog) == bytes, "a catalog of edges");
}

void TryNumbers(const std::string& bytes) {
  if (const auto number = DecodeEdgeEventKey(bytes)) {
    Expect(EdgeEventKey(*number) == bytes, "the key of a run of changes");
  }
  if (const auto type = DecodeEdgeType(bytes); type.ok()) {
    Expect(EncodeEdgeType(*type) == bytes, "the number of an edge type");
  }
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engram::fuzz::Input input(data, size);
  switch (input.Take<std::uint8_t>() % 3) {
    case 0: engram::fuzz::TryEvents(input); break;
    case 1: engram::fuzz::TryCatalog(input.TakeRest()); break;
    default: engram::fuzz::TryNumbers(input.TakeRest()); break;
  }
  return 0;
}

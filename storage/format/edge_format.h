// The values of associations: changes of edges in the log, and where the sealed
// ones are. docs/format.md draws them; frozen with format version 1. Every
// Decode treats its bytes as hostile and answers kDataLoss.
//
// Edges are kept as embeddings are: a change is first an event in the tail, and a
// seal folds all events into compressed sparse rows in columns of the family
// edges. Events carry numbers without end that are never reused, so those that
// are folded in go by one range.
#ifndef ENGRAM_STORAGE_FORMAT_EDGE_FORMAT_H_
#define ENGRAM_STORAGE_FORMAT_EDGE_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace engram::storage {

// One change of the edges. They take effect in the order of their numbers.
struct EdgeEvent {
  enum class Kind : std::uint8_t {
    kPut = 1,     // the edge exists, with this weight
    kDelete = 2,  // the edge does not exist
    kForget = 3,  // no edge of node `from` exists, in either direction
  };
  Kind kind = Kind::kPut;
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint32_t type = 0;
  float weight = 0.0f;

  friend bool operator==(const EdgeEvent&, const EdgeEvent&) = default;
};
// The value of a run of events that follow one another: the key has the number of the
// first. Runs hold 1 to kMaxEventsPerRun.
inline constexpr std::size_t kMaxEventsPerRun = 65536;
void AppendEdgeEvent(const EdgeEvent& event, std::string* out);
// Errors besides a damaged value: a node that is not below `nodes`.
absl::StatusOr<std::vector<EdgeEvent>> DecodeEdgeEvents(std::string_view bytes,
                                                        std::uint32_t nodes);

std::string EdgeEventKey(std::uint64_t number);
std::optional<std::uint64_t> DecodeEdgeEventKey(std::string_view bytes);

std::string EncodeEdgeType(std::uint32_t number);
absl::StatusOr<std::uint32_t> DecodeEdgeType(std::string_view bytes);

// A run of nodes whose edges lie in one set of columns. The columns of a block
// have the key (generation, first node, column) and these many entries:
//   edge offset  nodes + 1   u32, from 0 to `edges`, ascending
//   edge target  edges       u32, by (type, target) within a node, no pair twice
//   edge weight  edges       f32, finite and not negative
//   edge type    edges       u8, u16 or u32; absent where all are 0
//   edge sum     nodes       f32: the weights of the node's edges, summed in double
//   in offset    nodes + 1   u32, from 0 to `sources`, ascending
//   in source    sources     u32, ascending within a node, none twice
struct EdgeBlock {
  std::uint32_t first_node = 0;
  std::uint32_t nodes = 0;
  std::uint32_t edges = 0;
  std::uint32_t sources = 0;
  bool typed = false;

  friend bool operator==(const EdgeBlock&, const EdgeBlock&) = default;
};

// The sealed edges of the store: blocks that follow one another from node 0.
struct EdgeCatalog {
  std::uint32_t generation = 0;
  std::uint64_t next_event = 0;  // events below it are in the blocks
  std::vector<EdgeBlock> blocks;

  std::uint64_t nodes() const {
    return blocks.empty() ? 0 : std::uint64_t{blocks.back().first_node} + blocks.back().nodes;
  }
  std::uint64_t edges() const {
    std::uint64_t sum = 0;
    for (const EdgeBlock& block : blocks) sum += block.edges;
    return sum;
  }
  friend bool operator==(const EdgeCatalog&, const EdgeCatalog&) = default;
};
std::string EncodeEdgeCatalog(const EdgeCatalog& catalog);
absl::StatusOr<EdgeCatalog> DecodeEdgeCatalog(std::string_view bytes);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_FORMAT_EDGE_FORMAT_H_

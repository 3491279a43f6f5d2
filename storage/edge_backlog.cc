#include "storage/edge_backlog.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "storage/edge_graph.h"

namespace engram::storage {
namespace {

constexpr std::uint64_t kLeastChanges = std::uint64_t{1} << 16;
constexpr std::uint64_t kShareOfSealed = 4;

// Writers wait at this many times the changes that are worth a seal, and never at fewer than
// these; and at so many times the bytes.
constexpr std::uint64_t kWaitFactor = 4, kWaitFactorOfBytes = 2;
constexpr std::uint64_t kLeastToWait = std::uint64_t{1} << 21;

// A change is an event, an edge of an overlay and a source; a list has an entry, about half of
// the slots of a table being full.
constexpr std::uint64_t kBytesPerEdge = 12;
constexpr std::uint64_t kBytesPerChange = sizeof(EdgeEvent) + kBytesPerEdge + 8;
constexpr std::uint64_t kBytesPerList = 2 * sizeof(std::pair<std::uint32_t, NodeEdges>);

std::uint32_t SealedDegree(const MappedEdges& base, std::uint32_t node) {
  const EdgeRun* run = base.Find(node);
  if (run == nullptr || run->offsets == nullptr) return 0;
  const std::uint32_t i = node - run->block.first_node;
  // Of damaged offsets the difference may be anything.
  return std::min(run->offsets[i + 1] - run->offsets[i], run->block.edges);
}

absl::Span<const std::uint32_t> SealedSources(const MappedEdges& base, std::uint32_t node) {
  const EdgeRun* run = base.Find(node);
  if (run == nullptr || run->in_offsets == nullptr || run->in_sources == nullptr) return {};
  const std::uint32_t i = node - run->block.first_node;
  const std::uint32_t begin = std::min(run->in_offsets[i], run->block.sources);
  const std::uint32_t end = std::clamp(run->in_offsets[i + 1], begin, run->block.sources);
  return {run->in_sources + begin, end - begin};
}

}  // namespace

std::uint64_t EdgeChangesToSeal(std::uint64_t sealed) {
  return std::max(sealed / kShareOfSealed, kLeastChanges);
}

bool EdgeBacklog::Has(const Nodes& nodes, std::uint32_t node) {
  return node / 64 < nodes.size() && ((nodes[node / 64] >> (node % 64)) & 1) != 0;
}

bool EdgeBacklog::Insert(Nodes& nodes, std::uint32_t node) {
  if (Has(nodes, node)) return false;
  if (node / 64 >= nodes.size()) nodes.resize(node / 64 + 1);
  nodes[node / 64] |= std::uint64_t{1} << (node % 64);
  return true;
}

void EdgeBacklog::Reset(const MappedEdges& base, const EdgeLogView& log) {
  *this = {};
  for (std::uint64_t i = log.first(); i < log.end(); ++i) Add(base, log.event(i));
}

void EdgeBacklog::Change(const MappedEdges& base, std::uint32_t node) {
  ++changes_;
  if (!Insert(changed_, node)) return;
  ++lists_;
  copied_ += SealedDegree(base, node);
}

void EdgeBacklog::Add(const MappedEdges& base, const EdgeEvent& event) {
  Change(base, event.from);
  Insert(named_, event.from);
  Insert(named_, event.to);
  if (event.kind != EdgeEvent::Kind::kForget) return;
  for (const std::uint32_t source : SealedSources(base, event.from)) {
    if (source < base.nodes()) Change(base, source);
  }
}

bool EdgeBacklog::MayHaveEdges(const MappedEdges& base, std::uint32_t node) const {
  if (Has(named_, node)) return true;
  const EdgeRun* run = base.Find(node);
  if (run == nullptr) return false;
  if (run->offsets == nullptr || run->in_offsets == nullptr) return true;
  const std::uint32_t i = node - run->block.first_node;
  return run->offsets[i] != run->offsets[i + 1] || run->in_offsets[i] != run->in_offsets[i + 1];
}

std::uint64_t EdgeBacklog::bytes() const {
  return changes_ * kBytesPerChange + copied_ * kBytesPerEdge + lists_ * kBytesPerList;
}

bool EdgeBacklog::IsDue(std::uint64_t sealed) const {
  return changes_ >= EdgeChangesToSeal(sealed) || bytes() >= kEdgeBytesToSeal;
}

bool EdgeBacklog::HasRoom(std::uint64_t sealed) const {
  return changes_ < std::max(kWaitFactor * EdgeChangesToSeal(sealed), kLeastToWait) &&
         bytes() < kWaitFactorOfBytes * kEdgeBytesToSeal;
}

}  // namespace engram::storage

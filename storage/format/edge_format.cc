#include "storage/format/edge_format.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/format/key_format.h"

namespace engram::storage {
namespace {

constexpr std::uint32_t kMaxEdgeBlocks = 1u << 20;
constexpr std::size_t kEventBytes = 17;

absl::Status Damaged(std::string_view what, std::string_view found) {
  return absl::DataLossError(absl::StrFormat("%s is damaged: %s", what, found));
}

}  // namespace

void AppendEdgeEvent(const EdgeEvent& event, std::string* out) {
  AppendLittleEndian(static_cast<std::uint8_t>(event.kind), out);
  AppendLittleEndian(event.from, out);
  AppendLittleEndian(event.to, out);
  AppendLittleEndian(event.type, out);
  AppendLittleEndian(event.weight, out);
}

absl::StatusOr<std::vector<EdgeEvent>> DecodeEdgeEvents(std::string_view bytes,
                                                        std::uint32_t nodes) {
  constexpr std::string_view kWhat = "a run of changes of edges";
  const std::size_t count = bytes.size() / kEventBytes;
  if (count == 0 || count > kMaxEventsPerRun || bytes.size() % kEventBytes != 0) {
    return Damaged(kWhat, absl::StrFormat("%d bytes", bytes.size()));
  }
  std::vector<EdgeEvent> events(count);
  FieldReader reader(bytes);
  for (EdgeEvent& event : events) {
    const auto kind = reader.Read<std::uint8_t>();
    event.kind = static_cast<EdgeEvent::Kind>(kind);
    event.from = reader.Read<std::uint32_t>();
    event.to = reader.Read<std::uint32_t>();
    event.type = reader.Read<std::uint32_t>();
    event.weight = reader.Read<float>();
    if (kind < 1 || kind > 3 || event.from >= nodes || event.to >= nodes ||
        !std::isfinite(event.weight) || event.weight < 0.0f) {
      return Damaged(kWhat, absl::StrFormat("kind %d, node %d to node %d of %d, weight %g", kind,
                                            event.from, event.to, nodes, event.weight));
    }
  }
  return events;
}

std::string EdgeEventKey(std::uint64_t number) {
  std::string key(1, kEventPrefix);
  AppendBigEndian(number, &key);
  return key;
}

std::optional<std::uint64_t> DecodeEdgeEventKey(std::string_view bytes) {
  if (bytes.size() != 1 + sizeof(std::uint64_t) || bytes[0] != kEventPrefix) return std::nullopt;
  return ReadBigEndian<std::uint64_t>(bytes, 1);
}

std::string EncodeEdgeType(std::uint32_t number) {
  std::string bytes;
  AppendLittleEndian(number, &bytes);
  return bytes;
}

absl::StatusOr<std::uint32_t> DecodeEdgeType(std::string_view bytes) {
  FieldReader reader(bytes);
  const auto number = reader.Read<std::uint32_t>();
  if (!reader.finished()) {
    return Damaged("the number of an edge type", absl::StrFormat("%d bytes", bytes.size()));
  }
  return number;
}

std::string EncodeEdgeCatalog(const EdgeCatalog& catalog) {
  std::string bytes;
  AppendLittleEndian(catalog.generation, &bytes);
  AppendLittleEndian(catalog.next_event, &bytes);
  AppendLittleEndian(static_cast<std::uint32_t>(catalog.blocks.size()), &bytes);
  for (const EdgeBlock& block : catalog.blocks) {
    AppendLittleEndian(block.first_node, &bytes);
    AppendLittleEndian(block.nodes, &bytes);
    AppendLittleEndian(block.edges, &bytes);
    AppendLittleEndian(block.sources, &bytes);
    AppendLittleEndian(static_cast<std::uint8_t>(block.typed), &bytes);
  }
  return bytes;
}

absl::StatusOr<EdgeCatalog> DecodeEdgeCatalog(std::string_view bytes) {
  FieldReader reader(bytes);
  EdgeCatalog catalog;
  catalog.generation = reader.Read<std::uint32_t>();
  catalog.next_event = reader.Read<std::uint64_t>();
  const auto count = reader.Read<std::uint32_t>();
  constexpr std::string_view kWhat = "the catalog of edges";
  if (!reader.ok() || count > kMaxEdgeBlocks) {
    return Damaged(kWhat, absl::StrFormat("%d bytes, %d blocks", bytes.size(), count));
  }
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    EdgeBlock block;
    block.first_node = reader.Read<std::uint32_t>();
    block.nodes = reader.Read<std::uint32_t>();
    block.edges = reader.Read<std::uint32_t>();
    block.sources = reader.Read<std::uint32_t>();
    const auto typed = reader.Read<std::uint8_t>();
    block.typed = typed == 1;
    if (block.first_node != catalog.nodes() || block.nodes == 0 || typed > 1 ||
        std::uint64_t{block.first_node} + block.nodes >= ~std::uint32_t{0}) {
      return Damaged(kWhat, absl::StrFormat("block %d begins with node %d and has %d nodes, "
                                            "expected node %d",
                                            i, block.first_node, block.nodes, catalog.nodes()));
    }
    catalog.blocks.push_back(block);
  }
  if (!reader.finished()) return Damaged(kWhat, absl::StrFormat("%d bytes", bytes.size()));
  return catalog;
}

}  // namespace engram::storage

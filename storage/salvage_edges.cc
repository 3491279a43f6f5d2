// The edges of a salvage: sealed columns, and over them the changes since.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "storage/format/edge_format.h"
#include "storage/salvage.h"

namespace engram::storage {

void Salvage::ReadEdgeBlocks() {
  std::string value;
  const rocksdb::Status status = files_->Get(Family::kCatalog, kEdgeCatalogKey, &value);
  if (status.IsNotFound()) {
    for (const auto& [key, lies] : columns_.blocks()) {
      if (lies.Find(ColumnKind::kEdgeOffset) == nullptr) continue;
      if (!files_->Names(Family::kEdges, columns_.files()[lies.file])) continue;
      return losses_.Add("the sealed edges are lost: their catalog is missing");
    }
    return;
  }
  const auto catalog =
      status.ok() ? DecodeEdgeCatalog(value) : absl::DataLossError(status.ToString());
  if (!catalog.ok()) {
    return losses_.Add(absl::StrFormat("the sealed edges are lost, with their catalog: %s",
                                       std::string(catalog.status().message())));
  }
  for (const EdgeBlock& block : catalog->blocks) ReadEdgeBlock(block, catalog->generation);
}

// No edge says which seal it is of, and what one wrote may be there beside what the next wrote
// under the same generation: only what the manifest names counts.
void Salvage::ReadEdgeBlock(const EdgeBlock& block, std::uint32_t generation) {
  for (std::uint32_t file = 0; file < columns_.files().size(); ++file) {
    const SalvagedBlock* lies = columns_.Find(file, generation, block.first_node);
    if (lies == nullptr || !files_->Names(Family::kEdges, columns_.files()[file])) continue;
    if (ReadEdgeColumns(block, *lies)) return;
  }
  losses_.Add(absl::StrFormat(
      "the %d edges of node %d and the %d nodes after are lost: a column is damaged or missing",
      block.edges, block.first_node, block.nodes - 1));
}

bool Salvage::ReadEdgeColumns(const EdgeBlock& block, const SalvagedBlock& lies) {
  const auto column = [&](ColumnKind kind, std::uint32_t rows) -> const BlockColumn* {
    const BlockColumn* found = lies.Find(kind);
    const std::uint32_t each = BytesPerRow(kind, /*dimension=*/0);  // 0: as the header says
    const bool fits = found != nullptr && found->header.rows == rows &&
                      (each == 0 || found->header.bytes_per_row == each);
    return fits ? found : nullptr;
  };
  const BlockColumn* offsets = column(ColumnKind::kEdgeOffset, block.nodes + 1);
  const BlockColumn* targets = column(ColumnKind::kEdgeTarget, block.edges);
  const BlockColumn* weights = column(ColumnKind::kEdgeWeight, block.edges);
  const BlockColumn* types = block.typed ? column(ColumnKind::kEdgeType, block.edges) : nullptr;
  if (offsets == nullptr || targets == nullptr || weights == nullptr ||
      (block.typed && types == nullptr)) {
    return false;
  }
  const auto* ends = reinterpret_cast<const std::uint32_t*>(offsets->payload.data());
  for (std::uint32_t i = 0; i < block.nodes; ++i) {
    for (std::uint32_t e = ends[i]; e < ends[i + 1] && e < block.edges; ++e) {
      std::uint32_t target = 0, type = 0;
      float weight = 0.0f;
      std::memcpy(&target, targets->payload.data() + std::size_t{e} * 4, sizeof target);
      std::memcpy(&weight, weights->payload.data() + std::size_t{e} * 4, sizeof weight);
      if (types != nullptr) {
        const std::size_t bytes = std::min<std::size_t>(types->header.bytes_per_row, sizeof type);
        std::memcpy(&type, types->payload.data() + e * bytes, bytes);
      }
      // Number 0 is before every event but the first, and that is not sealed and there as well.
      changes_.edges[{block.first_node + i, target, type}] = {0, weight, true};
    }
  }
  return true;
}

void Salvage::ReadEvents(std::string_view key, std::string_view value) {
  const auto first = DecodeEdgeEventKey(key);
  const auto events = DecodeEdgeEvents(value, std::numeric_limits<std::uint32_t>::max());
  if (!first.has_value() || !events.ok()) return losses_.Add("changes of edges are damaged");
  std::uint64_t number = *first + 1;
  for (const EdgeEvent& event : *events) {
    if (event.kind == EdgeEvent::Kind::kForget) {
      changes_.forgotten[event.from] = number;
    } else {
      changes_.edges[{event.from, event.to, event.type}] = {number, event.weight,
                                                            event.kind == EdgeEvent::Kind::kPut};
    }
    ++number;
  }
}

std::vector<EdgePut> Salvage::Edges(const std::vector<std::uint64_t>& kept) {
  const auto id_of = [&](std::uint32_t node, std::uint64_t number) -> std::optional<std::uint64_t> {
    const auto forgotten = changes_.forgotten.find(node);
    if (forgotten != changes_.forgotten.end() && forgotten->second > number) return std::nullopt;
    const auto id = nodes_.find(node);
    if (id == nodes_.end()) {
      losses_.Add(absl::StrFormat("an edge of node %d is lost: whose node it is is lost", node));
      return std::nullopt;
    }
    if (std::binary_search(kept.begin(), kept.end(), id->second)) return id->second;
    losses_.Add(absl::StrFormat("an edge of id %d is lost with it", id->second));
    return std::nullopt;
  };
  std::vector<EdgePut> edges;
  for (const auto& [key, change] : changes_.edges) {
    const auto& [from_node, to_node, type] = key;
    if (!change.exists || !std::isfinite(change.weight) || change.weight < 0.0f) continue;
    const auto from = id_of(from_node, change.number);
    const auto to = from.has_value() ? id_of(to_node, change.number) : std::nullopt;
    if (from.has_value() && to.has_value()) {
      edges.push_back({.from = *from, .to = *to, .type = type, .weight = change.weight});
    }
  }
  return edges;
}

}  // namespace engram::storage

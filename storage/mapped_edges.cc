#include "storage/mapped_edges.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/alignment.h"
#include "storage/base/prefault.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

absl::Status Bad(const EdgeBlock& block, ColumnKind column, std::string_view why) {
  return absl::DataLossError(
      absl::StrFormat("edges of node %d and the %d nodes after: column %s: %s", block.first_node,
                      block.nodes - 1, ColumnName(column), why));
}

std::uint32_t RowsOf(const EdgeBlock& block, ColumnKind column) {
  switch (column) {
    case ColumnKind::kEdgeOffset:
    case ColumnKind::kInOffset: return block.nodes + 1;
    case ColumnKind::kEdgeSum: return block.nodes;
    case ColumnKind::kInSource: return block.sources;
    default: return block.edges;
  }
}

bool WidthFits(ColumnKind column, std::uint32_t bytes) {
  return column == ColumnKind::kEdgeType ? bytes == 1 || bytes == 2 || bytes == 4 : bytes == 4;
}

// Returns: whether `offsets` ascend from 0 to `end`.
bool Ascends(const std::uint32_t* offsets, std::uint32_t count, std::uint32_t end) {
  if (offsets[0] != 0 || offsets[count] != end) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (offsets[i] > offsets[i + 1]) return false;
  }
  return true;
}

bool AllGood(const float* weights, std::uint32_t count) {
  return std::all_of(weights, weights + count,
                     [](float weight) { return std::isfinite(weight) && weight >= 0.0f; });
}

bool AllBelow(const std::uint32_t* nodes, std::uint32_t count, std::uint32_t limit) {
  std::uint32_t most = 0;
  for (std::uint32_t i = 0; i < count; ++i) most = std::max(most, nodes[i]);
  return count == 0 || most < limit;
}

}  // namespace

float SumOfWeights(absl::Span<const float> weights) {
  double sum = 0.0;
  for (const float weight : weights) sum += weight;
  return static_cast<float>(std::min<double>(sum, std::numeric_limits<float>::max()));
}

std::uint32_t EdgeSpan::type(std::uint32_t i) const {
  switch (types == nullptr ? 0 : type_bytes) {
    case 1: return static_cast<const std::uint8_t*>(types)[i];
    case 2: return static_cast<const std::uint16_t*>(types)[i];
    case 4: return static_cast<const std::uint32_t*>(types)[i];
    default: return 0;
  }
}

std::uint32_t EdgeSpan::EndOfType(std::uint32_t begin) const {
  if (types == nullptr) return size;
  const std::uint32_t wanted = type(begin);
  std::uint32_t low = begin, high = size;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (type(middle) <= wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::uint32_t EdgeSpan::Find(std::uint32_t edge_type, std::uint32_t target) const {
  std::uint32_t low = 0, high = size;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (std::pair(type(middle), targets[middle]) < std::pair(edge_type, target)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < size && type(low) == edge_type && targets[low] == target ? low : size;
}

EdgeSpan EdgeRun::Out(std::uint32_t node) const {
  const std::uint32_t i = node - block.first_node;
  const std::uint32_t begin = offsets[i];
  return {.targets = targets + begin,
          .weights = weights + begin,
          .types = types == nullptr
                       ? nullptr
                       : static_cast<const char*>(types) + std::size_t{begin} * type_bytes,
          .type_bytes = type_bytes,
          .size = offsets[i + 1] - begin,
          .sum = sums[i]};
}

absl::Span<const std::uint32_t> EdgeRun::Sources(std::uint32_t node) const {
  const std::uint32_t i = node - block.first_node;
  return {in_sources + in_offsets[i], in_offsets[i + 1] - in_offsets[i]};
}

absl::StatusOr<std::shared_ptr<const MappedEdges>> MappedEdges::Map(
    std::shared_ptr<Database> database, EdgeCatalog catalog, std::uint32_t nodes,
    const MappedEdges* previous) {
  std::shared_ptr<MappedEdges> mapped(new MappedEdges());
  const bool same = previous != nullptr && previous->catalog_ == catalog;
  mapped->checked_ = same ? previous->checked_ : std::make_shared<Checked>();
  mapped->catalog_ = std::move(catalog);
  mapped->node_limit_ = nodes;
  for (const EdgeBlock& block : mapped->catalog_.blocks) mapped->runs_.push_back({.block = block});
  rocksdb::ReadOptions options;
  options.pin_data = true;
  options.verify_checksums = false;  // Check() does it, once
  options.fill_cache = false;
  mapped->pin_.reset(database->db().NewIterator(options, database->family(Family::kEdges)));
  mapped->database_ = std::move(database);
  rocksdb::Iterator& it = *mapped->pin_;
  for (it.SeekToFirst(); it.Valid(); it.Next()) {
    const auto key = DecodeBlockKey(it.key().ToStringView());
    if (key.has_value()) mapped->AddColumn(*key, it.value().ToStringView());
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it.status(), "mapping the edges"));
  for (const EdgeRun& run : mapped->runs_) mapped->usable_.Update(mapped->CheckRun(run));
  if (mapped->nodes() > nodes) {
    mapped->usable_.Update(absl::DataLossError(absl::StrFormat(
        "the catalog of edges has %d nodes, and only %d were given", mapped->nodes(), nodes)));
  }
  return std::shared_ptr<const MappedEdges>(std::move(mapped));
}

void MappedEdges::AddColumn(const BlockKey& key, std::string_view value) {
  if (key.generation != catalog_.generation || key.first_row >= nodes()) return;
  auto* run = const_cast<EdgeRun*>(Find(static_cast<std::uint32_t>(key.first_row)));
  if (run == nullptr || run->block.first_node != key.first_row) return;
  const auto column = DecodeBlockColumn(value);
  const absl::Status sound =
      column.ok() ? CheckAlignment(column->payload, kPayloadAlignment) : column.status();
  if (!sound.ok()) {
    usable_.Update(Bad(run->block, key.column, std::string(sound.message())));
    return;
  }
  const BlockHeader& header = column->header;
  if (header.first_row != key.first_row || header.generation != key.generation ||
      header.column != key.column || header.rows != RowsOf(run->block, key.column) ||
      !WidthFits(key.column, header.bytes_per_row)) {
    usable_.Update(
        Bad(run->block, key.column,
            absl::StrFormat("its header tells of %d entries of %d bytes, expected %d", header.rows,
                            header.bytes_per_row, RowsOf(run->block, key.column))));
    return;
  }
  const void* payload = column->payload.data();
  switch (key.column) {
    case ColumnKind::kEdgeOffset: run->offsets = static_cast<const std::uint32_t*>(payload); break;
    case ColumnKind::kEdgeTarget: run->targets = static_cast<const std::uint32_t*>(payload); break;
    case ColumnKind::kEdgeWeight: run->weights = static_cast<const float*>(payload); break;
    case ColumnKind::kEdgeSum: run->sums = static_cast<const float*>(payload); break;
    case ColumnKind::kInOffset: run->in_offsets = static_cast<const std::uint32_t*>(payload); break;
    case ColumnKind::kInSource: run->in_sources = static_cast<const std::uint32_t*>(payload); break;
    case ColumnKind::kEdgeType:
      run->types = payload;
      run->type_bytes = header.bytes_per_row;
      break;
    default: return;
  }
  columns_.push_back(*column);
  mapped_bytes_ += column->payload.size();
}

absl::Status MappedEdges::CheckRun(const EdgeRun& run) const {
  const auto missing = [&](const void* column, ColumnKind kind) {
    return column == nullptr ? Bad(run.block, kind, "it is missing") : absl::OkStatus();
  };
  ENGRAM_RETURN_IF_ERROR(missing(run.offsets, ColumnKind::kEdgeOffset));
  ENGRAM_RETURN_IF_ERROR(missing(run.targets, ColumnKind::kEdgeTarget));
  ENGRAM_RETURN_IF_ERROR(missing(run.weights, ColumnKind::kEdgeWeight));
  ENGRAM_RETURN_IF_ERROR(missing(run.sums, ColumnKind::kEdgeSum));
  ENGRAM_RETURN_IF_ERROR(missing(run.in_offsets, ColumnKind::kInOffset));
  ENGRAM_RETURN_IF_ERROR(missing(run.in_sources, ColumnKind::kInSource));
  if (run.block.typed) ENGRAM_RETURN_IF_ERROR(missing(run.types, ColumnKind::kEdgeType));
  return absl::OkStatus();
}

// Kernels follow offsets and targets without a look, whoever wrote them.
absl::Status MappedEdges::CheckBounds() const {
  for (const EdgeRun& run : runs_) {
    const EdgeBlock& block = run.block;
    if (!Ascends(run.offsets, block.nodes, block.edges)) {
      return Bad(block, ColumnKind::kEdgeOffset, "the offsets do not ascend to the last edge");
    }
    if (!Ascends(run.in_offsets, block.nodes, block.sources)) {
      return Bad(block, ColumnKind::kInOffset, "the offsets do not ascend to the last source");
    }
    if (!AllBelow(run.targets, block.edges, node_limit_)) {
      return Bad(block, ColumnKind::kEdgeTarget, "it names a node that was never given");
    }
    if (!AllGood(run.weights, block.edges)) {
      return Bad(block, ColumnKind::kEdgeWeight, "it has a weight that is negative or not finite");
    }
    if (!AllGood(run.sums, block.nodes)) {
      return Bad(block, ColumnKind::kEdgeSum, "it has a sum that is negative or not finite");
    }
    if (!AllBelow(run.in_sources, block.sources, node_limit_)) {
      return Bad(block, ColumnKind::kInSource, "it names a node that was never given");
    }
  }
  return absl::OkStatus();
}

absl::Status MappedEdges::Check(bool verify) const {
  ENGRAM_RETURN_IF_ERROR(usable_);
  if (verify && !checked_->sums.load(std::memory_order_acquire)) return CheckAgain();
  if (checked_->bounds.load(std::memory_order_acquire)) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(CheckBounds());
  checked_->bounds.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status MappedEdges::CheckAgain() const {
  ENGRAM_RETURN_IF_ERROR(usable_);
  absl::Status whole = CheckSums();
  if (whole.ok()) whole = CheckBounds();
  checked_->bounds.store(whole.ok(), std::memory_order_release);
  checked_->sums.store(whole.ok(), std::memory_order_release);
  return whole;
}

absl::Status MappedEdges::CheckSums() const {
  for (const BlockColumn& column : columns_) {
    const absl::Status status = CheckBlockPayload(column);
    if (status.ok()) continue;
    const EdgeRun* run = Find(static_cast<std::uint32_t>(column.header.first_row));
    return Bad(run->block, column.header.column, std::string(status.message()));
  }
  return absl::OkStatus();
}

absl::Status MappedEdges::Prefault() const {
  for (const BlockColumn& column : columns_) {
    const absl::Status status = PrefaultBytes(column.payload);
    if (!status.ok()) {
      return Annotate(status, absl::StrFormat("bringing the edges of node %d into memory",
                                              column.header.first_row));
    }
  }
  return absl::OkStatus();
}

const EdgeRun* MappedEdges::Find(std::uint32_t node) const {
  auto it = std::upper_bound(
      runs_.begin(), runs_.end(), node,
      [](std::uint32_t wanted, const EdgeRun& run) { return wanted < run.block.first_node; });
  if (it == runs_.begin()) return nullptr;
  --it;
  return node - it->block.first_node < it->block.nodes ? &*it : nullptr;
}

}  // namespace engram::storage

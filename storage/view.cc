#include "storage/view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/id_keys.h"

namespace engram::storage {
namespace {

// Returns: where `row` is in `slice`, or nullopt.
std::optional<std::uint32_t> IndexOf(const RowSlice& slice, std::uint64_t row) {
  if (slice.count == 0 || row < slice.first_row) return std::nullopt;
  const std::uint64_t offset = row - slice.first_row;
  if (slice.row_offsets == nullptr) {
    if (offset >= slice.count) return std::nullopt;
    return static_cast<std::uint32_t>(offset);
  }
  const std::uint32_t* end = slice.row_offsets + slice.count;
  const std::uint32_t* found = std::lower_bound(slice.row_offsets, end, offset);
  if (found == end || *found != offset) return std::nullopt;
  return static_cast<std::uint32_t>(found - slice.row_offsets);
}

absl::Status NoSuchNode(std::uint64_t id, std::uint32_t node) {
  return absl::DataLossError(
      absl::StrFormat("id %d: its head is damaged: node %d was never given", id, node));
}

absl::Status NoSuchId(std::uint64_t id) {
  return absl::NotFoundError(absl::StrFormat("there is no memory with id %d", id));
}

}  // namespace

View::View(Parts parts)
    : parts_(std::move(parts)), snapshot_(parts_.database->db().GetSnapshot()) {}

View::~View() { parts_.database->db().ReleaseSnapshot(snapshot_); }

std::size_t View::slice_count() const {
  return parts_.blocks->blocks().size() + parts_.tail.chunks.size();
}

RowSlice View::slice(std::size_t i) const {
  const std::vector<MappedBlock>& blocks = parts_.blocks->blocks();
  if (i < blocks.size()) return blocks[i].slice();
  const TailChunk& chunk = *parts_.tail.chunks[i - blocks.size()];
  return RowSlice{.embeddings = chunk.embeddings(),
                  .norms = chunk.norms(),
                  .nodes = chunk.nodes(),
                  .ids = chunk.ids(),
                  .row_offsets = chunk.row_offsets(),
                  .first_row = chunk.first_row(),
                  .count = parts_.tail.sizes[i - blocks.size()],
                  .block = nullptr};
}

RowExtent View::extent(std::size_t i) const {
  const std::vector<MappedBlock>& blocks = parts_.blocks->blocks();
  if (i < blocks.size()) return {blocks[i].extent().first_row, blocks[i].extent().end_row()};
  const RowSlice rows = slice(i);
  return {rows.first_row, rows.count == 0 ? rows.first_row : rows.end_row()};
}

absl::Status View::ReadySlice(std::size_t i, bool verify) const {
  const std::vector<MappedBlock>& blocks = parts_.blocks->blocks();
  if (i >= blocks.size()) return absl::OkStatus();
  return verify ? blocks[i].Check() : blocks[i].usable();
}

rocksdb::ReadOptions View::Options() const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  return options;
}

absl::StatusOr<MemoryHead> View::FindHead(std::uint64_t id) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto heads, FindHeads({&id, 1}));
  return heads[0];
}

absl::StatusOr<std::vector<MemoryHead>> View::FindHeads(absl::Span<const std::uint64_t> ids) const {
  std::vector<std::string> keys;
  for (const std::uint64_t id : ids) keys.push_back(HeadKey(id));
  const FoundValues found(*parts_.database, Options(), Family::kIds, keys);
  std::vector<MemoryHead> heads;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (found.status(i).IsNotFound()) return NoSuchId(ids[i]);
    ENGRAM_RETURN_IF_ERROR(
        FromRocks(found.status(i), absl::StrFormat("reading the head of id %d", ids[i])));
    const auto head = DecodeMemoryHead(found.value(i));
    if (!head.ok()) return Annotate(head.status(), absl::StrFormat("id %d", ids[i]));
    if (!head->live) return NoSuchId(ids[i]);
    if (head->node >= parts_.commit.next_node) return NoSuchNode(ids[i], head->node);
    heads.push_back(*head);
  }
  return heads;
}

absl::StatusOr<std::string> View::ReadPayload(std::uint64_t id) const {
  std::string value;
  ENGRAM_ASSIGN_OR_RETURN(const PayloadRecord record,
                          ReadPayloadOf(*parts_.database, Options(), id, &value));
  return std::string(record.payload);
}

absl::StatusOr<Strength> View::ReadStrength(std::uint64_t id) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto strengths, ReadStrengths({&id, 1}));
  return strengths[0];
}

absl::StatusOr<std::vector<Strength>> View::ReadStrengths(
    absl::Span<const std::uint64_t> ids) const {
  return ReadStrengthsOf(*parts_.database, Options(), ids);
}

absl::StatusOr<std::uint64_t> View::FindIdOfNode(std::uint32_t node) const {
  std::string value;
  const rocksdb::Status status = parts_.database->db().Get(
      Options(), parts_.database->family(Family::kIds), NodeKey(node), &value);
  if (status.IsNotFound()) {
    return absl::DataLossError(absl::StrFormat("the id of node %d is missing", node));
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, absl::StrFormat("reading the id of node %d", node)));
  return DecodeId(value);
}

absl::StatusOr<std::vector<std::string>> View::ReadKeys(std::uint64_t id) const {
  return ReadKeysOf(*parts_.database, Options(), id);
}

absl::StatusOr<std::uint64_t> View::FindKey(std::string_view key) const {
  std::string value;
  const rocksdb::Status status = parts_.database->db().Get(
      Options(), parts_.database->family(Family::kIds), TextKey(key), &value);
  if (status.IsNotFound()) {
    return absl::NotFoundError(absl::StrFormat("there is no memory with key \"%s\"", key));
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, absl::StrFormat("reading key \"%s\"", key)));
  return DecodeId(value);
}

std::optional<RowPlace> View::PlaceOf(std::uint64_t row) const {
  const std::vector<MappedBlock>& blocks = parts_.blocks->blocks();
  RowPlace place;
  if (const MappedBlock* block = parts_.blocks->Find(row); block != nullptr) {
    place.slice = static_cast<std::size_t>(block - blocks.data());
    if (!block->usable().ok()) return place;  // ReadySlice() says why
  } else {
    const auto& chunks = parts_.tail.chunks;
    const auto it = std::upper_bound(
        chunks.begin(), chunks.end(), row,
        [](std::uint64_t wanted, const auto& chunk) { return wanted < chunk->first_row(); });
    if (it == chunks.begin()) return std::nullopt;
    place.slice = blocks.size() + static_cast<std::size_t>(it - chunks.begin()) - 1;
  }
  const auto index = IndexOf(slice(place.slice), row);
  if (!index.has_value()) return std::nullopt;
  place.index = *index;
  return place;
}

std::optional<RowPlace> View::FindRow(std::uint64_t row) const {
  return row == kNoRow || IsDead(row) ? std::nullopt : PlaceOf(row);
}

absl::StatusOr<absl::Span<const float>> View::FindEmbedding(std::uint64_t row, bool verify) const {
  const auto place = PlaceOf(row);
  if (place.has_value()) ENGRAM_RETURN_IF_ERROR(ReadySlice(place->slice, verify));
  if (!place.has_value()) {
    return absl::DataLossError(absl::StrFormat("no block and no tail holds row %d", row));
  }
  return absl::MakeConstSpan(
      slice(place->slice).embeddings + std::size_t{place->index} * parts_.dimension,
      parts_.dimension);
}

absl::StatusOr<std::shared_ptr<const EdgeGraph>> View::Edges(bool verify) const {
  absl::MutexLock lock(&made_mutex_);
  if (edges_ == nullptr) {
    ENGRAM_ASSIGN_OR_RETURN(edges_, parts_.graphs->Get(parts_.edges, parts_.edge_log, verify));
  }
  ENGRAM_RETURN_IF_ERROR(parts_.edges->Check(verify));
  return edges_;
}

absl::StatusOr<EdgeTypeNames> View::ReadEdgeTypes() const {
  return storage::ReadEdgeTypes(*parts_.database, Options());
}

absl::StatusOr<std::shared_ptr<const NodeRows>> View::Rows(bool verify) const {
  if (!verify) return parts_.node_rows->Get(*this, verify);
  absl::MutexLock lock(&made_mutex_);
  if (rows_ == nullptr) {
    ENGRAM_ASSIGN_OR_RETURN(rows_, parts_.node_rows->Get(*this, verify));
  }
  return rows_;
}

std::uint64_t View::MadeHeapBytes() const {
  return parts_.graphs->heap_bytes() + parts_.node_rows->heap_bytes();
}

std::uint64_t View::RocksHeapBytes() const {
  rocksdb::DB& db = parts_.database->db();
  std::uint64_t total = 0, part = 0;
  for (const auto* property : {&rocksdb::DB::Properties::kCurSizeAllMemTables,
                               &rocksdb::DB::Properties::kEstimateTableReadersMem}) {
    if (db.GetAggregatedIntProperty(*property, &part)) total += part;
  }
  // The cache is one for all families: asked once.
  rocksdb::ColumnFamilyHandle* any = parts_.database->family(Family::kIds);
  if (db.GetIntProperty(any, rocksdb::DB::Properties::kBlockCacheUsage, &part)) total += part;
  return total;
}

std::unique_ptr<rocksdb::Iterator> View::NewFamilyIterator(Family family) const {
  return std::unique_ptr<rocksdb::Iterator>(
      parts_.database->db().NewIterator(Options(), parts_.database->family(family)));
}

}  // namespace engram::storage

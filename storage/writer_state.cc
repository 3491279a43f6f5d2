#include "storage/writer_state.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "rocksdb/table_properties.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

using RocksIterator = std::unique_ptr<rocksdb::Iterator>;

absl::Status DamagedKey(Family family) {
  return absl::DataLossError(absl::StrFormat(
      "the family %s is damaged: it holds a key of the wrong length", FamilyName(family)));
}

RocksIterator Scan(const Database& database, Family family) {
  return RocksIterator(database.db().NewIterator(rocksdb::ReadOptions(), database.family(family)));
}

absl::Status LoadCommit(WriterState& state) {
  auto value = state.database->Get(Family::kCatalog, kCommitKey);
  if (absl::IsNotFound(value.status())) {
    return absl::DataLossError("the commit record is missing");
  }
  ENGRAM_RETURN_IF_ERROR(value.status());
  ENGRAM_ASSIGN_OR_RETURN(state.commit, DecodeCommitRecord(*value));
  // A creation is synced, and a recovery puts all it finds into table files.
  state.database->Wrote(state.commit.batch, /*synced=*/true);
  return absl::OkStatus();
}

// Returns: how many entries `family` has at most, those included that hide or delete others.
absl::StatusOr<std::uint64_t> MostEntries(const Database& database, Family family) {
  rocksdb::DB& db = database.db();
  rocksdb::TablePropertiesCollection tables;
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(db.GetPropertiesOfAllTables(database.family(family), &tables),
                absl::StrFormat("reading what the files of %s hold", FamilyName(family))));
  std::uint64_t entries = 0;
  for (const auto& [path, properties] : tables) entries += properties->num_entries;
  for (const std::string* property : {&rocksdb::DB::Properties::kNumEntriesActiveMemTable,
                                      &rocksdb::DB::Properties::kNumEntriesImmMemTables}) {
    std::uint64_t part = 0;
    if (db.GetIntProperty(database.family(family), *property, &part)) entries += part;
  }
  return entries;
}

// Arrays are made for all nodes that were given: there are as many ids of nodes, and no fewer
// entries on the disk. Memories and living rows are no more than nodes, and nothing is as long as
// rows are many.
absl::Status CheckNodesGiven(const WriterState& state) {
  std::uint64_t held = 0;
  const RocksIterator it = Scan(*state.database, Family::kIds);
  it->SeekForPrev(NodeKey(std::numeric_limits<std::uint32_t>::max()));
  if (it->Valid()) {
    if (const auto node = DecodeNodeKey(it->key().ToStringView())) held = std::uint64_t{*node} + 1;
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "reading the largest node"));
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t entries, MostEntries(*state.database, Family::kIds));
  held = std::min(held, entries);
  if (state.commit.next_node <= held) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("the commit record says that %d nodes were given, and the store knows %d",
                      state.commit.next_node, held));
}

absl::Status LoadTombstones(WriterState& state) {
  std::vector<std::uint64_t> rows;
  const RocksIterator it = Scan(*state.database, Family::kTombstones);
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const auto row = DecodeRowKey(it->key().ToStringView());
    if (!row.has_value() || *row >= state.commit.next_row) return DamagedKey(Family::kTombstones);
    rows.push_back(*row);
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "reading the tombstones"));
  state.tombstones = state.tombstones.With(rows);
  state.deaths = rows.size();
  return absl::OkStatus();
}

absl::Status LoadTail(WriterState& state) {
  std::vector<float> embedding(state.meta.dimension);
  const RocksIterator it = Scan(*state.database, Family::kTail);
  const rocksdb::Slice rows_end(&kEventPrefix, 1);  // what lies behind is LoadEdgeEvents()'s
  for (it->SeekToFirst(); it->Valid() && it->key().compare(rows_end) < 0; it->Next()) {
    const auto row = DecodeRowKey(it->key().ToStringView());
    if (!row.has_value() || *row >= state.commit.next_row) return DamagedKey(Family::kTail);
    const auto value = DecodeTailRow(it->value().ToStringView(), state.meta.dimension);
    if (!value.ok()) return Annotate(value.status(), absl::StrFormat("row %d", *row));
    std::memcpy(embedding.data(), value->embedding.data(), value->embedding.size());
    state.tail.Append({.row = *row,
                       .id = value->id,
                       .node = value->node,
                       .norm = value->norm,
                       .embedding = embedding});
  }
  return FromRocks(it->status(), "reading the tail");
}

absl::StatusOr<EdgeCatalog> LoadEdgeCatalog(const Database& database) {
  const auto value = database.Get(Family::kCatalog, kEdgeCatalogKey);
  if (absl::IsNotFound(value.status())) return EdgeCatalog{};
  ENGRAM_RETURN_IF_ERROR(value.status());
  return DecodeEdgeCatalog(*value);
}

absl::Status LoadEdgeEvents(WriterState& state) {
  std::uint64_t next = state.edges->catalog().next_event;
  state.edge_log.Reset(next);
  const RocksIterator it = Scan(*state.database, Family::kTail);
  for (it->Seek(std::string(1, kEventPrefix)); it->Valid(); it->Next()) {
    if (it->key().ToStringView() == kSealedKey) continue;
    const auto number = DecodeEdgeEventKey(it->key().ToStringView());
    if (!number.has_value()) return DamagedKey(Family::kTail);
    if (*number != next) {
      return absl::DataLossError(
          absl::StrFormat("the changes of edges are damaged: number %d comes where %d was expected",
                          *number, next));
    }
    const auto events = DecodeEdgeEvents(it->value().ToStringView(), state.commit.next_node);
    if (!events.ok()) return Annotate(events.status(), absl::StrFormat("number %d", *number));
    for (const EdgeEvent& event : *events) state.edge_log.Append(event);
    next += events->size();
  }
  return FromRocks(it->status(), "reading the changes of edges");
}

absl::Status LoadMaxId(WriterState& state) {
  const RocksIterator it = Scan(*state.database, Family::kIds);
  it->SeekForPrev(HeadKey(std::numeric_limits<std::uint64_t>::max()));
  if (it->Valid()) {
    if (const auto id = DecodeHeadKey(it->key().ToStringView())) state.max_id = *id;
  }
  return FromRocks(it->status(), "reading the largest id");
}

}  // namespace

absl::StatusOr<std::uint64_t> IdAbove(const std::optional<std::uint64_t>& max_id) {
  if (!max_id.has_value()) return 0;
  if (*max_id == std::numeric_limits<std::uint64_t>::max()) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "a new memory gets the id above the largest ever used, which is %d: none is left",
        *max_id));
  }
  return *max_id + 1;
}

absl::StatusOr<std::unique_ptr<WriterState>> LoadWriterState(std::shared_ptr<Database> database,
                                                             const StoreMeta& meta,
                                                             const WriterState* previous) {
  auto state = std::make_unique<WriterState>(std::move(database), meta);
  ENGRAM_RETURN_IF_ERROR(LoadCommit(*state));
  ENGRAM_RETURN_IF_ERROR(CheckNodesGiven(*state));
  ENGRAM_ASSIGN_OR_RETURN(state->catalog, Catalog::Load(*state->database));
  if (state->catalog.end_row() > state->commit.next_row) {
    return absl::DataLossError(
        absl::StrFormat("the catalog names rows up to %d, and only %d were given",
                        state->catalog.end_row(), state->commit.next_row));
  }
  ENGRAM_RETURN_IF_ERROR(LoadTombstones(*state));
  ENGRAM_RETURN_IF_ERROR(LoadTail(*state));
  ENGRAM_RETURN_IF_ERROR(LoadMaxId(*state));
  ENGRAM_ASSIGN_OR_RETURN(
      state->blocks, MappedBlocks::Map(state->database, state->catalog, meta.dimension,
                                       previous == nullptr ? nullptr : previous->blocks.get()));
  ENGRAM_ASSIGN_OR_RETURN(EdgeCatalog edges, LoadEdgeCatalog(*state->database));
  ENGRAM_ASSIGN_OR_RETURN(
      state->edges, MappedEdges::Map(state->database, std::move(edges), state->commit.next_node,
                                     previous == nullptr ? nullptr : previous->edges.get()));
  ENGRAM_RETURN_IF_ERROR(LoadEdgeEvents(*state));
  return state;
}

void Publisher::Publish(const WriterState& state) {
  if (!state.broken.ok()) return;
  auto view = std::make_shared<const View>(View::Parts{.database = state.database,
                                                       .blocks = state.blocks,
                                                       .tail = state.tail.View(),
                                                       .tombstones = state.tombstones,
                                                       .commit = state.commit,
                                                       .dimension = state.meta.dimension,
                                                       .edges = state.edges,
                                                       .edge_log = state.edge_log.View(),
                                                       .graphs = state.graphs,
                                                       .node_rows = state.node_rows});
  {
    absl::MutexLock lock(&mutex_);
    current_.swap(view);
  }
  // The old view dies here, outside the lock: it may be the last pin of many files.
}

std::shared_ptr<const View> Publisher::Current() const {
  absl::MutexLock lock(&mutex_);
  return current_;
}

void Publisher::Clear() {
  std::shared_ptr<const View> last;
  absl::MutexLock lock(&mutex_);
  current_.swap(last);
}

}  // namespace engram::storage

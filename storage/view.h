// A view: one immutable moment of the store, that queries run on.
//
// Only the publisher makes views, inside the writer's turn, so that mapped
// blocks, tail, tombstones and the RocksDB snapshot speak of the same commit.
// A query holds the view by shared_ptr; the last one out lets go of the pins.
#ifndef ENGRAM_STORAGE_VIEW_H_
#define ENGRAM_STORAGE_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "storage/edge_graph.h"
#include "storage/edge_types.h"
#include "storage/format/record_format.h"
#include "storage/mapped_blocks.h"
#include "storage/memory_records.h"
#include "storage/node_rows.h"
#include "storage/row_slice.h"
#include "storage/tail.h"
#include "storage/tombstones.h"

namespace engram::storage {

// A row of a view: index `index` of slice `slice`.
struct RowPlace {
  std::size_t slice = 0;
  std::uint32_t index = 0;
};

// Immutable and thread-safe.
class View {
 public:
  // What a view is made of; `snapshot` becomes the view's.
  struct Parts {
    std::shared_ptr<Database> database;
    std::shared_ptr<const MappedBlocks> blocks;
    TailView tail;
    Tombstones tombstones;
    CommitRecord commit;
    std::uint32_t dimension = 0;
    std::shared_ptr<const MappedEdges> edges;
    EdgeLogView edge_log;
    // Shared by the views of a store, so that each makes little of its own.
    std::shared_ptr<EdgeGraphs> graphs;
    std::shared_ptr<NodeRowsCache> node_rows;
  };
  explicit View(Parts parts);
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  const Database& database() const { return *parts_.database; }
  std::uint32_t dimension() const { return parts_.dimension; }
  std::uint64_t memories() const { return parts_.commit.memories; }
  std::uint64_t live_rows() const { return parts_.commit.live_rows; }
  const CommitRecord& commit() const { return parts_.commit; }

  // The rows, sealed blocks first, in ascending row order each. Precondition
  // for slice(): i < slice_count(). Before rows of a block are believed, call
  // ReadySlice().
  std::size_t slice_count() const;
  RowSlice slice(std::size_t i) const;
  // Returns: where the rows of slice `i` are, whether or not they can be read.
  RowExtent extent(std::size_t i) const;

  // Returns: OK when the rows of slice `i` can be read: it is of the tail, or its
  // block is whole and, with `verify`, its bytes match their checksums.
  // Errors: kDataLoss naming block and column.
  absl::Status ReadySlice(std::size_t i, bool verify) const;

  bool IsDead(std::uint64_t row) const { return parts_.tombstones.Contains(row); }
  const Tombstones& tombstones() const { return parts_.tombstones; }
  const MappedBlocks& blocks() const { return *parts_.blocks; }
  const TailView& tail() const { return parts_.tail; }

  // Returns: the memory's head if it lives, kNotFound naming the id if not.
  absl::StatusOr<MemoryHead> FindHead(std::uint64_t id) const;
  // As FindHead for each, together.
  absl::StatusOr<std::vector<MemoryHead>> FindHeads(absl::Span<const std::uint64_t> ids) const;
  absl::StatusOr<std::string> ReadPayload(std::uint64_t id) const;
  // Returns: the id that has `node`, living or not.
  absl::StatusOr<std::uint64_t> FindIdOfNode(std::uint32_t node) const;
  // Returns: 1 and what reinforcement added, and the last use.
  absl::StatusOr<Strength> ReadStrength(std::uint64_t id) const;
  absl::StatusOr<std::vector<Strength>> ReadStrengths(absl::Span<const std::uint64_t> ids) const;
  absl::StatusOr<std::vector<std::string>> ReadKeys(std::uint64_t id) const;
  absl::StatusOr<std::uint64_t> FindKey(std::string_view key) const;

  // Returns: the embedding of a live row, valid as long as the view. Errors:
  // kDataLoss when no block or tail chunk holds the row, or its block is damaged.
  absl::StatusOr<absl::Span<const float>> FindEmbedding(std::uint64_t row, bool verify) const;

  // Returns: where a row is; nullopt when it is dead or in no slice. Before the row is
  // believed, ReadySlice() of its slice.
  std::optional<RowPlace> FindRow(std::uint64_t row) const;

  // Returns: the edges of this moment; they live as long as what is returned. Made at
  // the first call. Errors: kDataLoss naming block and column.
  absl::StatusOr<std::shared_ptr<const EdgeGraph>> Edges(bool verify) const;
  // Returns: which row each node has. Made at the first call. Errors: as ReadySlice.
  absl::StatusOr<std::shared_ptr<const NodeRows>> Rows(bool verify) const;
  absl::StatusOr<EdgeTypeNames> ReadEdgeTypes() const;
  std::uint64_t edge_changes() const { return parts_.edge_log.end() - parts_.edge_log.first(); }
  const MappedEdges& sealed_edges() const { return *parts_.edges; }

  // Returns: what the graphs and tables of rows hold that views of this store have made.
  std::uint64_t MadeHeapBytes() const;
  // Returns: what RocksDB holds in memory: memtables, open tables, cache.
  std::uint64_t RocksHeapBytes() const;

  // An iterator over `family` at this moment.
  std::unique_ptr<rocksdb::Iterator> NewFamilyIterator(Family family) const;

 private:
  // RocksDB compares the checksums of what it reads, always: it believes what it has not
  // checked, and may end the process over it.
  rocksdb::ReadOptions Options() const;
  // Returns: where a row is, dead or not. Index 0 of a block that cannot be read.
  std::optional<RowPlace> PlaceOf(std::uint64_t row) const;

  Parts parts_;
  const rocksdb::Snapshot* snapshot_ = nullptr;
  mutable absl::Mutex made_mutex_;
  mutable std::shared_ptr<const EdgeGraph> edges_ ABSL_GUARDED_BY(made_mutex_);
  mutable std::shared_ptr<const NodeRows> rows_ ABSL_GUARDED_BY(made_mutex_);
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_VIEW_H_

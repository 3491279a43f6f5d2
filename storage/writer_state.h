// What the store is right now, as the writer knows it, and how a view of it is
// published. Everything here belongs to whoever has the commit queue's turn.
#ifndef ENGRAM_STORAGE_WRITER_STATE_H_
#define ENGRAM_STORAGE_WRITER_STATE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/catalog.h"
#include "storage/database.h"
#include "storage/edge_backlog.h"
#include "storage/format/record_format.h"
#include "storage/tail.h"
#include "storage/tombstones.h"
#include "storage/view.h"

namespace engram::storage {

struct WriterState {
  WriterState(std::shared_ptr<Database> database_in, StoreMeta meta_in)
      : database(std::move(database_in)),
        meta(meta_in),
        tail(meta.dimension, meta.rows_per_block) {}

  std::shared_ptr<Database> database;
  const StoreMeta meta;
  Catalog catalog;
  std::shared_ptr<const MappedBlocks> blocks;
  std::shared_ptr<const MappedEdges> edges;
  EdgeLog edge_log;          // its numbers go on from those in `edges`
  EdgeBacklog edge_backlog;  // of what is in `edge_log`; not of read-only opens
  const std::shared_ptr<EdgeGraphs> graphs = std::make_shared<EdgeGraphs>();
  const std::shared_ptr<NodeRowsCache> node_rows = std::make_shared<NodeRowsCache>();
  Tail tail;
  Tombstones tombstones;
  CommitRecord commit;

  // No id above it has a head, so that a new one needs no look-up.
  std::optional<std::uint64_t> max_id;

  // How many rows have died, those of before the open that are still there included. It only
  // grows, so that whoever looks for dead ones knows what came after the last look.
  std::uint64_t deaths = 0;

  // How many memories were deleted since the open: whoever keeps nodes of living ones
  // looks whether it has moved.
  std::uint64_t deletions = 0;

  // Set when a write may or may not be in the log: what is in memory then no
  // longer tells what a restart would find, so there are no writes until then.
  absl::Status broken;

  bool MayHaveHead(std::uint64_t id) const { return max_id.has_value() && id <= *max_id; }
  void SawId(std::uint64_t id) {
    if (!MayHaveHead(id)) max_id = id;
  }
};

// Returns: the id that a new memory gets: that above `max_id`. Errors: kResourceExhausted.
absl::StatusOr<std::uint64_t> IdAbove(const std::optional<std::uint64_t>& max_id);

// Reads everything but the payloads: catalog, tombstones, tail, edges, counters. What
// `previous` has checked stays checked; null: nothing has. Errors: kDataLoss naming what is
// damaged.
absl::StatusOr<std::unique_ptr<WriterState>> LoadWriterState(std::shared_ptr<Database> database,
                                                             const StoreMeta& meta,
                                                             const WriterState* previous);

// Hands views to readers. Publish() is the writer's, Current() anybody's.
class Publisher {
 public:
  // Makes a view of `state` as it is now. The caller has the turn, so that no
  // commit can come between the parts. Where the state is broken the view of before stays: RocksDB
  // may show a batch by now of which the state knows nothing.
  void Publish(const WriterState& state);

  std::shared_ptr<const View> Current() const;
  void Clear();

 private:
  mutable absl::Mutex mutex_;  // held to copy a pointer, no longer
  std::shared_ptr<const View> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_WRITER_STATE_H_

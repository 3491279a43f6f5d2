// Sealing, compaction and merging, the ways rows get from one place to another while
// everything goes on; and bulk writing, by which they get there at once.
//
// The three work alike: write new files of blocks; ingest them, durable but named by
// nobody; then one synced batch in which the catalog switches to them and what
// they replace goes. Before that batch the new blocks are orphans, after it the
// old ones are, and there is no moment in between. Orphans of the second kind are
// dropped when no reader is just opening the store, who may go by the catalog of before; after a
// step that failed, at once: such a reader has to look again.
#ifndef ENGRAM_STORAGE_MAINTENANCE_H_
#define ENGRAM_STORAGE_MAINTENANCE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/base/fair_mutex.h"
#include "storage/block_file_writer.h"
#include "storage/commit_queue.h"
#include "storage/edge_file_writer.h"
#include "storage/store_file_system.h"
#include "storage/store_files.h"
#include "storage/writer_state.h"

namespace engram::storage {

// Thread-safe; one step at a time, in the order they are asked for.
class Maintenance {
 public:
  Maintenance(WriterState& state, CommitQueue& queue, Publisher& publisher)
      : state_(state), queue_(queue), publisher_(publisher) {}

  // Seals the full chunks of the tail, and the last one too when it has at least `least_open`
  // bytes of embeddings.
  absl::Status Seal(std::uint64_t least_open) ABSL_LOCKS_EXCLUDED(mutex_);

  // Rewrites the files of which at least `min_dead_fraction`, and one row, is dead; with 0 those
  // without codes, too. Others get their turn between files, and nothing is locked while
  // `progress` runs. Damaged files stay as they are; the first is in the error when the others
  // are done.
  absl::Status CompactFiles(double min_dead_fraction, const ProgressFunction& progress)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Merges small neighbours, as merge_runs.h says, until nothing is worth it. Locks and damaged
  // files as with CompactFiles.
  absl::Status MergeFiles() ABSL_LOCKS_EXCLUDED(mutex_);

  // As record_compaction.h says. Nothing is locked.
  absl::Status CompactRecords();

  // Writes `memories` as files that pass by the log and the tail, as one commit that
  // is power-safe; nobody else writes meanwhile. Returns: false, and nothing is
  // changed, when not AllFresh(). On an error nothing is changed either, or the
  // state is broken.
  absl::StatusOr<bool> WriteInBulk(absl::Span<const ImportedMemory> memories, std::int64_t now)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Folds the changes of edges into the sealed ones: all there are, or nothing while they are not
  // worth it (EdgeBacklog::IsDue).
  absl::Status SealEdges(bool only_if_due) ABSL_LOCKS_EXCLUDED(mutex_);

  // Copies the database as it is at one moment into a new `directory`. No seal, compaction or
  // bulk write while the files are noted: RocksDB lists the table files first and ends
  // the log later, and a switch in between would name files that are not copied. They may go
  // on while what was noted is copied: none of it is changed or deleted meanwhile.
  absl::Status Backup(const std::string& directory, const ProgressFunction& progress)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Drops files of blocks and edges that the catalog does not name. Called at open.
  absl::Status DropOrphans() ABSL_LOCKS_EXCLUDED(mutex_);

  // Drops what was replaced and had to stay for a reader. Returns: whether some still has to.
  absl::StatusOr<bool> DropDeferred() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // What a switch of the catalog takes away and puts in its place.
  struct Switch {
    std::vector<FileEntry> removed;
    std::vector<BlockFile> added;
    std::size_t sealed_chunks = 0;
    std::uint64_t sealed_first = 0, sealed_end = 0;  // rows of those chunks
    std::vector<std::uint64_t> dropped;              // dead rows that are nowhere any more
  };

  std::shared_ptr<const Rotation> RotationFor(const RotationSample& sample)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the live rows of `entries`, which are neighbours, anew, under a generation above
  // all of theirs: no file of one generation then interleaves with another. Precondition:
  // CheckFile() has just found each of them whole.
  absl::Status Rewrite(const std::vector<FileEntry>& entries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Carry(Switch change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Reads back what was written, before anything goes by it: what it replaces is still there. No
  // search has to, then.
  static absl::Status CheckAdded(const Switch& change, const MappedBlocks& blocks);
  // Takes files into `family`; nothing is done where there are none.
  absl::Status Ingest(Family family, const std::vector<std::string>& paths);
  // Adds to `batch` that the keys of the tail from `begin` up to `end` go.
  rocksdb::Status DeleteFromTail(const std::string& begin, const std::string& end,
                                 rocksdb::WriteBatch& batch) const;
  absl::Status CommitSwitch(const Switch& change, Catalog catalog,
                            std::shared_ptr<const MappedBlocks> blocks);
  absl::Status IngestInBulk(absl::Span<const Change> changes, std::int64_t now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of these three `family` is that of blocks or of edges.
  // Drops the files that the catalog does not name. Returns: whether there were any.
  absl::StatusOr<bool> DropOrphansOf(Family family);
  // What was to be carried over failed with `status`: its files, of which `paths` were to be taken
  // in, go again. Returns: `status`, and what failed besides.
  absl::Status Abandon(const absl::Status& status, Family family,
                       const std::vector<std::string>& paths);
  // Drops the files that the catalog does not name since a switch, or leaves that to
  // DropDeferred(). Returns: whether they are gone.
  absl::StatusOr<bool> DropReplaced(Family family) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Maps again what is mapped, and publishes that: the pins of before also keep the files that were
  // dropped since.
  absl::Status Repin(Family family) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RepinBlocks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RepinEdges() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // maintenance_files.cc
  using FileName = std::pair<std::uint64_t, std::uint32_t>;  // first row and generation
  absl::StatusOr<std::vector<FileEntry>> NextRun(const std::set<FileName>& damaged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckFile(const FileEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // maintenance_edges.cc
  absl::Status CarryEdges(EdgeFile file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CommitEdges(const EdgeCatalog& catalog, std::shared_ptr<const MappedEdges> edges);

  WriterState& state_;
  CommitQueue& queue_;
  Publisher& publisher_;
  // Catalog and blocks of the state change only under it, and with the turn.
  FairMutex mutex_;
  RotationChooser rotations_ ABSL_GUARDED_BY(mutex_);
  // Of which families replaced files wait to be dropped, and since when.
  std::map<Family, StoreFileSystem::Clock::time_point> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_MAINTENANCE_H_

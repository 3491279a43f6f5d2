// Engram: the store. Start here.
//
// A store is one directory: memories of one embedding space, with one
// dimension and one metric. A memory is an id, an embedding (or none), a
// payload of bytes, any number of text keys, a strength that fades, and edges to
// other memories, along which Recall() finds what belongs to a cue.
//
//   engram::StoreOptions options;
//   options.dimension = 384;
//   options.create_if_missing = true;
//   auto store = engram::Store::Open(options, "memories.engram");
//   (*store)->Put({}, 42, embedding, "the cat sat");
//   auto found = (*store)->Search({}, query);
//
// Thread safety: one Store may be used from any number of threads at once.
// Reads never wait for a write to reach the disk; writes are put in one order
// inside, and writers that wait at the same time share one sync. Close() waits
// for the calls in flight; calls after it answer kFailedPrecondition.
//
// Floating point: calls compute rounded to the nearest, with denormals, whatever mode the calling
// thread is in, which it has again when they return.
//
// Processes: one writer, and any number of read-only opens beside it. A Store belongs to the
// process that opened it: a child made by fork() may neither use nor destroy it, and leaves by
// exec or _exit.
//
// Errors: every function reports by absl::Status, which names what was wrong,
// what was found and what was expected. No function prints, throws (short of
// memory exhaustion) or aborts. The codes mean, everywhere:
//   kInvalidArgument     an argument or option that no store accepts, or that
//                        does not fit this store's dimension or metric
//   kNotFound            no such id, key or store
//   kAlreadyExists       error_if_exists, error_if_present
//   kFailedPrecondition  not a store, a newer format, opened read-only, closed,
//                        or held by a Snapshot or Iterator
//   kUnavailable         another writer holds the store
//   kPermissionDenied    the file system refuses
//   kResourceExhausted   the disk is full, the format's numbers are used up, or no thread can
//                        be had at open
//   kDataLoss            the bytes on disk are not what was written
//   kCancelled           a ProgressCallback said so
//   kInternal            anything else the system below reports
// A call that fails changes nothing, unless its comment says otherwise. Where writing or syncing
// the log is what fails (a full disk, a broken one), nobody can tell what became of the batch. No
// read sees it; when the store is next opened it is there whole, or not at all. Until then reads go
// on, and every call that writes is refused with that error.
#ifndef ENGRAM_STORE_H_
#define ENGRAM_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engram/options.h"
#include "engram/types.h"
#include "engram/write_batch.h"

namespace engram {

// Keeps one state of a store readable, by ReadOptions::snapshot. While one is
// held, the bytes it needs stay on disk and mapped, and Close() is refused. It
// may outlive the Store: the files close when the last of both is gone.
// Thread-safe, immutable.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 protected:
  Snapshot() = default;
};

// Walks the memories of one state in ascending id, starting at the first.
// Belongs to one thread at a time. Close() is refused while one is held.
//
//   for (auto it = store->NewIterator({}); it->Valid(); it->Next()) ...
//   and then it->status(), which tells the end from an error.
class Iterator {
 public:
  virtual ~Iterator() = default;
  Iterator(const Iterator&) = delete;
  Iterator& operator=(const Iterator&) = delete;

  // Returns: whether there is a memory here; false at the end and on error.
  virtual bool Valid() const = 0;

  // Precondition, for these: Valid(). What they return lives until Next(), Seek() or the end
  // of the iterator. vector() points into the mapped block where the memory is
  // sealed; it is empty for a memory without an embedding.
  virtual void Next() = 0;
  virtual MemoryId id() const = 0;
  virtual absl::Span<const float> vector() const = 0;
  virtual std::string_view payload() const = 0;
  virtual absl::Span<const std::string> keys() const = 0;  // in byte order

  // Moves to the first memory with an id of at least `id`.
  virtual void Seek(MemoryId id) = 0;

  // Returns: OK, or why Valid() is false.
  virtual absl::Status status() const = 0;

 protected:
  Iterator() = default;
};

// Numbers about a store. Cheap: nothing is read from the disk but file sizes.
struct StoreStats {
  std::uint64_t memories = 0;      // ids that exist
  std::uint64_t rows = 0;          // live rows: memories with an embedding
  std::uint64_t tail_rows = 0;     // rows not sealed yet, dead ones included
  std::uint64_t dead_rows = 0;     // rows that Compact() would drop
  std::uint64_t blocks = 0;        // sealed blocks
  std::uint64_t coded_rows = 0;    // rows in blocks with codes, which searches read first:
                                   // Compact() gives them to the files of older versions
  std::uint64_t edge_changes = 0;  // changes of edges that are not sealed yet
  std::uint64_t sealed_edges = 0;  // edges in sealed columns, those changed since included
  std::uint32_t dimension = 0;
  Metric metric = Metric::kCosine;
  std::uint64_t bytes_on_disk = 0;  // every file of the directory
  std::uint64_t bytes_mapped = 0;   // block columns that searches read where they lie
  std::uint64_t bytes_codes = 0;    // of these, codes, fine codes and rotations
  // Tail, tombstones, changes of edges and the lists made of them, rows by memory, the arrays of
  // spreadings, and what RocksDB reports of its own.
  std::uint64_t bytes_heap = 0;
  std::uint64_t wal_bytes = 0;  // log of writes not yet in table files
  std::string kernel;           // "zig-v3", "cpp-v4", "cpp-baseline", ...
  std::uint32_t format = 0;     // on-disk format version
  std::string backend;          // RocksDB version, "7.8.3"

  // What keeps the store from sealing, compacting or merging files, as "<code>: <what>"; empty
  // while it can. Reads and writes go on, until the tail, or the changes of edges, are as many as
  // may wait and cannot be sealed: then writes are refused with the same error. Space, files and
  // descriptors may not come back.
  std::string background_error;
};

// What Verify() found. A store is sound when `findings` is empty.
struct VerifyReport {
  std::uint64_t blocks = 0;           // checked
  std::uint64_t bytes = 0;            // of block columns read
  std::uint64_t memories = 0;         // checked
  std::uint64_t edges = 0;            // checked
  std::uint64_t dangling_edges = 0;   // from or to a memory that does not exist
  std::uint64_t corrupt_blocks = 0;   // with at least one damaged column
  std::vector<std::string> findings;  // one sentence each, naming block and column or id; at
                                      // most 1,000, the last then says how many more
};

// What Repair() found.
struct RepairReport {
  std::uint64_t memories = 0;         // in the new store
  std::uint64_t edges = 0;            // in the new store
  std::uint64_t keys = 0;             // in the new store
  std::uint64_t lost_memories = 0;    // known of, and nothing of them is left
  std::uint64_t lost_embeddings = 0;  // of memories in the new store
  std::uint64_t lost_payloads = 0;    // of memories in the new store
  std::uint64_t losses = 0;           // what is lost or damaged, memories and parts of them alike
  std::vector<std::string> findings;  // one sentence each, naming id, or block, column and file;
                                      // at most 1,000, the last then says how many more
};

// What Import() reads, one memory at a time.
struct ImportRow {
  // Without an id: the one memory that some of `keys` name, of those that were imported before
  // too; where none does, a new one, whose id is the largest ever used plus one. With an
  // id, keys that named other memories move to this one.
  std::optional<MemoryId> id;
  absl::Span<const float> vector;  // empty: no embedding
  std::string_view payload;
  absl::Span<const std::string> keys;
};

// Fills *row and returns true, or returns false at the end, or an error that
// ends the import. What the spans point to must live until the next call.
using ImportSource = absl::FunctionRef<absl::StatusOr<bool>(ImportRow* row)>;

struct ImportReport {
  std::uint64_t memories = 0;  // imported
};

// Fills *edge and returns true, or returns false at the end, or an error that ends the
// call.
using EdgeSource = absl::FunctionRef<absl::StatusOr<bool>(Edge* edge)>;

struct LinkReport {
  std::uint64_t edges = 0;    // put
  std::uint64_t created = 0;  // memories, by create_missing
};

struct ForgetReport {
  std::uint64_t memories = 0;   // that were looked at
  std::uint64_t forgotten = 0;  // that were deleted, or would have been
};

class Store {
 public:
  // Opens, or creates, the store in directory `path`. Takes some ten milliseconds
  // and grows with the number of files, with what is in the log, which is read, and with
  // the rows and changes of edges that are not sealed; no sealed row is read. A creation
  // survives power loss, with the directories it made, when the call returns; one that
  // ended early is no store, and is begun again.
  //
  // Errors: kNotFound without a store there and without create_if_missing;
  // kFailedPrecondition when the directory holds something else or a newer
  // format; kInvalidArgument for a dimension or metric that is not the
  // store's (both are named); kUnavailable when a writer has it; kDataLoss.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options,
                                                     const std::string& path);

  // Removes the store in `path` and nothing else: the directory goes only if
  // nothing is left in it. What a creation leaves that ended early is removed as
  // well. kFailedPrecondition when it is not a store;
  // kUnavailable when it is open; OK when there is nothing.
  static absl::Status Destroy(const std::string& path);

  // Makes a new store in `into`, which must not exist, of what is sound in the damaged one;
  // neither may `into`.repair, where it is made: it appears whole, or not at all. Both have the
  // permissions of `damaged`. Nothing in `damaged` is changed, which no writer may have open.
  //
  // Kept are embeddings, payloads, keys, edges of which both ends are kept, names of edge types,
  // strengths and last uses, bit for bit. A memory of which either embedding or payload is lost
  // is kept with the other, and with its keys and edges. Codes, norms and rotations are made
  // anew. No id is given the embedding of a row that says it is another's. A table file that is
  // missing, damaged or not named any more costs what only it held.
  // Where the log has a gap, what comes after it is lost.
  //
  // Errors: kNotFound without a directory there; kFailedPrecondition when it holds no store, or
  // one of a newer format; kAlreadyExists; kDataLoss when nothing tells what the store is
  // (see RepairOptions::dimension); kInvalidArgument when `into` lies in `damaged`, or for a
  // dimension or metric that is not the store's; kUnavailable when a writer has it, which is
  // looked at once, at the beginning; kCancelled.
  static absl::StatusOr<RepairReport> Repair(const RepairOptions& options,
                                             const std::string& damaged, const std::string& into);

  // Closes. Nothing that was promised is lost; errors of closing are: call
  // Close() to see them.
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // --- Writing. Visible to every later read as soon as the call returns. Writers wait while
  // rows (StoreOptions::seal_bytes) or changes of edges come faster than they are sealed. ---

  // Stores or replaces one memory: see WriteBatch::Put. `vector` is as long as
  // the store's dimension, or empty. kInvalidArgument: wrong length, NaN or
  // infinity, under kCosine a zero vector, a norm that is no normal f32, or a
  // payload above kMaxPayloadBytes; the message names the id.
  virtual absl::Status Put(const WriteOptions& options, MemoryId id, absl::Span<const float> vector,
                           std::string_view payload = {}) = 0;

  // Removes one memory with its keys and edges. kNotFound when it does not exist.
  virtual absl::Status Delete(const WriteOptions& options, MemoryId id) = 0;

  // Applies the batch, all of it or, on any error, none. An empty batch is OK.
  virtual absl::Status Write(const WriteOptions& options, const WriteBatch& batch) = 0;

  // Reads `source` to its end and stores what it gives, as Put and SetKey
  // would, in chunks. Each chunk is atomic; on an error the chunks before it stay, which
  // are the memories that ImportOptions::progress was told of last. Memories whose ids and keys
  // are all new are written as blocks at once, in chunks of some tens of megabytes and
  // 65,536 memories (or one block) at most, not through log and tail: a chunk is then power-safe
  // whatever the durability asked for, and other writes wait while it is written. Others
  // are written in chunks of some 4 MB.
  //
  // Other writes may come between. A memory without an id never takes the place of one that
  // somebody else put. kInvalidArgument when its keys name different memories: the message
  // tells which memory of the import it is, counted from 0, the keys and what they name.
  virtual absl::StatusOr<ImportReport> Import(const ImportOptions& options,
                                              ImportSource source) = 0;

  // Reads `source` to its end and puts what it gives, as PutEdge would, in chunks of
  // some hundred thousand edges. Each chunk is atomic; on an error the chunks before it
  // stay. An error names the edge, counted from 0.
  virtual absl::StatusOr<LinkReport> Link(const LinkOptions& options, EdgeSource source) = 0;

  // The number of the edge type `name`, 1 to kMaxEdgeTypeBytes bytes: the one it has, or
  // else the next that is free, which it has from now on. "link" is 0. Callers who number
  // their types themselves need no names; a store should be used in one way or the other.
  virtual absl::StatusOr<std::uint32_t> EdgeType(const WriteOptions& options,
                                                 std::string_view name) = 0;

  // Deletes every memory whose strength is below the bound, as it is when the call begins;
  // what is put or reinforced meanwhile may or may not be seen. In batches: on an error, or
  // when cancelled, those before it stay deleted. Disk space returns with the next Compact().
  virtual absl::StatusOr<ForgetReport> Forget(const ForgetOptions& options) = 0;

  // Makes everything acknowledged so far survive power loss. OK and without effect on a read-only
  // open, which acknowledges nothing.
  virtual absl::Status Flush() = 0;

  // --- Reading. ---

  // kNotFound names the id. The vector is bit for bit what was put.
  virtual absl::StatusOr<Record> Get(const ReadOptions& options, MemoryId id) const = 0;

  // All from one state, in the order of `ids`, which may repeat. kNotFound
  // names the first id that does not exist.
  virtual absl::StatusOr<std::vector<Record>> MultiGet(const ReadOptions& options,
                                                       absl::Span<const MemoryId> ids) const = 0;

  // The memory that `key` names. kNotFound names the key.
  virtual absl::StatusOr<MemoryId> IdForKey(const ReadOptions& options,
                                            std::string_view key) const = 0;

  // The `options.k` best memories for `query`, which is as long as the
  // dimension, finite and, under kCosine, not zero. An empty store gives no
  // hits. Memories without an embedding are never hits. kDataLoss names block and column; where
  // that is of codes alone, SearchOptions::plain does without them, and Compact() mends them.
  virtual absl::StatusOr<SearchResults> Search(const SearchOptions& options,
                                               absl::Span<const float> query) const = 0;

  // As Search for each row of `queries`, all from one state and with equal
  // bits, sharing the passes over the blocks. An error names the query's row.
  virtual absl::StatusOr<std::vector<SearchResults>> SearchBatch(const SearchOptions& options,
                                                                 MatrixView queries) const = 0;

  // As Search; calls `visit` for each hit, best first, until it returns false.
  virtual absl::StatusOr<SearchInfo> SearchEach(
      const SearchOptions& options, absl::Span<const float> query,
      absl::FunctionRef<bool(const Hit&)> visit) const = 0;

  // The edges of one memory, by type and then by the id at the other end. kNotFound names
  // the id.
  virtual absl::StatusOr<std::vector<Edge>> Neighbors(const ReadOptions& options, MemoryId id,
                                                      Direction direction) const = 0;

  // The edge types that have names, by number.
  virtual absl::StatusOr<std::vector<std::pair<std::uint32_t, std::string>>> EdgeTypes(
      const ReadOptions& options) const = 0;

  // Lets activation spread from `seeds`, which may repeat (they add up); every memory it reaches
  // is in the answer, seeds too. No seeds, or seeds without activation, give an empty answer.
  // kNotFound names a seed that does not exist; kInvalidArgument an activation or option.
  virtual absl::StatusOr<SpreadResults> Spread(const SpreadOptions& options,
                                               absl::Span<const Seed> seeds) const = 0;

  // What belongs to the cue: see RecallOptions. `cue` is as long as the dimension, finite and,
  // under kCosine, not zero; or empty, and then the named memories alone are seeds. Neither
  // a cue nor names give an empty answer. kNotFound names a named memory that does not exist.
  virtual absl::StatusOr<RecallResults> Recall(const RecallOptions& options,
                                               absl::Span<const float> cue) const = 0;

  // The keys of this store that occur in `text`, in the order of the text: whole words, in any
  // case, a possessive 's ignored; the longest first where they overlap. Text and keys are taken
  // for UTF-8; keys of more than 16 words, or 512 bytes of normal form, are not found. Pass the ids
  // to RecallOptions::named.
  virtual absl::StatusOr<std::vector<NamedInText>> FindNamed(const ReadOptions& options,
                                                             std::string_view text) const = 0;

  // Returns: an iterator, never null; where it cannot start, status() says why.
  virtual std::unique_ptr<Iterator> NewIterator(const ReadOptions& options) const = 0;

  // The state as it is now. Null only after Close().
  virtual std::shared_ptr<const Snapshot> GetSnapshot() const = 0;

  // --- Housekeeping. Reads and writes go on meanwhile. ---

  // Seals every row that is in the tail now, whatever seal_bytes says, and the changes of edges.
  // Where many small files lie side by side they are merged; an error of that is in
  // StoreStats::background_error. Answers do not change.
  virtual absl::Status Seal() = 0;

  // Seals the tail, rewrites the files that hold dead rows, or whose codes are damaged or missing
  // (see CompactOptions; for that it reads every block), and merges small files where many lie side
  // by side; with min_dead_fraction 0 it also writes payloads, ids and keys anew where some were
  // replaced or deleted, and ends the log. The space they took comes back when the last Snapshot,
  // Iterator and search of the old state end. Answers do not change. Seals and imports wait for one
  // file at most; the callback may itself use the store, but not close it. kDataLoss: a damaged
  // file is left as it is, and all others are done.
  virtual absl::Status Compact(const CompactOptions& options) = 0;

  // Writes a store with the same memories into `directory`, which must not
  // exist, and neither must `directory`.tmp, where it is made: it appears whole, or not at all,
  // and is opened before it does. Table files are shared by hard link where the file system allows,
  // else copied: what is shared lies on the disk once, so a backup that is to survive that disk is
  // copied to another. What is damaged is carried over as it is: Verify() the store, or the backup,
  // before older ones go. The directory gets the permissions of the store's. When the call returns
  // it survives power loss, as far as the directory it lies in did; it may be there, whole, when
  // syncing that directory is what failed.
  // Seals, compactions and imports wait while it is noted which files there are, and not while they
  // are copied; what these replace meanwhile keeps its space until the end. Progress counts
  // files. Not for read-only opens.
  virtual absl::Status Backup(const BackupOptions& options, const std::string& directory) = 0;

  // Checks the store against itself, reading every table file again (VerifyOptions). What the
  // kernel still has in memory it does not read from the disk. Damage is in the report, not the
  // status, which speaks only of what kept the check from being made.
  virtual absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) const = 0;

  // Read-only opens: moves on to what the writer has committed since. Searches
  // in flight and snapshots keep their state. OK and without effect on a writer. The state
  // stays what it was on every error. kUnavailable: the writer replaces files faster than they can
  // be opened; kFailedPrecondition: another directory is at the path, or another store in it.
  virtual absl::Status Refresh() = 0;

  // After Close() all of it is 0 or empty.
  virtual StoreStats Stats() const = 0;

  // Waits for calls in flight, makes everything power-safe and closes.
  // kFailedPrecondition, naming how many, while a Snapshot or Iterator is
  // held: the store stays open, and no other call notices. OK when it is closed already; of
  // several at once, all return when it is. With every other error it is closed;
  // StoreStats::background_error is one of them, and costs no memory.
  virtual absl::Status Close() = 0;

 protected:
  Store() = default;
};

}  // namespace engram

#endif  // ENGRAM_STORE_H_

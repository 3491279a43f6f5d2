// Turns a group of requests into one RocksDB batch: gives nodes and rows, kills
// the rows that are replaced, and commits all of it or, request by request, none.
#ifndef ENGRAM_STORAGE_COMMITTER_H_
#define ENGRAM_STORAGE_COMMITTER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "rocksdb/write_batch.h"
#include "storage/commit_queue.h"
#include "storage/writer_state.h"

namespace engram::storage {

// Returns: what a state is broken with after `status`.
absl::Status Broken(const absl::Status& status);

// Adds `commit` with the next batch number to `batch`, writes it as `durability`
// asks and, only when that is done, makes it the state's commit record. On an error
// `state` may become broken; nothing else of it changes.
absl::Status WriteCommit(WriterState& state, Durability durability, CommitRecord commit,
                         rocksdb::WriteBatch& batch);

// One group, used once, by whoever has the turn.
class Committer {
 public:
  explicit Committer(WriterState& state)
      : state_(state), next_(state.commit), max_id_(state.max_id) {}

  // Sets the result of every request. The state is changed, and not published.
  void Commit(absl::Span<CommitRequest* const> group);

 private:
  struct UndoHead {
    std::uint64_t id;
    std::optional<std::optional<MemoryHead>> before;  // nullopt: was not in heads_
  };
  struct UndoKey {
    std::string key;
    std::optional<std::optional<std::uint64_t>> before;
  };

  absl::Status AddRequest(CommitRequest& request);
  absl::Status AddChange(const Change& change, CommitRequest& request);
  absl::Status AddPut(const Change& change, const WriteRules& rules);
  absl::Status AddDelete(const Change& change);
  absl::Status AddSetKey(const Change& change);
  absl::Status RemoveKeys(std::uint64_t id);
  absl::Status AddForget(const Change& change, CommitRequest& request);
  absl::Status AddReinforcement(const Change& change, const WriteRules& rules);

  // committer_imports.cc
  absl::Status AddAllImported(const CommitRequest& request);
  absl::Status AddImported(const ImportedMemory& memory, const WriteRules& rules);
  // The one memory that some of `keys` name; nullopt: none does.
  absl::StatusOr<std::optional<std::uint64_t>> FindNamed(absl::Span<const std::string> keys);

  // committer_edges.cc
  absl::Status AddEdge(const EdgePut& edge, CommitRequest& request);
  absl::Status AddEdgeDeletion(const Change& change);
  // Reads the heads of the ends of many edges in one walk, for NodeOfEnd().
  absl::Status LearnNodes(CommitRequest& request);
  NodesOfLiving* KnownFor(CommitRequest& request);
  // The node of an end of an edge; makes the memory if the rules say so.
  absl::StatusOr<std::uint32_t> NodeOfEnd(std::uint64_t id, const EdgePut& edge,
                                          CommitRequest& request);
  absl::StatusOr<std::uint32_t> NodeOfMissing(std::uint64_t id, const EdgePut& edge,
                                              CommitRequest& request);
  // Whether a living memory may have edges, with those that this group has put.
  bool MayHaveEdges(std::uint32_t node);
  void WriteEvents();

  // What a request that fails is rolled back to.
  struct Mark {
    CommitRecord next;
    std::size_t rows, dead, events;
    std::uint64_t deletions;
    std::optional<std::uint64_t> max_id;
  };
  Mark MarkHere() const {
    return {next_, rows_.size(), dead_.size(), events_.size(), deletions_, max_id_};
  }
  void RollBack(const Mark& mark);
  absl::Status Write(Durability durability);

  // The head as this group has left it; nullopt: the id has none.
  absl::StatusOr<std::optional<MemoryHead>> FindHead(std::uint64_t id);
  absl::StatusOr<std::optional<std::uint64_t>> FindKeyOwner(const std::string& key);
  void SetHead(std::uint64_t id, const MemoryHead& head);
  void SetKeyOwner(const std::string& key, std::optional<std::uint64_t> owner);
  void Put(Family family, std::string_view key, std::string_view value);
  void Erase(Family family, std::string_view key);

  WriterState& state_;
  CommitRecord next_;
  rocksdb::WriteBatch batch_;
  absl::flat_hash_map<std::uint64_t, std::optional<MemoryHead>> heads_;
  // What this group reinforced, refused requests included: not in the database yet.
  std::set<std::uint64_t> reinforced_;
  absl::flat_hash_map<std::string, std::optional<std::uint64_t>> key_owners_;
  // Keys that this group has given to an id; their owners may have changed since.
  absl::flat_hash_map<std::uint64_t, std::vector<std::string>> given_keys_;
  std::optional<std::uint64_t> max_id_;  // as WriterState::max_id, with what the group adds
  std::vector<NewRow> rows_;
  std::vector<std::uint64_t> dead_;
  std::vector<EdgeEvent> events_;
  // Nodes of the first `looked_at_` events, and maybe of some of a request that was refused.
  absl::flat_hash_set<std::uint32_t> event_nodes_;
  std::size_t looked_at_ = 0;
  std::uint64_t deletions_ = 0;
  NodesOfLiving known_;
  std::vector<UndoHead> undo_heads_;
  std::vector<UndoKey> undo_keys_;
  std::vector<std::pair<std::uint64_t, std::vector<std::string>>> undo_given_keys_;
  std::string scratch_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_COMMITTER_H_

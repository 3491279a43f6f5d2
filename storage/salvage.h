// What is sound of a damaged store, memory by memory.
//
// Which row is whose is what heads say; where a head is lost, the newest row that says so itself
// and has no tombstone. Rows are found by their blocks' checksums, wherever they lie. The row of a
// number never changes, but what was written and never acknowledged may be gone after power loss:
// its number comes again, and its file may still be there. So a row of a file that the store does
// not name comes last, and is nobody's but its own id's.
#ifndef ENGRAM_STORAGE_SALVAGE_H_
#define ENGRAM_STORAGE_SALVAGE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/format/edge_format.h"
#include "storage/salvage_files.h"
#include "storage/salvaged_columns.h"
#include "storage/store_files.h"

namespace engram::storage {

struct SalvagedMemory {
  absl::Span<const float> vector;  // lives as long as the salvage
  std::string payload, strength;   // records as they lie on disk; empty: none, or lost
  std::vector<std::string> keys;
  bool embedding_lost = false, payload_lost = false;
  bool lost = false;  // nothing of it is left
};

// Belongs to one thread.
class Salvage {
 public:
  // `scratch` is a directory for copies. Errors: as SalvageFiles::Open; kDataLoss when what the
  // store is cannot be read and was not `told`, kInvalidArgument when something else was.
  static absl::StatusOr<std::unique_ptr<Salvage>> Open(const std::string& damaged,
                                                       const std::string& scratch,
                                                       const StoreMeta& told);

  const StoreMeta& meta() const { return meta_; }
  // Every memory there was, as far as anything tells, ascending.
  const std::vector<std::uint64_t>& ids() const { return ids_; }
  SalvagedMemory Read(std::uint64_t id);

  // As Read() found it, or empty.
  std::string Record(std::uint64_t id, RecordKind kind) const;

  // The edges of which both ends are in `kept`, which is sorted.
  std::vector<EdgePut> Edges(const std::vector<std::uint64_t>& kept);
  // Keys and values of the catalog that give names to types.
  const std::vector<std::pair<std::string, std::string>>& edge_types() const { return types_; }

  // Says of anything else that it is lost.
  Losses& losses() { return losses_; }

 private:
  struct Row {
    const float* embedding = nullptr;
    std::uint64_t id = 0;
    std::uint32_t file = 0;
    bool has_id = false;
    bool named = true;  // the store says that it is in this file, or it is of the tail
  };
  struct Change {  // of an edge
    std::uint64_t number = 0;
    float weight = 0.0f;
    bool exists = false;
  };
  struct EdgeChanges {
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, Change> edges;
    absl::flat_hash_map<std::uint32_t, std::uint64_t> forgotten;
  };

  Salvage() = default;
  absl::Status ReadMeta(const StoreMeta& told);
  absl::Status TakeTold(const std::string& why, const StoreMeta& told);
  void ReadCatalog();
  bool IsNamed(const SalvagedBlock& block) const;
  void ReadBlocks();
  void ReadBlock(const SalvagedBlock& block, bool named);
  void AddRow(std::uint64_t number, const Row& row);
  void ReadTail();
  void ReadIds();
  void ReadKeys();
  void ListIds();
  void ReadEdgeBlocks();
  void ReadEdgeBlock(const EdgeBlock& block, std::uint32_t generation);
  bool ReadEdgeColumns(const EdgeBlock& block, const SalvagedBlock& lies);
  void ReadEvents(std::string_view key, std::string_view value);
  void Walk(Family family, std::string_view prefix,
            absl::FunctionRef<void(std::string_view key, std::string_view value)> visit);
  std::string ReadRecord(std::uint64_t id, RecordKind kind, std::string_view what);
  // Returns: the row of that number that is or, unless it must say so, may be the id's; or null.
  const Row* FindRow(std::uint64_t number, std::uint64_t id, bool must_say) const;
  std::string WhyNoRow(std::uint64_t number) const;

  Losses losses_;
  std::unique_ptr<SalvageFiles> files_;
  SalvagedColumns columns_;
  StoreMeta meta_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, BlockExtent> extents_;  // by generation, row
  bool catalog_whole_ = false, heads_whole_ = false;
  absl::flat_hash_map<std::uint64_t, Row> rows_;
  // Where a number has rows of several ids, those after the one above.
  absl::flat_hash_map<std::uint64_t, std::vector<Row>> other_rows_;
  std::set<std::uint32_t> unnamed_files_;  // that embeddings were taken from
  std::deque<std::vector<float>> tail_;
  std::set<std::uint64_t> tombstones_;
  absl::flat_hash_map<std::uint64_t, MemoryHead> heads_;
  absl::flat_hash_map<std::uint32_t, std::uint64_t> nodes_;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> newest_rows_;  // of ids without a head
  absl::flat_hash_map<std::uint64_t, std::vector<std::string>> keys_;
  std::vector<std::pair<std::string, std::string>> types_;
  std::vector<std::uint64_t> ids_;
  EdgeChanges changes_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_SALVAGE_H_

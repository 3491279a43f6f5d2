// What is sound of a damaged store, memory by memory.
//
// Rows are believed by their blocks' checksums alone, wherever they lie: the row of a number never
// changes. Which row is whose is what heads say; where a head is lost, the newest row that
// says so itself and has no tombstone.
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
  bool lost = false;  // nothing of it is left
};

// Belongs to one thread.
class Salvage {
 public:
  // `scratch` is a directory for copies. Errors: as SalvageFiles::Open; kDataLoss when what the
  // store is cannot be read.
  static absl::StatusOr<std::unique_ptr<Salvage>> Open(const std::string& damaged,
                                                       const std::string& scratch);

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
    bool has_id = false;
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
  absl::Status ReadMeta();
  void ReadBlocks();
  void ReadBlock(std::uint32_t generation, std::uint64_t first, const BlockColumn& embeddings);
  void ReadTail();
  void ReadIds();
  void ReadKeys();
  void ListIds();
  void ReadEdgeBlocks();
  void ReadEdgeBlock(const EdgeBlock& block, std::uint32_t generation);
  void ReadEvents(std::string_view key, std::string_view value);
  void Walk(Family family, std::string_view prefix,
            absl::FunctionRef<void(std::string_view key, std::string_view value)> visit);
  std::string ReadRecord(std::uint64_t id, RecordKind kind, std::string_view what);
  std::string WhyNoRow(std::uint64_t row) const;

  Losses losses_;
  std::unique_ptr<SalvageFiles> files_;
  SalvagedColumns columns_;
  StoreMeta meta_;
  absl::flat_hash_map<std::uint64_t, Row> rows_;
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

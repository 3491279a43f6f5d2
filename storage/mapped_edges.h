// The sealed edges, mapped: for each block of nodes the columns where they lie,
// which is where the spreading kernels read them.
//
// The pin rule of mapped_blocks.h holds: one iterator, walked once, lives as long
// as anything that points into the mapping.
#ifndef ENGRAM_STORAGE_MAPPED_EDGES_H_
#define ENGRAM_STORAGE_MAPPED_EDGES_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/database.h"
#include "storage/format/block_format.h"
#include "storage/format/edge_format.h"

namespace engram::storage {

// The edges out of one node, by (type, target). Points into a mapping or an overlay.
struct EdgeSpan {
  const std::uint32_t* targets = nullptr;
  const float* weights = nullptr;
  const void* types = nullptr;  // null: all are 0
  std::uint32_t type_bytes = 0;
  std::uint32_t size = 0;
  float sum = 0.0f;  // of the weights

  std::uint32_t type(std::uint32_t i) const;
  // Returns: the index behind the last edge of the type that edge `begin` has.
  std::uint32_t EndOfType(std::uint32_t begin) const;
  // Returns: the index of that edge, or size.
  std::uint32_t Find(std::uint32_t edge_type, std::uint32_t target) const;
};

// Returns: `weights` summed in double and rounded once, so that a node's sum has the
// same bits wherever its edges are kept; the largest f32 where it is above that.
float SumOfWeights(absl::Span<const float> weights);

// One block. `offsets` and the others are null when the block is not usable.
struct EdgeRun {
  EdgeBlock block;
  std::uint32_t type_bytes = 0;
  const std::uint32_t* offsets = nullptr;
  const std::uint32_t* targets = nullptr;
  const float* weights = nullptr;
  const void* types = nullptr;
  const float* sums = nullptr;
  const std::uint32_t* in_offsets = nullptr;
  const std::uint32_t* in_sources = nullptr;

  bool Holds(std::uint32_t node) const { return node - block.first_node < block.nodes; }
  // Precondition, for both: Holds(node).
  EdgeSpan Out(std::uint32_t node) const;
  absl::Span<const std::uint32_t> Sources(std::uint32_t node) const;
};

// Immutable but for what Check() remembers; thread-safe.
class MappedEdges {
 public:
  // Walks the family once. `nodes` have been given: no edge may name another. What
  // `previous` has checked stays checked where it maps the same blocks; null: nothing has.
  static absl::StatusOr<std::shared_ptr<const MappedEdges>> Map(std::shared_ptr<Database> database,
                                                                EdgeCatalog catalog,
                                                                std::uint32_t nodes,
                                                                const MappedEdges* previous);
  MappedEdges(const MappedEdges&) = delete;
  MappedEdges& operator=(const MappedEdges&) = delete;

  // Before anything else is believed. Proves once that every offset and node is in
  // bounds and, with `verify`, that the bytes match their checksums. Errors:
  // kDataLoss naming block and column.
  absl::Status Check(bool verify) const;
  // As Check(true), but reads the bytes again whatever is remembered, and forgets that they were
  // found whole when they are not.
  absl::Status CheckAgain() const;

  // Brings all columns into memory.
  absl::Status Prefault() const;

  const EdgeCatalog& catalog() const { return catalog_; }
  const std::vector<EdgeRun>& runs() const { return runs_; }
  std::uint64_t nodes() const { return catalog_.nodes(); }
  std::uint64_t mapped_bytes() const { return mapped_bytes_; }

  // Returns: the run that holds `node`, or null.
  const EdgeRun* Find(std::uint32_t node) const;

 private:
  MappedEdges() = default;
  void AddColumn(const BlockKey& key, std::string_view value);
  absl::Status CheckRun(const EdgeRun& run) const;
  absl::Status CheckBounds() const;
  absl::Status CheckSums() const;

  std::shared_ptr<Database> database_;  // outlives the iterator
  std::unique_ptr<rocksdb::Iterator> pin_;
  EdgeCatalog catalog_;
  std::uint32_t node_limit_ = 0;
  std::vector<EdgeRun> runs_;
  std::vector<BlockColumn> columns_;
  absl::Status usable_;
  std::uint64_t mapped_bytes_ = 0;
  struct Checked {
    std::atomic<bool> bounds{false}, sums{false};
  };
  std::shared_ptr<Checked> checked_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_MAPPED_EDGES_H_

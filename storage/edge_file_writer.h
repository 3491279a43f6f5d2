// Turns a graph into a table file of edge columns, ready to ingest: the one way
// sealed edges come to be.
//
// All edges are written anew under the next generation. Edges of a graph have no
// order in which old ones stay together, so a seal that only added a file would leave
// each node's edges in as many places as there were seals.
#ifndef ENGRAM_STORAGE_EDGE_FILE_WRITER_H_
#define ENGRAM_STORAGE_EDGE_FILE_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "rocksdb/sst_file_writer.h"
#include "storage/edge_graph.h"

namespace engram::storage {

struct EdgeFile {
  std::string path;  // empty: the graph has no edges, and needs no file
  EdgeCatalog catalog;
};

// Used once, by one thread. A file that was not handed out is removed with it.
class EdgeFileWriter {
 public:
  // `nodes` have been given; events below `next_event` are in `graph`.
  EdgeFileWriter(const Database& database, const EdgeGraph& graph, std::uint32_t nodes,
                 std::uint64_t next_event);
  ~EdgeFileWriter();
  EdgeFileWriter(const EdgeFileWriter&) = delete;
  EdgeFileWriter& operator=(const EdgeFileWriter&) = delete;

  // Returns: the file, synced. It is the caller's to ingest or remove.
  absl::StatusOr<EdgeFile> Write();

 private:
  void TurnAround();
  std::uint32_t EndOfBlock(std::uint32_t first) const;
  absl::Status WriteBlock(std::uint32_t first, std::uint32_t end);
  absl::Status WriteSources(EdgeBlock& block);
  absl::Status PutColumn(const EdgeBlock& block, ColumnKind column, std::uint32_t rows,
                         std::uint32_t bytes_per_row, std::string_view payload);

  const Database& database_;
  const EdgeGraph& graph_;
  const std::uint32_t nodes_;
  EdgeFile file_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<EdgeSpan> out_;  // by node
  // The sources of every node, one after another.
  std::vector<std::uint64_t> in_offsets_;
  std::vector<std::uint32_t> in_sources_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_EDGE_FILE_WRITER_H_

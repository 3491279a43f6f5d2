// An import: memories from a source, stored chunk by chunk. A chunk is what one commit
// holds, and all that is in memory of the import.
#ifndef ENGRAM_STORAGE_IMPORTER_H_
#define ENGRAM_STORAGE_IMPORTER_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/commit_queue.h"
#include "storage/import_chunk.h"
#include "storage/maintenance.h"
#include "storage/store_files.h"

namespace engram::storage {

// Used once, by one thread.
class Importer {
 public:
  // Commits one request among those of others.
  using SubmitFunction = absl::FunctionRef<absl::Status(CommitRequest&)>;

  // What `submit` and `progress` point to outlives the importer.
  Importer(const StoreMeta& meta, const WriteRules& rules, Maintenance& maintenance,
           SubmitFunction submit, std::uint64_t expected, const ProgressFunction& progress);

  // Reads `source` to its end. Progress is told after every commit, and so its last `done`
  // is what is stored when an error ends the import.
  absl::StatusOr<ImportCounts> Run(MemorySource source);

 private:
  bool IsFull(const ImportChunk& chunk) const;
  // Commits the chunk: as files where it can be, else in commits of kCommitBytes.
  absl::Status Store(const ImportChunk& chunk);
  absl::Status Submit(absl::Span<const ImportedMemory> memories);
  absl::Status Stored(std::size_t memories);

  const std::uint64_t most_rows_, most_memories_;  // of a chunk
  const WriteRules rules_;
  Maintenance& maintenance_;
  const SubmitFunction submit_;
  const std::uint64_t expected_;
  const ProgressFunction& progress_;
  ImportCounts counts_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_IMPORTER_H_

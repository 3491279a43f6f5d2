// Writes what an import adds as table files, ready to ingest together: blocks,
// ids, records and the catalog. They pass by the log and the tail, so that
// an embedding goes to disk once.
#ifndef ENGRAM_STORAGE_BULK_FILES_H_
#define ENGRAM_STORAGE_BULK_FILES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/block_file_writer.h"
#include "storage/catalog.h"
#include "storage/store_files.h"
#include "storage/writer_state.h"

namespace engram::storage {

// Returns: whether no change of `changes` touches what the store, or another
// of them, has: every put is of an id that never had a head, every key unknown,
// and only ids that are put get keys. Only such changes can be written as files.
absl::StatusOr<bool> AllFresh(const WriterState& state, absl::Span<const Change> changes);

// Returns: what puts `memories`, those without an id under new ones. A key of theirs that
// is known makes the changes not AllFresh().
absl::StatusOr<std::vector<Change>> ChangesOf(const WriterState& state,
                                              absl::Span<const ImportedMemory> memories);

// Used once, by one thread that has the turn. Files that were not ingested are
// removed with it.
class BulkFiles {
 public:
  // `now`: when the memories are put.
  BulkFiles(const WriterState& state, RotationChooser& rotations, std::int64_t now);
  ~BulkFiles();
  BulkFiles(const BulkFiles&) = delete;
  BulkFiles& operator=(const BulkFiles&) = delete;

  // Gives nodes and rows to `changes`, which are AllFresh(), and writes the files.
  absl::Status Build(absl::Span<const Change> changes);

  // After Build(): whether the files hold what was written. Errors: kInternal; nothing is changed.
  absl::Status ReadBack() const;

  // After ReadBack(): makes the files part of the database, all or none, durably.
  absl::Status Ingest();

  // After Build(): what the state is to become. The batch number stays as it
  // is, since the log gets no batch.
  const CommitRecord& commit() const { return commit_; }
  const Catalog& catalog() const { return catalog_; }

 private:
  struct Entry {
    std::string key, value;
  };
  // Writes `entries`, sorted, as a file of `family`; nothing if there are none.
  absl::Status WriteFile(Family family, std::vector<Entry> entries);
  absl::Status AddPut(const Change& change, BlockFileWriter& blocks);

  const WriterState& state_;
  RotationChooser& rotations_;
  const std::int64_t now_;
  CommitRecord commit_;
  Catalog catalog_;
  std::vector<Entry> heads_, texts_, nodes_, id_keys_, forms_, records_;
  std::vector<std::pair<Family, std::string>> files_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BULK_FILES_H_

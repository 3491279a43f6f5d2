// Which files of blocks are worth merging. Every seal and import leaves a file, however
// few its rows, and each file costs a descriptor, a mapping and blocks that are not full.
//
// A run of neighbours is merged when it is long, or fills a good part of a file and its
// files are small on the average; and no file has more than half of its rows. So a row gets
// into a file at least twice as large each time that it is written, and is written a
// logarithmic number of times. What an import writes at once is left alone, but for files
// in between that are smaller.
#ifndef ENGRAM_STORAGE_MERGE_RUNS_H_
#define ENGRAM_STORAGE_MERGE_RUNS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "storage/format/record_format.h"

namespace engram::storage {

struct MergeCandidate {
  std::uint64_t rows = 0;
  bool apart = false;  // whether something keeps it from the file before
};

struct MergeRun {
  std::size_t begin = 0;
  std::size_t count = 0;  // 0: there is none
};

// Returns: how many rows a merged file has at most: those of whole blocks, of some 128 MiB.
std::uint64_t RowsOfFullFile(const StoreMeta& meta);

// Returns: the first run of `files`, which are in row order, that is worth merging.
MergeRun FindMergeRun(absl::Span<const MergeCandidate> files, std::uint64_t full_rows);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_MERGE_RUNS_H_

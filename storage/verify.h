// Checks a view of the store against itself: every block's bytes against their
// checksums, and blocks, heads, payloads, keys and counters against each other.
#ifndef ENGRAM_STORAGE_VERIFY_H_
#define ENGRAM_STORAGE_VERIFY_H_

#include "absl/status/statusor.h"
#include "storage/store_files.h"

namespace engram::storage {

absl::StatusOr<FilesReport> VerifyView(const View& view, bool read_every_block,
                                       const ProgressFunction& progress);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_VERIFY_H_

// What a store says of itself: written once, by its creation, and read before anything else
// of it. A directory that does not say it is no store of ours to open or to remove.
#ifndef ENGRAM_STORAGE_STORE_DESCRIPTION_H_
#define ENGRAM_STORAGE_STORE_DESCRIPTION_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/database.h"
#include "storage/format/record_format.h"
#include "storage/store_files.h"

namespace engram::storage {

// Returns: kInvalidArgument when `options` do not say enough to create a store by.
absl::Status CheckCreation(const FilesOptions& options);

// Reads the description, or writes it where nothing was ever written and `options` allow it.
// Errors: as engram::Store::Open.
absl::StatusOr<StoreMeta> LoadOrCreateMeta(const FilesOptions& options, Database& database);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_STORE_DESCRIPTION_H_

// The directory of a copy of a store. Who may not look into the one may not look into the other.
#ifndef ENGRAM_STORAGE_TARGET_DIRECTORY_H_
#define ENGRAM_STORAGE_TARGET_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"

namespace engram::storage {

// Makes the directory `path`, which must not exist, in one that does, with the mode of the
// directory `source`, whatever the umask, and with all that its owner needs to fill it. Errors:
// kAlreadyExists, kPermissionDenied, kResourceExhausted, kInternal; then nothing is made.
absl::Status MakeDirectoryLike(const std::string& path, const std::string& source);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_TARGET_DIRECTORY_H_

// Brings mapped bytes into memory before anybody waits for them.
#ifndef ENGRAM_STORAGE_BASE_PREFAULT_H_
#define ENGRAM_STORAGE_BASE_PREFAULT_H_

#include <string_view>

#include "absl/status/status.h"

namespace engram::storage {

// OK without effect on a kernel older than 5.14, which has no such call. Errors: kDataLoss, their
// file is cut off or its disk does not give them; kInternal, what else madvise says.
absl::Status PrefaultBytes(std::string_view bytes);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_PREFAULT_H_

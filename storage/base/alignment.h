// Where bytes lie in memory: a mapped file that others wrote may have its arrays anywhere, and a
// number that is not aligned must not be read as one.
#ifndef ENGRAM_STORAGE_BASE_ALIGNMENT_H_
#define ENGRAM_STORAGE_BASE_ALIGNMENT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace engram::storage {

// Errors: kDataLoss when `payload` does not begin at a multiple of `alignment`; the caller names
// it.
inline absl::Status CheckAlignment(std::string_view payload, std::size_t alignment) {
  const std::size_t behind = reinterpret_cast<std::uintptr_t>(payload.data()) % alignment;
  if (behind == 0) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("its payload lies %d bytes behind a multiple of %d", behind, alignment));
}

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_ALIGNMENT_H_

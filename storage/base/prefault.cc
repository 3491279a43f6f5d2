#include "storage/base/prefault.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace engram::storage {

absl::Status PrefaultBytes(std::string_view bytes) {
  constexpr std::uintptr_t kPage = 4096;
  if (bytes.empty()) return absl::OkStatus();
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t begin = first & ~(kPage - 1);
  const std::uintptr_t end = first + bytes.size();
  if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0 ||
      errno == EINVAL) {
    return absl::OkStatus();
  }
  return absl::InternalError(std::strerror(errno));
}

}  // namespace engram::storage

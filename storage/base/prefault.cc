#include "storage/base/prefault.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_format.h"

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
  // Reading them would end the process.
  if (errno == EFAULT || errno == EHWPOISON) {
    return absl::DataLossError(
        absl::StrFormat("%d mapped bytes cannot be read: %s", bytes.size(), std::strerror(errno)));
  }
  return absl::InternalError(std::strerror(errno));
}

}  // namespace engram::storage

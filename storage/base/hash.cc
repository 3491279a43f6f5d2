#include "storage/base/hash.h"

// Inlined, so that the library gains no run-time dependency by it.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace engram::storage {

std::uint64_t Hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace engram::storage

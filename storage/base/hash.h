// The checksum of block columns: XXH3, 64 bits, seed 0 (https://xxhash.com).
#ifndef ENGRAM_STORAGE_BASE_HASH_H_
#define ENGRAM_STORAGE_BASE_HASH_H_

#include <cstdint>
#include <string_view>

namespace engram::storage {

std::uint64_t Hash64(std::string_view bytes);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_HASH_H_

// Engram: which library this is, at compile time and at run time.
#ifndef ENGRAM_VERSION_H_
#define ENGRAM_VERSION_H_

#include <cstdint>
#include <string>
#include <vector>

#define ENGRAM_VERSION_MAJOR 0
#define ENGRAM_VERSION_MINOR 1
#define ENGRAM_VERSION_PATCH 0

namespace engram {

// One set of compute kernels compiled into the library.
struct KernelInfo {
  std::string name;         // "cpp-v3", "zig-v4", ...: what StoreOptions::kernels takes
  bool usable = false;      // this CPU runs it
  bool is_default = false;  // what an open without a wish gets here
};

// Returns: "0.1.0", the version of the linked library. Thread-safe.
std::string Version();

// Returns: the newest on-disk format this library reads and writes. Older
// ones down to 1 are read. Thread-safe.
std::uint32_t FormatVersion();

// Returns: the version of the RocksDB the library runs on, as "7.8.3". Thread-safe.
std::string BackendVersion();

// Returns: every set of kernels in the library, best first. Thread-safe.
std::vector<KernelInfo> Kernels();

}  // namespace engram

#endif  // ENGRAM_VERSION_H_

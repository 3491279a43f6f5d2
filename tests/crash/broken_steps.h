// Stands between the library and RocksDB in the writer of the crash test, and dies between two of
// their calls, with the steps of the library in their order or in a broken one. A broken
// order must be caught by whoever checks the store: else the check shows nothing.
#ifndef ENGRAM_TESTS_CRASH_BROKEN_STEPS_H_
#define ENGRAM_TESTS_CRASH_BROKEN_STEPS_H_

#include <cstdint>
#include <string>

namespace engram::crash {

struct Death {
  enum class Order : std::uint8_t {
    kRight,
    kLogLate,    // calls are answered before the log is handed to the kernel
    kHalfBatch,  // a batch is two commits, and the process dies between them
    kTailFirst,  // a seal drops the tail before its blocks are in place, and dies between
  };
  Order order = Order::kRight;
  // Dies at this call of those that change something, from 1, or at the first behind it that can be
  // broken so; 0: never.
  std::uint64_t at = 0;
};

// To be called before the store is opened, once.
void SetDeath(const Death& death);

// Returns: the order of this name: right, log-late, half-batch, tail-first.
Death::Order OrderNamed(const std::string& name);

}  // namespace engram::crash

#endif  // ENGRAM_TESTS_CRASH_BROKEN_STEPS_H_

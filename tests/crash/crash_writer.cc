// Writes, seals and compacts until it is killed: crash_writer PATH FIRST_BATCH. A program of
// its own, because a fork of a process with threads is no place to start RocksDB in.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/crash/crash_batches.h"

using namespace engram;
using namespace engram::crash;

// Batch b puts ids b * kBatch ... and, for odd b, deletes all of batch b - 1. Each
// acknowledged number goes to stdout as its bytes.
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto store = Store::Open(Options(), argv[1]);
  if (!store.ok()) return 3;
  for (std::uint64_t batch = std::strtoull(argv[2], nullptr, 10);; ++batch) {
    WriteBatch changes;
    for (MemoryId i = 0; i < kBatch; ++i) {
      const MemoryId id = batch * kBatch + i;
      changes.Put(id, VectorOf(id), std::to_string(id));
      if (batch % 2 == 1) changes.Delete(id - kBatch);
    }
    if (!(*store)->Write({}, changes).ok()) return 4;
    if (::write(STDOUT_FILENO, &batch, sizeof batch) != sizeof batch) return 5;
    if (batch % 7 == 0 && !(*store)->Seal().ok()) return 6;
    if (batch % 31 == 0 && !(*store)->Compact({}).ok()) return 7;
  }
}

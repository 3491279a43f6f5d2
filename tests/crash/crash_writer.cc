// Writes, seals and compacts until it is killed: crash_writer PATH FIRST_BATCH. A program of
// its own, because a fork of a process with threads is no place to start RocksDB in.
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/crash/crash_batches.h"

using namespace engram;
using namespace engram::crash;

namespace {

absl::Status Write(Store& store, std::uint64_t batch) {
  WriteBatch changes;
  for (MemoryId i = 0; i < kBatch; ++i) {
    const MemoryId id = batch * kBatch + i;
    changes.Put(id, VectorOf(id), PayloadOf(id));
    changes.Reinforce(id, 1.0f);
  }
  for (const Edge& edge : EdgesOf(batch, /*to_the_one_before=*/true)) changes.PutEdge(edge);
  for (MemoryId i = 0; batch % 2 == 1 && i < kBatch; ++i) changes.Delete((batch - 1) * kBatch + i);
  return store.Write({}, changes);
}

absl::Status Link(Store& store, std::uint64_t batch) {
  const std::vector<Edge> edges = EdgesOf(batch, /*to_the_one_before=*/true);
  std::size_t at = 0;
  return store
      .Link({},
            [&](Edge* edge) -> absl::StatusOr<bool> {
              if (at == edges.size()) return false;
              *edge = edges[at++];
              return true;
            })
      .status();
}

absl::Status Import(Store& store, std::uint64_t batch) {
  MemoryId id = batch * kBatch;
  std::vector<float> vector;
  std::string payload;
  const absl::Status imported = store
                                    .Import({},
                                            [&](ImportRow* row) -> absl::StatusOr<bool> {
                                              if (id == (batch + 1) * kBatch) return false;
                                              vector = VectorOf(id);
                                              payload = PayloadOf(id);
                                              row->id = id++;
                                              row->vector = vector;
                                              row->payload = payload;
                                              return true;
                                            })
                                    .status();
  return imported.ok() ? Link(store, batch) : imported;
}

}  // namespace

// Batch b puts ids b * kBatch ..., their edges and a reinforcement of each and, for odd b,
// deletes all of batch b - 1. Those that are imported are linked after. Each acknowledged
// number goes to stdout as its bytes.
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto store = Store::Open(Options(), argv[1]);
  if (!store.ok()) return 3;
  for (std::uint64_t batch = std::strtoull(argv[2], nullptr, 10);; ++batch) {
    const absl::Status written = IsBulk(batch) ? Import(**store, batch) : Write(**store, batch);
    if (!written.ok()) return 4;
    if (::write(STDOUT_FILENO, &batch, sizeof batch) != sizeof batch) return 5;
    if (batch % 7 == 0 && !(*store)->Seal().ok()) return 6;
    if (batch % 31 == 0 && !(*store)->Compact({}).ok()) return 7;
  }
}

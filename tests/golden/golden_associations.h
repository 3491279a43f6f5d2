// What the golden store "associations" holds: edges of several types, sealed and not,
// a forgotten memory, strengths, and keys to be found in texts. As frozen as the store.
#ifndef ENGRAM_TESTS_GOLDEN_GOLDEN_ASSOCIATIONS_H_
#define ENGRAM_TESTS_GOLDEN_GOLDEN_ASSOCIATIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace engram::golden {

inline constexpr std::int64_t kWrittenAt = 1700000000;
inline constexpr std::int64_t kReinforcedAt = 1700000100;

inline absl::Status FillAssociations(Store& store) {
  WriteOptions then;
  then.now_unix_seconds = kWrittenAt;
  WriteBatch batch;
  for (MemoryId id = 1; id <= 5; ++id) {
    const float vector[] = {static_cast<float>(id), 1.0f};
    batch.Put(id, vector, "memory " + std::to_string(id));
  }
  batch.Put(6, {});
  batch.SetKey("New York", 6);
  batch.PutEdge({.from = 1, .to = 2, .weight = 0.5f, .type = 0});
  batch.PutEdge({.from = 1, .to = 3, .weight = 0.25f, .type = 300});
  batch.PutEdge({.from = 2, .to = 2, .weight = 1.0f, .type = 0});
  batch.PutEdge({.from = 4, .to = 1, .weight = 1.0f, .type = 0});
  batch.PutEdge({.from = 6, .to = 3, .weight = 1.0f, .type = 0});
  if (const absl::Status status = store.Write(then, batch); !status.ok()) return status;
  if (const auto type = store.EdgeType(then, "part of"); !type.ok()) return type.status();
  if (const absl::Status status = store.Seal(); !status.ok()) return status;
  batch.Clear();
  batch.Delete(4);
  batch.PutEdge({.from = 3, .to = 5, .weight = 2.0f, .type = 1});
  batch.DeleteEdge(2, 2);
  batch.Reinforce(5, 1.5f);
  then.now_unix_seconds = kReinforcedAt;
  return store.Write(then, batch);
}

}  // namespace engram::golden

#endif  // ENGRAM_TESTS_GOLDEN_GOLDEN_ASSOCIATIONS_H_

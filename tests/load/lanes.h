// A load whose every committed state is known: each lane is one writer's, and how many batches it
// has written says all about its memories. Who reads a state compares all of it with that.
#ifndef ENGRAM_TESTS_LOAD_LANES_H_
#define ENGRAM_TESTS_LOAD_LANES_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace engram::load {

inline constexpr std::uint32_t kDimension = 48;
inline constexpr std::uint64_t kLanes = 3;
inline constexpr std::uint64_t kGroups = 12;  // of a lane
inline constexpr MemoryId kGroupSize = 6;     // memories that are only ever written together
inline constexpr MemoryId kBaseRows = 4000;   // that never change: enough for certified searches

StoreOptions Options();
StoreOptions ReadOnly();

// Creates the store with the rows that never change, sealed.
absl::Status Create(const std::string& path);

// Batch `n` of a lane, counted from 0, rewrites group n % kGroups: vectors, payloads, a key, a ring
// of edges and reinforcements; every fourth time it deletes the group. It also sets the lane's
// counter, a memory without an embedding, to n + 1.
WriteBatch BatchOf(std::uint64_t lane, std::uint64_t n);

// Memories that come and go beside the lanes, and that no query of RandomQuery() is like.
std::vector<float> StrayVector(MemoryId id);
inline constexpr MemoryId kFirstStray = MemoryId{1} << 50;

std::vector<float> RandomQuery(std::mt19937_64& random);

// How many batches each lane has written.
using Counters = std::vector<std::uint64_t>;
absl::StatusOr<Counters> ReadCounters(const Store& store, const ReadOptions& then);

// Each compares what `store` answers with the state that `counters` tells. Errors: kInternal with
// what is wrong, or what the store answered.
absl::Status CheckLane(const Store& store, const ReadOptions& then, std::uint64_t lane,
                       const Counters& counters);
absl::Status CheckWalk(const Store& store, const ReadOptions& then, std::uint64_t lane,
                       const Counters& counters);
absl::Status CheckRecall(const Store& store, const ReadOptions& then, const Counters& counters,
                         std::mt19937_64& random);
// With the k best rows by double and a plain loop; *certified counts searches that read codes.
absl::Status CheckSearch(const Store& store, const ReadOptions& then, const Counters& counters,
                         std::mt19937_64& random, std::uint64_t* certified);

// One of the above, by chance; of the state as it is. Errors also: kFailedPrecondition once the
// store is closed.
struct Seen {
  Counters counters;
  std::uint64_t certified = 0;
  std::uint64_t checks = 0;
};
// Precondition: `seen` is of this store, or new. Errors also: a counter that went back.
absl::Status CheckSomething(const Store& store, std::mt19937_64& random, Seen* seen);
// All of it.
absl::Status CheckAll(const Store& store, std::mt19937_64& random, Seen* seen);

}  // namespace engram::load

#endif  // ENGRAM_TESTS_LOAD_LANES_H_

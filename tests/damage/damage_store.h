// The store that damage tests damage, and what it answers: written once as a process that dies
// leaves it, with a log, and asked at every state that a shortened log may bring back.
#ifndef ENGRAM_TESTS_DAMAGE_DAMAGE_STORE_H_
#define ENGRAM_TESTS_DAMAGE_DAMAGE_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace engram::damage {

inline constexpr std::uint32_t kDimension = 64;
inline constexpr MemoryId kSealed = 8256;      // as many as a rotation needs, and some
inline constexpr std::uint64_t kBatches = 10;  // in the log
inline constexpr MemoryId kMarker = 1000000;   // its payload is the number of the last batch
inline constexpr MemoryId kOneMore = 900000;

// One answer: of what, and a hash of it; or the error that came instead.
struct Answer {
  std::string what;
  absl::Status error;
  std::uint64_t hash = 0;
};

// Asks for everything there is, in one order, checksums verified. `all`: every sealed memory, not
// only some.
std::vector<Answer> AskAll(const Store& store, bool all);

// Without checksums: what comes may be wrong, but nothing is called exact.
// Returns: what was wrong with it, else empty.
std::string AskBlindly(const Store& store);

// Of what a repair kept: that it is sound, and that no memory has what it never had.
// Returns: what was wrong with it, else empty.
std::string CheckRepaired(const Store& store);

// Puts kOneMore, of which AskAll asks too.
absl::Status PutOneMore(Store& store);

StoreOptions Options(bool read_only);

// Writes the store into `path`, and leaves it open: the process, which is a test's child, has to
// end then. It ends at once when anything fails.
// Returns: how long the log was after each batch; the first number is of none.
std::vector<std::uint64_t> MakeStore(const std::string& path);

// Says why, and ends the process.
void Require(const absl::Status& status, const std::string& what);

}  // namespace engram::damage

#endif  // ENGRAM_TESTS_DAMAGE_DAMAGE_STORE_H_

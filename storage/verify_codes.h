// That codes are those of their rows: what checksums cannot tell, and the bounds of
// docs/exactness.md rest on.
#ifndef ENGRAM_STORAGE_VERIFY_CODES_H_
#define ENGRAM_STORAGE_VERIFY_CODES_H_

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "storage/mapped_blocks.h"

namespace engram::storage {

// Belongs to one thread.
class CodesVerifier {
 public:
  explicit CodesVerifier(std::uint32_t dimension) : dimension_(dimension) {}

  // Makes the codes of `block` anew and compares. Precondition: CheckAgain() was OK. Returns:
  // kDataLoss naming block and column where they differ, or where the rotation makes vectors
  // longer; OK for a block without codes, and for one of a damaged rotation that lies under
  // another, whose fault it is.
  absl::Status Check(const MappedBlock& block);

 private:
  enum class Fault { kNone, kDamaged, kLengthens };
  Fault FaultOf(const RotationView& rotation);

  const std::uint32_t dimension_;
  std::map<std::uint64_t, Fault> rotations_;  // by hash
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_VERIFY_CODES_H_

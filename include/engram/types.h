// Engram: the value types that every public header shares.
//
// Plain data, no behaviour: all of them may be copied, and read from any
// number of threads.
#ifndef ENGRAM_TYPES_H_
#define ENGRAM_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace engram {

// The caller's name of a memory. Every 64-bit value is legal, 0 included. A
// memory may also have text names: see WriteBatch::SetKey and Store::IdForKey.
using MemoryId = std::uint64_t;

// What a score means. Fixed when a store is created. A score is always
// "higher is better". The numbers are part of the on-disk format.
enum class Metric : std::uint8_t {
  kCosine = 1,     // <q, x> / (|q| |x|), clamped to [-1, 1]
  kDot = 2,        // <q, x>
  kL2Squared = 3,  // -|q - x|^2: minus the squared Euclidean distance
};

// Limits of the format. What lies outside is kInvalidArgument.
inline constexpr std::uint32_t kMaxDimension = 65536;
inline constexpr std::size_t kMaxPayloadBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxKeyBytes = 4096;

// A row-major block of f32 vectors that the caller owns; it is read during
// the call it is passed to and never kept. Row i starts at data + i * stride.
struct MatrixView {
  const float* data = nullptr;
  std::size_t rows = 0;
  std::size_t dimension = 0;
  std::size_t stride = 0;  // in floats, at least `dimension`; 0 means `dimension`
};

// One answer of a search. Ties in score are ordered by ascending id. The same
// store gives the same score bits for any number of threads and for both
// kernel languages of one level; docs/kernels.md states by how much levels
// may differ.
struct Hit {
  MemoryId id = 0;
  float score = 0.0f;
};

// How a search found its answer.
enum class SearchPath : std::uint8_t {
  kPlainScan = 0,  // every live row scored in f32
};

// What a search did, so that a caller need never guess.
struct SearchInfo {
  SearchPath path = SearchPath::kPlainScan;
  std::uint64_t rows_in_store = 0;  // live rows of the view that was searched
  std::uint64_t rows_scored = 0;    // rows a similarity kernel touched, dead ones included
  bool exact = false;      // the hits are the true top k of blocks whose bytes were verified
  bool truncated = false;  // the deadline passed: the hits are the best of the rows seen so far
};

struct SearchResults {
  std::vector<Hit> hits;  // best first; min(k, live rows that reach min_score) of them
  SearchInfo info;
};

// A memory as the store holds it, copied out.
struct Record {
  MemoryId id = 0;
  std::vector<float> vector;  // the exact floats that were put; empty: no embedding
  std::string payload;
  std::vector<std::string> keys;  // text names, in byte order
};

// How far a long call has come.
struct Progress {
  std::string_view stage;  // "import", "seal", "compact", "verify" or "backup"
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // same unit as `done` (rows, blocks or bytes); 0: unknown
};

// Called now and then from the thread that made the call. Returning false
// cancels: the call answers kCancelled and leaves a sound store behind.
using ProgressCallback = std::function<bool(const Progress&)>;

}  // namespace engram

#endif  // ENGRAM_TYPES_H_

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
// "higher is better" and finite: what f32 cannot hold is its largest or smallest value,
// and what f32 cannot sum is summed in double. The numbers are part of the on-disk format.
enum class Metric : std::uint8_t {
  kCosine = 1,     // <q, x> / (|q| |x|), clamped to [-1, 1]
  kDot = 2,        // <q, x>
  kL2Squared = 3,  // -|q - x|^2: minus the squared Euclidean distance
};

// Limits of the format. What lies outside is kInvalidArgument.
inline constexpr std::uint32_t kMaxDimension = 65536;
inline constexpr std::size_t kMaxPayloadBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxKeyBytes = 4096;
inline constexpr std::size_t kMaxEdgeTypeBytes = 256;
inline constexpr float kMaxStrength = 1024.0f;

// A row-major block of f32 vectors that the caller owns; it is read during
// the call it is passed to and never kept. Row i starts at data + i * stride.
struct MatrixView {
  const float* data = nullptr;
  std::size_t rows = 0;
  std::size_t dimension = 0;
  std::size_t stride = 0;  // in floats, at least `dimension`; 0 means `dimension`
};

// One answer of a search. Ties in score are ordered by ascending id: those too that lie
// beyond the largest f32 and therefore tie. The same
// store gives the same score bits for any number of threads and for both
// kernel languages of one level; docs/kernels.md states by how much levels
// may differ.
struct Hit {
  MemoryId id = 0;
  float score = 0.0f;
};

// How a search found its answer.
enum class SearchPath : std::uint8_t {
  kPlainScan = 0,      // every live row scored in f32
  kCertifiedScan = 1,  // the codes of every row read, and in f32 those rows scored that the
                       // codes could not rule out: docs/exactness.md has the proof
};

// What a search did, so that a caller need never guess.
struct SearchInfo {
  SearchPath path = SearchPath::kPlainScan;
  std::uint64_t rows_in_store = 0;  // live rows of the view that was searched
  std::uint64_t rows_scored = 0;    // rows a similarity kernel touched, dead ones included
  std::uint64_t rows_rescored = 0;  // of these, by codes first and then in f32
  // The hits are the true top k, every bound was checked, and so were the bytes of all blocks.
  bool exact = false;
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

  // Its strength when it was last used, which StrengthOptions lets fade from then on: 1 and what
  // Reinforce() added. No time is told of memories that were never put or used at a known one.
  float strength = 1.0f;
  std::optional<std::int64_t> last_use_unix_seconds;
};

// A directed association: recalling `from` makes `to` easier to recall. A memory
// has at most one edge of a type to another; an edge to itself is allowed, and is
// one more way for its activation to go.
struct Edge {
  MemoryId from = 0;
  MemoryId to = 0;
  float weight = 1.0f;     // finite and not negative
  std::uint32_t type = 0;  // what it means is the caller's; Store::EdgeType() gives names
};

// Which edges of a memory: those that leave it or those that come in.
enum class Direction : std::uint8_t { kOut, kIn };

// Where activation starts, and how much of it.
struct Seed {
  MemoryId id = 0;
  float activation = 1.0f;  // finite and not negative
};

// One step of the way activation took to a memory: `weight` and `type` are of the
// edge that leads there, and mean nothing in the first step, which is a seed.
struct PathStep {
  MemoryId id = 0;
  float weight = 0.0f;
  std::uint32_t type = 0;
};

// A memory that was recalled, and why. docs/recall.md has the equations.
struct Recalled {
  MemoryId id = 0;
  float score = 0.0f;          // what ordered the answer; of a Spread, the activation
  float similarity = 0.0f;     // to the cue; NaN without a cue vector or an embedding
  float activation = 0.0f;     // what arrived by spreading; in a Recall, in units of the most
                               // active memory with an embedding
  float strength = 1.0f;       // at the clock of the call; NaN in a Spread
  std::uint32_t hops = 0;      // the step that first brought any: the fewest edges from a seed,
                               // or more where one between was silent for a while; 0: it is
                               // a seed or, where `activation` is 0, nothing arrived
  MemoryId via = 0;            // whose edge gave most of the activation in the last step; its
                               // own id where no edge gave any
  std::vector<PathStep> path;  // only when asked for: from a seed, as activation first came
};

// What a spreading did.
struct SpreadInfo {
  std::uint32_t steps = 0;           // that were taken; fewer than max_hops when all fell silent
  std::uint64_t memories = 0;        // that got any activation
  std::uint64_t edges_followed = 0;  // additions of activation along an edge
  bool truncated = false;            // the deadline passed, or max_active left some silent
};

struct SpreadResults {
  std::vector<Recalled> memories;  // highest activation first, ties by ascending id
  SpreadInfo info;
};

struct RecallResults {
  std::vector<Recalled> hits;  // highest score first, ties by ascending id
  SearchInfo search;           // of the seeds; all zero without a cue vector
  SpreadInfo spread;
};

// A key that occurs in a text, and the memory it names.
struct NamedInText {
  MemoryId id = 0;
  std::string key;
  std::size_t begin = 0;  // bytes of the text it was found in
  std::size_t end = 0;
};

// How far a long call has come.
struct Progress {
  // "import", "check" (a dry run of it), "compact", "verify", "backup", "repair", "link" or
  // "forget"
  std::string_view stage;
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // same unit as `done` (rows, blocks or bytes); 0: unknown
};

// Called now and then from the thread that made the call. Returning false
// cancels: the call answers kCancelled and leaves a sound store behind.
using ProgressCallback = std::function<bool(const Progress&)>;

}  // namespace engram

#endif  // ENGRAM_TYPES_H_

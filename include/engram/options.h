// Engram: options. Plain data whose defaults are what most callers want;
// a value out of range is kInvalidArgument naming the option, what was given
// and what is allowed.
#ifndef ENGRAM_OPTIONS_H_
#define ENGRAM_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "engram/types.h"

namespace engram {

class Snapshot;

// What an acknowledged write survives. Said with each write, never implied.
// docs/durability.md tells how each is kept and which test holds it.
enum class Durability : std::uint8_t {
  kNone = 0,     // nothing, until Flush() or Close()
  kProcess = 1,  // the process dying at any moment, but not power loss
  kPower = 2,    // power loss: on the disk, synced together with concurrent writers
};

struct StoreOptions {
  // Floats per embedding, 1 to kMaxDimension. Fixed at creation and needed
  // there; later 0 accepts what the store says, and anything else must match.
  // Default: 0.
  std::uint32_t dimension = 0;

  // Fixed at creation; later it must match when it is set.
  // Default: kCosine at creation, else what the store says.
  std::optional<Metric> metric;

  // Create the store when the directory is absent or empty. A directory that
  // holds anything else is never turned into a store. Default: false.
  bool create_if_missing = false;

  // kAlreadyExists when the directory holds a store. Default: false.
  bool error_if_exists = false;

  // Read beside a writer of another process, or without one. Needs no write
  // access to the directory and keeps no writer out. The state seen is that of the
  // open or of the last Refresh(). Default: false.
  bool read_only = false;

  // How long to wait for another writer to let go of the store, before
  // kUnavailable names the process that holds it. At most one hour. Default: 0.
  std::chrono::milliseconds lock_timeout{0};

  // Threads one search may use, the caller's included; 1 to 256. The others are the
  // store's, started when a search first wants them, and shared by all its searches: one that
  // finds them busy does with the caller's. Default: 0, the number of hardware threads.
  std::uint32_t search_threads = 0;

  // Memory for cached records and ids; embeddings are mapped and never cached.
  // 1 MiB to 1 TiB. Default: 64 MiB.
  std::uint64_t block_cache_bytes = std::uint64_t{64} << 20;

  // The tail of rows not sealed yet is sealed into blocks in the background
  // when its embeddings reach this size, full blocks first, one that is not full when it
  // alone reaches it; at four times the size writers wait. Whoever seals, compacts or imports
  // has the codes of up to three blocks made by other threads meanwhile.
  // 64 KiB to 1 GiB. Default: 16 MiB.
  std::uint64_t seal_bytes = std::uint64_t{16} << 20;

  // Rows of a full block, a multiple of 64 up to 1,048,576 that makes at most 1 GiB of
  // embeddings. Fixed at creation; later 0 accepts what the store says, and anything else
  // must match. Default: 0, at creation as many as make about 2 MiB of embeddings
  // (docs/benchmarks.md).
  std::uint32_t rows_per_block = 0;

  // Bring the mapped blocks and edges into memory at open (MADV_POPULATE_READ), so that
  // the first search does not pay for page faults. Default: false.
  bool prefault = false;

  // Compare every block and the sealed edges with their checksums at open, where else each is
  // compared when it is first touched (ReadOptions::verify_checksums) or when Verify() is called:
  // kDataLoss naming the first that is damaged, codes included, and no search pays for it later.
  // It reads all sealed bytes (docs/durability.md has what each way costs). Default: false.
  bool verify_at_open = false;

  // Which kernels: "" for the best here, else a name that Kernels() lists,
  // such as "zig-v3". The environment variable ENGRAM_KERNELS is asked when
  // this is empty. Default: "".
  std::string kernels;
};

struct WriteOptions {
  // Default: kProcess.
  Durability durability = Durability::kProcess;

  // Put of an id that exists: false replaces it (upsert), true answers
  // kAlreadyExists and changes nothing. Default: false.
  bool error_if_present = false;

  // PutEdge to or from an id that does not exist: true makes it a memory without
  // an embedding and without a payload, false answers kNotFound. Default: false.
  bool create_missing = false;

  // The clock, in seconds since 1970: when the memories that are put were last used, and when
  // a Reinforce happened. Default: what the system's clock says.
  std::optional<std::int64_t> now_unix_seconds;
};

struct ReadOptions {
  // Read this state; null reads the latest. It must come from the same Store.
  // Default: null.
  std::shared_ptr<const Snapshot> snapshot;

  // Check the checksum of every block, and of the sealed edges, when this process first touches
  // them. False skips that, and SearchInfo::exact is then false; records, ids and keys are
  // checked whatever it is. Default: true.
  bool verify_checksums = true;
};

// What a search may leave out.
enum class SearchMode : std::uint8_t {
  // Nothing: the answer is the true top k, the same ids and score bits whatever path is
  // taken, which SearchInfo::path tells.
  kExact = 0,
};

struct SearchOptions : ReadOptions {
  // How many hits, at least 1; more than there are rows means all of them.
  // Default: 10.
  std::uint32_t k = 10;

  // Default: kExact.
  SearchMode mode = SearchMode::kExact;

  // Score every row in f32, where the codes of sealed blocks would rule most of them out: for
  // comparison, and where codes are damaged and Compact() has not made them anew. Default: false.
  bool plain = false;

  // Only hits with score >= *min_score. Not NaN. Default: no bound.
  std::optional<float> min_score;

  // Threads for this call, 1 to 256; more than StoreOptions::search_threads
  // means that many. Default: 0, the store's.
  std::uint32_t threads = 0;

  // When it passes, no more rows are scored after about a millisecond a thread, and
  // SearchInfo::truncated is said. What is not cut short: checking the queries, the first
  // reading of a block for its checksums, and putting the answers together. Default: none.
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// By what the weights of the edges out of a memory are divided.
enum class Normalisation : std::uint8_t {
  kNone = 0,          // nothing
  kOutWeightSum = 1,  // their sum: a memory gives away what it has, and no more
  kSqrtDegree = 2,    // the square root of how many they are: the fan effect of ACT-R, softened
};

// Each of max_hops steps takes activation along the edges. With r the seeds'
// activations divided by their sum, and W the weights after normalisation:
//
//   restart > 0:  a' = restart r + (1 - restart) W^T a          (personalised PageRank)
//   restart = 0:  a' = r + hop_decay W^T a, divided by its maximum where that is above 1
//
// from a = r, where a memory whose activation is below `threshold` passes on nothing. An
// activation that would exceed the largest f32 is that.
struct SpreadOptions : ReadOptions {
  // 0 to 1000; 0 leaves the seeds as they are. Default: 10.
  std::uint32_t max_hops = 10;

  // 0 to 1. Default: 0.15.
  float restart = 0.15f;

  // Used when restart is 0; 0 to 1. Default: 0.85.
  float hop_decay = 0.85f;

  // Not negative. Default: 1e-4.
  float threshold = 1e-4f;

  // Of more memories than this that could pass on activation in a step only the
  // most active do, ties by the order of their creation. At least 1. Default: 100,000.
  std::uint32_t max_active = 100000;

  // Default: kOutWeightSum.
  Normalisation normalisation = Normalisation::kOutWeightSum;

  // Only edges of these types count, in the normalisation too. The span is read
  // during the call. Default: empty, which means all types.
  absl::Span<const std::uint32_t> edge_types;

  // How many memories a Spread answers with, the most active; 0: all. Default: 0.
  std::uint32_t k = 0;

  // Fill Recalled::path. Default: false.
  bool explain = false;

  // When it passes, spreading stops after the step it is in. Default: none.
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// How strength fades with the time since the last use.
enum class Decay : std::uint8_t {
  kNone = 0,
  kHalfLife = 1,  // strength * 2^(-age / half_life)
  kPowerLaw = 2,  // strength * (1 + age / half_life)^-power_law_exponent
};

// How old strengths are seen: shared by Recall and Forget.
struct StrengthOptions {
  // Default: kHalfLife.
  Decay decay = Decay::kHalfLife;

  // Positive and finite. Default: one day.
  double half_life_seconds = 86400.0;

  // Positive and finite. Default: 0.5.
  double power_law_exponent = 0.5;

  // The clock, in seconds since 1970; a use later than it counts as just now. An answer
  // depends on store, cue and this alone. Default: what the system's clock says.
  std::optional<std::int64_t> now_unix_seconds;
};

// Similarity finds seeds, named memories join them, activation spreads, and one
// blended score orders the answer; docs/recall.md has the equations and where the
// defaults come from.
struct RecallOptions {
  RecallOptions() { seeds.k = 5; }

  // The search that finds seeds; its `snapshot`, verify_checksums and `deadline` hold for
  // the whole recall. Default: k = 5.
  SearchOptions seeds;

  // The activation of a seed is ((s - min) / (max - min))^seed_sharpness over the
  // scores of the seeds; 1 where they are all equal. 0 to 100. Default: 4.
  float seed_sharpness = 4.0f;

  // Memories that the cue names outright, with or without an embedding; naming one twice is
  // naming it once. The span is read during the call. Default: none.
  absl::Span<const MemoryId> named;

  // The activation of a named memory is named_weight * degree^-named_fan_exponent, with
  // degree the number of edges out of it (of SpreadOptions::edge_types), 1 at least. Finite, not
  // negative. Default: 1 and 0.25.
  float named_weight = 1.0f;
  float named_fan_exponent = 0.25f;

  // How activation spreads; its snapshot, verify_checksums, k and deadline are not used.
  SpreadOptions spread;

  // How many hits, at least 1. Default: 10.
  std::uint32_t k = 10;

  // Whether memories without an embedding can be hits too. Default: false.
  bool include_bare = false;

  // score = similarity term + activation_weight * activation + strength_weight * strength.
  // Finite. Default: 3 and 0.
  float activation_weight = 3.0f;
  float strength_weight = 0.0f;

  StrengthOptions strength;
};

struct ForgetOptions {
  // Memories whose strength is below this are deleted, as by Delete(). Not NaN. Default: 0,
  // below which nothing is.
  float strength_below = 0.0f;

  StrengthOptions strength;

  // Only count them. Default: true.
  bool dry_run = true;

  // Called, by the thread that asked, for each memory that has faded, with its strength, before any
  // is deleted with it; one that somebody uses meanwhile stays all the same. Default: none.
  std::function<void(MemoryId id, float strength)> faded;

  // Default: kProcess.
  Durability durability = Durability::kProcess;
  ProgressCallback progress;
};

struct LinkOptions {
  // Default: kProcess.
  Durability durability = Durability::kProcess;

  // As WriteOptions::create_missing. Default: false.
  bool create_missing = false;

  // The number of edges if it is known, for Progress::total. Default: 0.
  std::uint64_t expected = 0;
  ProgressCallback progress;
};

struct ImportOptions {
  // How each chunk is written. Default: kPower.
  Durability durability = Durability::kPower;

  // Only read and check the memories, and count them; nothing is stored. Not checked is what
  // depends on the store: which memories keys name, and whether ids are left. Default: false.
  bool dry_run = false;

  // The number of memories if it is known, for Progress::total. Default: 0.
  std::uint64_t expected = 0;

  // Called after each chunk: `done` memories are stored, the first that the source gave.
  ProgressCallback progress;
};

struct CompactOptions {
  // Rewrite only files of which at least this share of rows is dead; 0 to 1. 0 also
  // takes files with a single dead row, and those whose codes are damaged, or that an older version
  // wrote without, and gives back the space of payloads and keys that were replaced or deleted,
  // which else comes back in time. Small files are merged whatever it is. Default: 0.
  double min_dead_fraction = 0.0;
  ProgressCallback progress;
};

struct VerifyOptions {
  // Read every block and every other table file and compare their checksums; false checks only
  // that blocks, ids and records agree with each other. Default: true.
  bool read_every_block = true;
  ProgressCallback progress;
};

struct RepairOptions {
  // What the store is, for one whose own description is lost: without it nothing else says so.
  // Where the description can be read, what is said must be the same. Default: nothing is said.
  std::uint32_t dimension = 0;
  std::optional<Metric> metric;
  ProgressCallback progress;  // counts memories
};

struct BackupOptions {
  ProgressCallback progress;
};

}  // namespace engram

#endif  // ENGRAM_OPTIONS_H_

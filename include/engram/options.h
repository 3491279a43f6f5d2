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
  // access to the directory and takes no lock. The state seen is that of the
  // open or of the last Refresh(). Default: false.
  bool read_only = false;

  // How long to wait for another writer to let go of the store, before
  // kUnavailable names the process that holds it. At most one hour. Default: 0.
  std::chrono::milliseconds lock_timeout{0};

  // Threads one search may use, the caller's included; 1 to 256. Default: 0,
  // the number of hardware threads.
  std::uint32_t search_threads = 0;

  // Memory for cached records and ids; embeddings are mapped and never cached.
  // 1 MiB to 1 TiB. Default: 64 MiB.
  std::uint64_t block_cache_bytes = std::uint64_t{64} << 20;

  // The tail of rows not sealed yet is sealed into blocks in the background
  // when its embeddings reach this size; at four times the size writers wait.
  // 64 KiB to 1 GiB. Default: 16 MiB.
  std::uint64_t seal_bytes = std::uint64_t{16} << 20;

  // Rows of a full block, a multiple of 64 up to 1,048,576. Default: 0, as
  // many as make about 2 MiB of embeddings (docs/benchmarks.md).
  std::uint32_t rows_per_block = 0;

  // Bring the mapped blocks into memory at open (MADV_POPULATE_READ), so that
  // the first search does not pay for page faults. Default: false.
  bool prefault = false;

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
};

struct ReadOptions {
  // Read this state; null reads the latest. It must come from the same Store.
  // Default: null.
  std::shared_ptr<const Snapshot> snapshot;

  // Check the checksum of every block when this process first touches it, and
  // of every record read. False skips both, and SearchInfo::exact is false
  // where unverified bytes were used. Default: true.
  bool verify_checksums = true;
};

struct SearchOptions : ReadOptions {
  // How many hits, at least 1; more than there are rows means all of them.
  // Default: 10.
  std::uint32_t k = 10;

  // Only hits with score >= *min_score. Not NaN. Default: no bound.
  std::optional<float> min_score;

  // Threads for this call, 1 to 256; more than StoreOptions::search_threads
  // means that many. Default: 0, the store's.
  std::uint32_t threads = 0;

  // When it passes, the search stops within about a millisecond a thread and
  // says SearchInfo::truncated. Default: none.
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

struct ImportOptions {
  // How each chunk is written. Default: kPower.
  Durability durability = Durability::kPower;

  // The number of memories if it is known, for Progress::total. Default: 0.
  std::uint64_t expected = 0;
  ProgressCallback progress;
};

struct CompactOptions {
  // Only files of which at least this share of rows is dead; 0 to 1. 0 also
  // takes files with a single dead row, and never one without. Default: 0.
  double min_dead_fraction = 0.0;
  ProgressCallback progress;
};

struct VerifyOptions {
  // Read every block and compare its checksums; false checks only that blocks,
  // ids and records agree with each other. Default: true.
  bool read_every_block = true;
  ProgressCallback progress;
};

struct BackupOptions {
  ProgressCallback progress;
};

}  // namespace engram

#endif  // ENGRAM_OPTIONS_H_

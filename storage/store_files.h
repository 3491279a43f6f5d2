// The face of storage/ to src/: a directory of files as a store of rows and
// records. It knows bytes, numbers and moments; what a vector means, and
// whether it is a good one, is decided above.
//
// Thread safety: every function from any thread.
#ifndef ENGRAM_STORAGE_STORE_FILES_H_
#define ENGRAM_STORAGE_STORE_FILES_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/format/record_format.h"
#include "storage/view.h"

namespace engram::storage {

// As engram::Durability, number for number.
enum class Durability : std::uint8_t { kNone = 0, kProcess = 1, kPower = 2 };

struct FilesOptions {
  std::uint32_t dimension = 0;  // 0: what the store says
  std::uint8_t metric = 0;      // 0: what the store says
  bool create_if_missing = false;
  bool error_if_exists = false;
  bool read_only = false;
  bool prefault = false;
  bool verify_at_open = false;
  std::chrono::milliseconds lock_timeout{0};
  std::uint64_t block_cache_bytes = std::uint64_t{64} << 20;
  std::uint64_t seal_bytes = std::uint64_t{16} << 20;
  std::uint32_t rows_per_block = 0;  // 0: what the store says, at first DefaultRowsPerBlock()
};

// Returns: how many rows of `dimension` floats make about 2 MiB, a multiple of 64.
std::uint32_t DefaultRowsPerBlock(std::uint32_t dimension);

// What was known of a memory when it was found fit to be forgotten.
struct MemoryUse {
  MemoryHead head;
  Strength strength;
};

// One change, checked by the caller: `vector` is empty or as long as the
// dimension and finite, `norm` is its norm, weights are finite and not negative.
// The spans live until Write returns.
struct Change {
  enum class Kind : std::uint8_t {
    kPut,
    kDelete,
    kSetKey,
    kPutEdge,
    kDeleteEdge,
    kReinforce,
    kForget,  // kDelete, unless the memory is gone or was used since `unused_since`
  };
  Kind kind = Kind::kPut;
  std::uint64_t id = 0;  // of an edge, the memory it leaves
  absl::Span<const float> vector;
  float norm = 0.0f;
  std::string_view bytes;  // payload or key
  std::uint64_t to = 0;
  std::uint32_t type = 0;
  float weight = 0.0f;
  std::uint64_t added = 0;  // kReinforce: in steps of 1 / kStrengthOne
  const MemoryUse* unused_since = nullptr;
};

// One edge to put, checked in the same way.
struct EdgePut {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint32_t type = 0;
  float weight = 0.0f;
};

// How a group of changes is written.
struct WriteRules {
  Durability durability = Durability::kProcess;
  bool error_if_present = false;
  bool create_missing = false;
  std::int64_t now = 0;  // seconds since 1970
};

// One memory of an import, checked in the same way. The spans live until the
// source is asked again.
struct ImportedMemory {
  std::optional<std::uint64_t> id;
  absl::Span<const float> vector;
  float norm = 0.0f;
  std::string_view payload;
  absl::Span<const std::string> keys;
};
using MemorySource = absl::FunctionRef<absl::StatusOr<bool>(ImportedMemory*)>;
struct ImportCounts {
  std::uint64_t memories = 0;
};
using EdgePutSource = absl::FunctionRef<absl::StatusOr<bool>(EdgePut*)>;
struct LinkCounts {
  std::uint64_t edges = 0, created = 0;
};

// Called with (done, total); false cancels.
using ProgressFunction = std::function<bool(std::uint64_t done, std::uint64_t total)>;

struct FilesStats {
  std::uint64_t blocks = 0, dead_rows = 0, tail_rows = 0, edge_changes = 0, sealed_edges = 0;
  std::uint64_t coded_rows = 0;
  std::uint64_t bytes_on_disk = 0, bytes_mapped = 0, bytes_codes = 0, bytes_heap = 0, wal_bytes = 0;
  std::string background_error;  // empty: none
};

struct FilesReport {
  std::uint64_t blocks = 0, bytes = 0, memories = 0, corrupt_blocks = 0;
  std::uint64_t edges = 0, dangling_edges = 0;
  std::vector<std::string> findings;
};

class StoreFiles {
 public:
  // Errors: as engram::Store::Open.
  static absl::StatusOr<std::unique_ptr<StoreFiles>> Open(const FilesOptions& options,
                                                          const std::string& path);
  static absl::Status Destroy(const std::string& path);

  // Closes. Views may live on; the files close with the last of them.
  virtual ~StoreFiles() = default;
  StoreFiles(const StoreFiles&) = delete;
  StoreFiles& operator=(const StoreFiles&) = delete;

  virtual const StoreMeta& meta() const = 0;

  // Returns: the newest view; null only after Close().
  virtual std::shared_ptr<const View> CurrentView() const = 0;

  // Applies all changes in order as one commit, or none. Errors: kNotFound and
  // kAlreadyExists name the id.
  virtual absl::Status Write(const WriteRules& rules, absl::Span<const Change> changes) = 0;
  // As Write; `changes` are all kForget. Returns: how many memories were deleted.
  virtual absl::StatusOr<std::uint64_t> Forget(const WriteRules& rules,
                                               absl::Span<const Change> changes) = 0;
  virtual absl::StatusOr<ImportCounts> Import(const WriteRules& rules, std::uint64_t expected,
                                              const ProgressFunction& progress,
                                              MemorySource source) = 0;
  virtual absl::StatusOr<LinkCounts> Link(const WriteRules& rules, std::uint64_t expected,
                                          const ProgressFunction& progress,
                                          EdgePutSource source) = 0;
  // Returns: the number of the edge type `name`, which gets one if it has none. Names are of
  // at least one byte, checked by the caller.
  virtual absl::StatusOr<std::uint32_t> EdgeType(Durability durability, std::string_view name) = 0;
  virtual absl::Status Flush() = 0;
  virtual absl::Status Seal() = 0;
  virtual absl::Status Compact(double min_dead_fraction, const ProgressFunction& progress) = 0;
  virtual absl::Status Backup(const std::string& directory, const ProgressFunction& progress) = 0;
  virtual absl::StatusOr<FilesReport> Verify(bool read_every_block,
                                             const ProgressFunction& progress) const = 0;
  virtual absl::Status Refresh() = 0;
  virtual FilesStats Stats() const = 0;

  // Stops the background work and makes everything power-safe. Afterwards
  // CurrentView() is null and nothing else may be called; the files close when
  // the last view is gone. Idempotent.
  virtual absl::Status Close() = 0;

 protected:
  StoreFiles() = default;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_STORE_FILES_H_

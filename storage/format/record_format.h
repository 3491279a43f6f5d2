// The small values of the store: what a store is, where it stands, which
// files of blocks live, where a memory's parts are. docs/format.md draws them;
// frozen with format version 1. Every Decode treats its bytes as hostile and
// answers kDataLoss naming the value, what was found and what was expected.
#ifndef ENGRAM_STORAGE_FORMAT_RECORD_FORMAT_H_
#define ENGRAM_STORAGE_FORMAT_RECORD_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/format/key_format.h"

namespace engram::storage {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::uint64_t kNoRow = ~std::uint64_t{0};

// Bounds that every decoded number must keep before it is used.
inline constexpr std::uint32_t kMaxDimensionOnDisk = 65536;
inline constexpr std::uint32_t kMaxRowsPerBlock = 1u << 20;
inline constexpr std::uint64_t kMaxBlockBytes = std::uint64_t{1} << 30;  // of embeddings
inline constexpr std::uint32_t kMaxBlocksPerFile = 1u << 16;
inline constexpr std::uint64_t kMaxRow = std::uint64_t{1} << 56;

// The engram::Metric under which the norms of embeddings do not count.
inline constexpr std::uint8_t kCosineOnDisk = 1;

// What the store is; written once, at creation.
struct StoreMeta {
  std::uint32_t format_version = kFormatVersion;
  std::uint32_t dimension = 0;
  std::uint8_t metric = 0;  // engram::Metric
  std::uint32_t rows_per_block = 0;

  friend bool operator==(const StoreMeta&, const StoreMeta&) = default;
};
// Returns: the bytes of embeddings in a full block; more than kMaxBlockBytes is no store's.
inline std::uint64_t BlockEmbeddingBytes(std::uint32_t dimension, std::uint32_t rows_per_block) {
  return std::uint64_t{dimension} * rows_per_block * sizeof(float);
}

std::string EncodeStoreMeta(const StoreMeta& meta);
// A format version above kFormatVersion decodes to that version alone, so that
// the caller can name it.
absl::StatusOr<StoreMeta> DecodeStoreMeta(std::string_view bytes);

// Where the store stands; rewritten by every commit. `batch` numbers the
// batches of the log without a gap, which is how recovery notices a lost one; `synced`
// tells it whether that one had to be there.
struct CommitRecord {
  std::uint64_t batch = 0;
  std::uint64_t next_row = 0;   // every row below has been given
  std::uint32_t next_node = 0;  // every node below has been given
  std::uint64_t memories = 0;
  std::uint64_t live_rows = 0;
  // The newest batch that was known to be power-safe when this one was written; nullopt: the
  // record says nothing of it, as the first ones did.
  std::optional<std::uint64_t> synced = std::nullopt;

  friend bool operator==(const CommitRecord&, const CommitRecord&) = default;
};
std::string EncodeCommitRecord(const CommitRecord& record);
absl::StatusOr<CommitRecord> DecodeCommitRecord(std::string_view bytes);

// One block of a file: it holds `rows` rows out of [first_row, first_row + span).
struct BlockExtent {
  std::uint64_t first_row = 0;
  std::uint32_t span = 0;
  std::uint32_t rows = 0;

  std::uint64_t end_row() const { return first_row + span; }
  friend bool operator==(const BlockExtent&, const BlockExtent&) = default;
};

// One file of blocks, in ascending row order, with all columns of each. The
// blocks of a store are exactly those that file entries name.
struct FileEntry {
  std::uint32_t generation = 0;
  std::vector<ColumnKind> columns;  // ascending; kRowOffset is implied by span != rows
  std::vector<BlockExtent> blocks;  // at least one

  std::uint64_t first_row() const { return blocks.front().first_row; }
  std::uint64_t end_row() const { return blocks.back().end_row(); }
  friend bool operator==(const FileEntry&, const FileEntry&) = default;
};
std::string EncodeFileEntry(const FileEntry& entry);
absl::StatusOr<FileEntry> DecodeFileEntry(std::string_view bytes);

// Where the parts of a memory are. It stays, not live, after a delete, because
// the node stays the id's; `incarnation` counts its lives. Edges of an earlier one went
// by an event of their own (edge_format.h).
struct MemoryHead {
  bool live = false;
  std::uint32_t node = 0;
  std::uint32_t incarnation = 0;
  std::uint64_t row = kNoRow;  // kNoRow: no embedding

  friend bool operator==(const MemoryHead&, const MemoryHead&) = default;
};
std::string EncodeMemoryHead(const MemoryHead& head);
absl::StatusOr<MemoryHead> DecodeMemoryHead(std::string_view bytes);

std::string EncodeId(std::uint64_t id);  // the value of text keys and nodes
absl::StatusOr<std::uint64_t> DecodeId(std::string_view bytes);

// The payload of a memory, and when the memory was put: in seconds since 1970.
struct PayloadRecord {
  // nullopt: the record says nothing of it, as those of version 1 did.
  std::optional<std::int64_t> put_at;
  std::string_view payload;
};
std::string EncodePayload(std::int64_t put_at, std::string_view payload);
absl::StatusOr<PayloadRecord> DecodePayload(std::string_view bytes);

// What reinforcement has added to the strength of a memory, in steps of 2^-20, and
// when it was last reinforced. Whole numbers, so that sums do not depend on when
// they are formed: strength_merge.h adds them up.
struct StrengthRecord {
  std::uint64_t added = 0;
  std::int64_t last_use = 0;

  friend bool operator==(const StrengthRecord&, const StrengthRecord&) = default;
};
inline constexpr std::uint64_t kStrengthOne = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kMaxStrengthAdded = 1024 * kStrengthOne;
std::string EncodeStrength(const StrengthRecord& record);
absl::StatusOr<StrengthRecord> DecodeStrength(std::string_view bytes);

// Returns: both together. Associative and commutative.
StrengthRecord AddStrengths(const StrengthRecord& a, const StrengthRecord& b);

// A row of the tail: an embedding with what its block columns will hold.
struct TailRow {
  std::uint64_t id = 0;
  std::uint32_t node = 0;
  float norm = 0.0f;
  std::string_view embedding;  // dimension x f32, not aligned
};
void AppendTailRow(const TailRow& row, std::string* out);
absl::StatusOr<TailRow> DecodeTailRow(std::string_view bytes, std::uint32_t dimension);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_FORMAT_RECORD_FORMAT_H_

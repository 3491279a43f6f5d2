// Every key of the store, in one place. docs/format.md draws them; they are
// frozen with format version 1.
//
//   column family  key                                        value
//   default        "engram.store"                             StoreMeta
//   catalog        'c'                                        CommitRecord
//   catalog        'f' first row:u64                          FileEntry
//   catalog        'e'                                        EdgeCatalog
//   catalog        't' name of an edge type                   number:u32
//   catalog        'w'                                        (empty): every key has its form
//   ids            'i' id:u64                                 MemoryHead
//   ids            'k' key text                               id:u64
//   ids            'n' node:u32                               id:u64
//   ids            'r' id:u64 key text                        (empty)
//   ids            'w' normal form, zero byte, key text       (empty)
//   records        id:u64 record kind:u8                      per kind
//   tail           row:u64                                    TailRow
//   tail           'e' number of the first:u64                run of EdgeEvents
//   tail           's'                                        (empty): once something was sealed
//   tombstones     row:u64                                    (empty)
//   blocks         generation:u32 first row:u64 column:u32    block column
//   edges          generation:u32 first node:u64 column:u32   block column
//   late           (reserved)
//
// All integers in keys are big-endian.
#ifndef ENGRAM_STORAGE_FORMAT_KEY_FORMAT_H_
#define ENGRAM_STORAGE_FORMAT_KEY_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engram::storage {

// The column families, in the order the database opens them. Columns that are built
// at other times than the blocks are in families of their own, because files of
// one family must never interleave: kEdges, and kLate, which holds nothing yet.
enum class Family : std::uint8_t {
  kDefault,
  kCatalog,
  kIds,
  kRecords,
  kEdges,
  kTail,
  kTombstones,
  kBlocks,
  kLate,
};
inline constexpr int kFamilyCount = 9;
std::string_view FamilyName(Family family);

// What a column of a block holds, for each of its rows. Numbers are frozen;
// graph columns will take others. edge_format.h tells of those of edges, code_format.h
// of codes.
enum class ColumnKind : std::uint32_t {
  kEmbedding = 1,  // f32 x dimension, as put
  kNorm = 2,       // f32: the embedding's Euclidean norm
  kNode = 3,       // u32
  kId = 4,         // u64
  kRowOffset = 5,  // u32: row - first row; only where the rows have gaps
  kEdgeOffset = 6,
  kEdgeTarget = 7,
  kEdgeWeight = 8,
  kEdgeType = 9,
  kEdgeSum = 10,
  kInOffset = 11,
  kInSource = 12,
  kCode = 13,
  kFineCode = 14,
  kRotation = 15,  // of the whole file, under its first block
};
std::string_view ColumnName(ColumnKind kind);

// What a record of a memory holds.
enum class RecordKind : std::uint8_t { kPayload = 1, kStrength = 2 };

inline constexpr std::string_view kMetaKey = "engram.store";
inline constexpr std::string_view kCommitKey = "c";
inline constexpr std::string_view kEdgeCatalogKey = "e";
inline constexpr std::string_view kFormsKey = "w";
inline constexpr char kFilePrefix = 'f';
inline constexpr char kTypePrefix = 't';
// Above every row of the tail: rows stay below 2^56, and so begin with a zero.
inline constexpr char kEventPrefix = 'e';
// Put again by every batch that deletes a range of the tail, so that a compaction by RocksDB
// finds a key to write: 7.8 ends the process where an output without one cannot be written.
inline constexpr std::string_view kSealedKey = "s";
inline constexpr char kHeadPrefix = 'i';
inline constexpr char kKeyPrefix = 'k';
inline constexpr char kNodePrefix = 'n';
inline constexpr char kIdKeysPrefix = 'r';
inline constexpr char kFormPrefix = 'w';

std::string FileKey(std::uint64_t first_row);
std::string HeadKey(std::uint64_t id);
std::string TextKey(std::string_view key);
std::string TypeKey(std::string_view name);
std::string NodeKey(std::uint32_t node);
std::string IdKeysPrefix(std::uint64_t id);
std::string IdKeysKey(std::uint64_t id, std::string_view key);
// The keys of that form are what follows it. Forms hold no zero byte.
std::string FormPrefix(std::string_view form);
std::string FormKey(std::string_view form, std::string_view key);
std::string RecordKey(std::uint64_t id, RecordKind kind);
std::string RowKey(std::uint64_t row);  // tail and tombstones

struct BlockKey {
  std::uint32_t generation = 0;
  std::uint64_t first_row = 0;
  ColumnKind column = ColumnKind::kEmbedding;

  friend bool operator==(const BlockKey&, const BlockKey&) = default;
};
inline constexpr std::size_t kBlockKeyBytes = 16;
std::string EncodeBlockKey(const BlockKey& key);

// Returns, for all of these: nullopt when the bytes are no such key.
std::optional<BlockKey> DecodeBlockKey(std::string_view bytes);
std::optional<std::uint64_t> DecodeFileKey(std::string_view bytes);
std::optional<std::uint64_t> DecodeHeadKey(std::string_view bytes);
std::optional<std::uint32_t> DecodeNodeKey(std::string_view bytes);
std::optional<std::uint64_t> DecodeRowKey(std::string_view bytes);
struct IdAndKey {
  std::uint64_t id = 0;
  std::string_view key;
};
std::optional<IdAndKey> DecodeIdKeysKey(std::string_view bytes);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_FORMAT_KEY_FORMAT_H_

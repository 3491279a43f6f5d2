// One column of one block: a header, a computed pad, the payload.
//
//   offset  size  field
//        0     4  magic "EBLK"
//        4     2  version, 1
//        6     2  head: bytes from the start of the value to the payload
//        8     8  first row
//       16     4  rows
//       20     4  span: the rows come out of [first row, first row + span)
//       24     4  column kind
//       28     4  bytes per row
//       32     8  payload bytes = rows x bytes per row
//       40     8  XXH3-64 of the payload
//       48     4  generation
//       52     4  zero
//       56     8  XXH3-64 of bytes 0 to 55
//       64     …  zeros up to `head`
//     head     …  payload: one little-endian array
//        …     …  zeros up to 4,096 bytes in all
//
// `head` is chosen so that the payload of a mapped table file starts on a
// 64-byte boundary: RocksDB aligns the data block that holds the value to 4,096
// bytes and puts 1 + varint(key + 8) + varint(value) + key + 8 bytes before it.
// The 4,096-byte minimum is what gives each value a data block of its own.
#ifndef ENGRAM_STORAGE_FORMAT_BLOCK_FORMAT_H_
#define ENGRAM_STORAGE_FORMAT_BLOCK_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/format/key_format.h"

namespace engram::storage {

inline constexpr std::size_t kBlockHeaderBytes = 64;
inline constexpr std::size_t kPayloadAlignment = 64;
inline constexpr std::size_t kTableBlockBytes = 4096;

struct BlockHeader {
  std::uint64_t first_row = 0;
  std::uint32_t rows = 0;
  std::uint32_t span = 0;
  ColumnKind column = ColumnKind::kEmbedding;
  std::uint32_t bytes_per_row = 0;
  std::uint32_t generation = 0;
  std::uint64_t payload_hash = 0;

  friend bool operator==(const BlockHeader&, const BlockHeader&) = default;
};

// Returns: the bytes before the payload for a value with that payload.
std::size_t BlockHeadBytes(std::size_t payload_bytes);

// Returns: the value for `payload`, whose size must be header.rows x
// header.bytes_per_row; header.payload_hash is computed.
std::string EncodeBlockColumn(const BlockHeader& header, std::string_view payload);

// A column as it lies in the mapping; `payload` points into the bytes decoded.
struct BlockColumn {
  BlockHeader header;
  std::string_view payload;
};

// Checks the header, not the payload: that is CheckBlockPayload's, which touches every byte, and
// first has the kernel bring them: mapped bytes that it cannot bring are kDataLoss too. Errors:
// kDataLoss saying what is wrong; the caller knows block and column and names them.
absl::StatusOr<BlockColumn> DecodeBlockColumn(std::string_view value);
absl::Status CheckBlockPayload(const BlockColumn& column);

// Returns: how many bytes an entry takes in `column`; 0 where the header decides.
std::uint32_t BytesPerRow(ColumnKind column, std::uint32_t dimension);

// Returns: whether `column` has one entry for each row of its block. Of others the header's rows
// and span are how many entries there are.
inline bool HasEntryPerRow(ColumnKind column) { return column < ColumnKind::kEdgeOffset; }

// Returns: whether `column` follows from the others of its block, and can be made anew.
inline bool IsDerived(ColumnKind column) {
  return column == ColumnKind::kCode || column == ColumnKind::kFineCode ||
         column == ColumnKind::kRotation;
}

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_FORMAT_BLOCK_FORMAT_H_

#include "storage/format/block_format.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/base/hash.h"
#include "storage/base/prefault.h"
#include "storage/format/code_format.h"

namespace engram::storage {
namespace {

constexpr std::uint32_t kMagic = 0x4b4c4245;  // "EBLK"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHashedHeaderBytes = 56;

std::size_t VarintBytes(std::size_t value) {
  std::size_t bytes = 1;
  for (; value >= 128; value >>= 7) ++bytes;
  return bytes;
}

std::size_t RoundUp(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Where RocksDB puts a value of this size, counted from its aligned data block.
std::size_t ValueOffset(std::size_t value_bytes) {
  constexpr std::size_t kInternalKeyBytes = kBlockKeyBytes + 8;
  return 1 + VarintBytes(kInternalKeyBytes) + VarintBytes(value_bytes) + kInternalKeyBytes;
}

absl::Status Damaged(std::string_view found) {
  return absl::DataLossError(absl::StrFormat("damaged header: %s", found));
}

}  // namespace

std::size_t BlockHeadBytes(std::size_t payload_bytes) {
  // The pad can push the value over a varint step, which moves it by one byte:
  // one more round settles it, because the next step is far away.
  std::size_t head = kBlockHeaderBytes;
  for (int round = 0; round < 3; ++round) {
    const std::size_t value = std::max(head + payload_bytes, kTableBlockBytes);
    const std::size_t offset = ValueOffset(value);
    head = RoundUp(offset + kBlockHeaderBytes, kPayloadAlignment) - offset;
  }
  return head;
}

std::string EncodeBlockColumn(const BlockHeader& header, std::string_view payload) {
  const std::size_t head = BlockHeadBytes(payload.size());
  std::string value;
  value.reserve(std::max(head + payload.size(), kTableBlockBytes));
  AppendLittleEndian(kMagic, &value);
  AppendLittleEndian(kVersion, &value);
  AppendLittleEndian(static_cast<std::uint16_t>(head), &value);
  AppendLittleEndian(header.first_row, &value);
  AppendLittleEndian(header.rows, &value);
  AppendLittleEndian(header.span, &value);
  AppendLittleEndian(static_cast<std::uint32_t>(header.column), &value);
  AppendLittleEndian(header.bytes_per_row, &value);
  AppendLittleEndian(static_cast<std::uint64_t>(payload.size()), &value);
  AppendLittleEndian(Hash64(payload), &value);
  AppendLittleEndian(header.generation, &value);
  AppendLittleEndian(std::uint32_t{0}, &value);
  AppendLittleEndian(Hash64(value), &value);
  value.resize(head);
  value.append(payload);
  if (value.size() < kTableBlockBytes) value.resize(kTableBlockBytes);
  return value;
}

absl::StatusOr<BlockColumn> DecodeBlockColumn(std::string_view value) {
  if (value.size() < kTableBlockBytes) {
    return Damaged(
        absl::StrFormat("%d bytes, expected at least %d", value.size(), kTableBlockBytes));
  }
  FieldReader reader(value.substr(0, kBlockHeaderBytes));
  BlockColumn column;
  const auto magic = reader.Read<std::uint32_t>();
  const auto version = reader.Read<std::uint16_t>();
  const std::size_t head = reader.Read<std::uint16_t>();
  column.header.first_row = reader.Read<std::uint64_t>();
  column.header.rows = reader.Read<std::uint32_t>();
  column.header.span = reader.Read<std::uint32_t>();
  column.header.column = static_cast<ColumnKind>(reader.Read<std::uint32_t>());
  column.header.bytes_per_row = reader.Read<std::uint32_t>();
  const auto payload_bytes = reader.Read<std::uint64_t>();
  column.header.payload_hash = reader.Read<std::uint64_t>();
  column.header.generation = reader.Read<std::uint32_t>();
  const auto zero = reader.Read<std::uint32_t>();
  const auto header_hash = reader.Read<std::uint64_t>();
  if (magic != kMagic) return Damaged("no magic bytes");
  if (header_hash != Hash64(value.substr(0, kHashedHeaderBytes))) {
    return Damaged("its checksum does not match");
  }
  if (version != kVersion || zero != 0) {
    return Damaged(absl::StrFormat("version %d, expected %d", version, kVersion));
  }
  if (payload_bytes != std::uint64_t{column.header.rows} * column.header.bytes_per_row ||
      head < kBlockHeaderBytes || head > value.size() || payload_bytes > value.size() - head) {
    return Damaged(absl::StrFormat("%d rows of %d bytes, payload of %d at %d, in %d bytes",
                                   column.header.rows, column.header.bytes_per_row, payload_bytes,
                                   head, value.size()));
  }
  // Elsewhere it would not be aligned, which kernels and types take for granted.
  if (head != BlockHeadBytes(payload_bytes)) {
    return Damaged(absl::StrFormat("payload of %d bytes at %d, expected at %d", payload_bytes, head,
                                   BlockHeadBytes(payload_bytes)));
  }
  column.payload = value.substr(head, payload_bytes);
  return column;
}

absl::Status CheckBlockPayload(const BlockColumn& column) {
  // Whatever else there was is no reason not to try.
  const absl::Status present = PrefaultBytes(column.payload);
  if (absl::IsDataLoss(present)) return present;
  const std::uint64_t found = Hash64(column.payload);
  if (found == column.header.payload_hash) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("checksum of %d payload bytes is %016x, expected %016x",
                      column.payload.size(), found, column.header.payload_hash));
}

std::uint32_t BytesPerRow(ColumnKind column, std::uint32_t dimension) {
  switch (column) {
    case ColumnKind::kEmbedding: return dimension * 4;
    case ColumnKind::kNorm: return 4;
    case ColumnKind::kNode: return 4;
    case ColumnKind::kId: return 8;
    case ColumnKind::kRowOffset: return 4;
    case ColumnKind::kEdgeOffset:
    case ColumnKind::kEdgeTarget:
    case ColumnKind::kEdgeWeight:
    case ColumnKind::kEdgeSum:
    case ColumnKind::kInOffset:
    case ColumnKind::kInSource: return 4;
    case ColumnKind::kEdgeType: return 0;  // as its header says: 1, 2 or 4
    case ColumnKind::kCode: return kCodeUnitBytes;
    case ColumnKind::kFineCode: return static_cast<std::uint32_t>(FineRowBytes(dimension));
    case ColumnKind::kRotation: return dimension * 4;
  }
  return 0;
}

}  // namespace engram::storage

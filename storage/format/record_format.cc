#include "storage/format/record_format.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

constexpr std::string_view kMetaMagic = "ENGRAM\r\n";
constexpr std::uint8_t kHeadLive = 1;
constexpr std::uint8_t kHeadHasRow = 2;
constexpr std::uint8_t kTimelessPayloadVersion = 1;
constexpr std::uint8_t kPayloadVersion = 2;
constexpr std::uint8_t kStrengthVersion = 1;
constexpr std::uint32_t kMaxColumns = 64;
constexpr std::size_t kCommitBytesWithoutSynced = 36;

absl::Status Damaged(std::string_view what, std::string_view found) {
  return absl::DataLossError(absl::StrFormat("%s is damaged: %s", what, found));
}

absl::Status WrongSize(std::string_view what, std::size_t size) {
  return Damaged(what, absl::StrFormat("it does not end where it should; it has %d bytes", size));
}

absl::Status CheckExtents(const FileEntry& entry) {
  std::uint64_t previous_end = 0;
  for (const BlockExtent& block : entry.blocks) {
    const bool sound = block.rows >= 1 && block.rows <= kMaxRowsPerBlock &&
                       block.span >= block.rows && block.first_row <= kMaxRow &&
                       block.end_row() <= kMaxRow && block.first_row >= previous_end;
    if (!sound) {
      return Damaged(
          "a file entry of the catalog",
          absl::StrFormat("block at row %d has %d rows in a span of %d and follows row %d",
                          block.first_row, block.rows, block.span, previous_end));
    }
    previous_end = block.end_row();
  }
  return absl::OkStatus();
}

// Searches read these of every block without a look.
absl::Status CheckColumns(const std::vector<ColumnKind>& columns) {
  for (std::size_t i = 1; i < columns.size(); ++i) {
    if (columns[i - 1] < columns[i]) continue;
    return Damaged("a file entry of the catalog",
                   absl::StrFormat("column %d follows column %d", columns[i], columns[i - 1]));
  }
  for (const ColumnKind column :
       {ColumnKind::kEmbedding, ColumnKind::kNorm, ColumnKind::kNode, ColumnKind::kId}) {
    if (std::binary_search(columns.begin(), columns.end(), column)) continue;
    return Damaged("a file entry of the catalog",
                   absl::StrFormat("it names no column %s", ColumnName(column)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeStoreMeta(const StoreMeta& meta) {
  std::string bytes(kMetaMagic);
  AppendLittleEndian(meta.format_version, &bytes);
  AppendLittleEndian(meta.dimension, &bytes);
  AppendLittleEndian(meta.metric, &bytes);
  AppendLittleEndian(meta.rows_per_block, &bytes);
  return bytes;
}

absl::StatusOr<StoreMeta> DecodeStoreMeta(std::string_view bytes) {
  if (!bytes.starts_with(kMetaMagic)) return Damaged("the store's description", "no magic bytes");
  FieldReader reader(bytes.substr(kMetaMagic.size()));
  StoreMeta meta;
  meta.format_version = reader.Read<std::uint32_t>();
  if (reader.ok() && meta.format_version > kFormatVersion) return meta;
  meta.dimension = reader.Read<std::uint32_t>();
  meta.metric = reader.Read<std::uint8_t>();
  meta.rows_per_block = reader.Read<std::uint32_t>();
  if (!reader.finished()) return WrongSize("the store's description", bytes.size());
  if (meta.format_version == 0 || meta.dimension == 0 || meta.dimension > kMaxDimensionOnDisk ||
      meta.metric < 1 || meta.metric > 3 || meta.rows_per_block == 0 ||
      meta.rows_per_block > kMaxRowsPerBlock ||
      BlockEmbeddingBytes(meta.dimension, meta.rows_per_block) > kMaxBlockBytes) {
    return Damaged(
        "the store's description",
        absl::StrFormat("format %d, dimension %d, metric %d, %d rows per block",
                        meta.format_version, meta.dimension, meta.metric, meta.rows_per_block));
  }
  return meta;
}

std::string EncodeCommitRecord(const CommitRecord& record) {
  std::string bytes;
  AppendLittleEndian(record.batch, &bytes);
  AppendLittleEndian(record.next_row, &bytes);
  AppendLittleEndian(record.next_node, &bytes);
  AppendLittleEndian(record.memories, &bytes);
  AppendLittleEndian(record.live_rows, &bytes);
  if (record.synced.has_value()) AppendLittleEndian(*record.synced, &bytes);
  return bytes;
}

absl::StatusOr<CommitRecord> DecodeCommitRecord(std::string_view bytes) {
  FieldReader reader(bytes);
  CommitRecord record;
  record.batch = reader.Read<std::uint64_t>();
  record.next_row = reader.Read<std::uint64_t>();
  record.next_node = reader.Read<std::uint32_t>();
  record.memories = reader.Read<std::uint64_t>();
  record.live_rows = reader.Read<std::uint64_t>();
  if (bytes.size() != kCommitBytesWithoutSynced) record.synced = reader.Read<std::uint64_t>();
  if (!reader.finished()) return WrongSize("the commit record", bytes.size());
  if (record.next_row > kMaxRow || record.memories > record.next_node ||
      record.live_rows > record.memories || record.synced.value_or(0) > record.batch) {
    return Damaged("the commit record",
                   absl::StrFormat("batch %d, batch %d synced, next row %d, next node %d, %d "
                                   "memories, %d live rows",
                                   record.batch, record.synced.value_or(0), record.next_row,
                                   record.next_node, record.memories, record.live_rows));
  }
  return record;
}

std::string EncodeFileEntry(const FileEntry& entry) {
  std::string bytes;
  AppendLittleEndian(entry.generation, &bytes);
  AppendLittleEndian(static_cast<std::uint32_t>(entry.columns.size()), &bytes);
  AppendLittleEndian(static_cast<std::uint32_t>(entry.blocks.size()), &bytes);
  for (const ColumnKind column : entry.columns) {
    AppendLittleEndian(static_cast<std::uint32_t>(column), &bytes);
  }
  for (const BlockExtent& block : entry.blocks) {
    AppendLittleEndian(block.first_row, &bytes);
    AppendLittleEndian(block.span, &bytes);
    AppendLittleEndian(block.rows, &bytes);
  }
  return bytes;
}

absl::StatusOr<FileEntry> DecodeFileEntry(std::string_view bytes) {
  FieldReader reader(bytes);
  FileEntry entry;
  entry.generation = reader.Read<std::uint32_t>();
  const auto columns = reader.Read<std::uint32_t>();
  const auto blocks = reader.Read<std::uint32_t>();
  if (!reader.ok() || columns > kMaxColumns || blocks == 0 || blocks > kMaxBlocksPerFile) {
    return Damaged("a file entry of the catalog",
                   absl::StrFormat("%d columns and %d blocks", columns, blocks));
  }
  for (std::uint32_t i = 0; i < columns; ++i) {
    entry.columns.push_back(static_cast<ColumnKind>(reader.Read<std::uint32_t>()));
  }
  for (std::uint32_t i = 0; i < blocks && reader.ok(); ++i) {
    BlockExtent block;
    block.first_row = reader.Read<std::uint64_t>();
    block.span = reader.Read<std::uint32_t>();
    block.rows = reader.Read<std::uint32_t>();
    entry.blocks.push_back(block);
  }
  if (!reader.finished()) return WrongSize("a file entry of the catalog", bytes.size());
  ENGRAM_RETURN_IF_ERROR(CheckColumns(entry.columns));
  ENGRAM_RETURN_IF_ERROR(CheckExtents(entry));
  return entry;
}

std::string EncodeMemoryHead(const MemoryHead& head) {
  std::string bytes;
  const int flags = (head.live ? kHeadLive : 0) | (head.row != kNoRow ? kHeadHasRow : 0);
  AppendLittleEndian(static_cast<std::uint8_t>(flags), &bytes);
  AppendLittleEndian(head.node, &bytes);
  AppendLittleEndian(head.incarnation, &bytes);
  AppendLittleEndian(head.row, &bytes);
  return bytes;
}

absl::StatusOr<MemoryHead> DecodeMemoryHead(std::string_view bytes) {
  FieldReader reader(bytes);
  MemoryHead head;
  const auto flags = reader.Read<std::uint8_t>();
  head.live = (flags & kHeadLive) != 0;
  head.node = reader.Read<std::uint32_t>();
  head.incarnation = reader.Read<std::uint32_t>();
  head.row = reader.Read<std::uint64_t>();
  if (!reader.finished()) return WrongSize("a memory head", bytes.size());
  const bool has_row = (flags & kHeadHasRow) != 0;
  const bool known_flags = (flags & ~(kHeadLive | kHeadHasRow)) == 0;
  if (!known_flags || has_row != (head.row != kNoRow) || (has_row && head.row >= kMaxRow) ||
      (has_row && !head.live)) {
    return Damaged("a memory head", absl::StrFormat("flags %d, row %d", flags, head.row));
  }
  return head;
}

std::string EncodeId(std::uint64_t id) {
  std::string bytes;
  AppendLittleEndian(id, &bytes);
  return bytes;
}

absl::StatusOr<std::uint64_t> DecodeId(std::string_view bytes) {
  FieldReader reader(bytes);
  const auto id = reader.Read<std::uint64_t>();
  if (!reader.finished()) return WrongSize("an id", bytes.size());
  return id;
}

std::string EncodePayload(std::int64_t put_at, std::string_view payload) {
  std::string bytes(1, static_cast<char>(kPayloadVersion));
  AppendLittleEndian(put_at, &bytes);
  bytes.append(payload);
  return bytes;
}

absl::StatusOr<PayloadRecord> DecodePayload(std::string_view bytes) {
  FieldReader reader(bytes);
  const auto version = reader.Read<std::uint8_t>();
  PayloadRecord record;
  if (version == kPayloadVersion) record.put_at = reader.Read<std::int64_t>();
  if (!reader.ok() || (version != kPayloadVersion && version != kTimelessPayloadVersion)) {
    return Damaged("a payload", absl::StrFormat("%d bytes, version %d", bytes.size(), version));
  }
  record.payload = reader.rest();
  return record;
}

std::string EncodeStrength(const StrengthRecord& record) {
  std::string bytes(1, static_cast<char>(kStrengthVersion));
  AppendLittleEndian(record.added, &bytes);
  AppendLittleEndian(record.last_use, &bytes);
  return bytes;
}

absl::StatusOr<StrengthRecord> DecodeStrength(std::string_view bytes) {
  FieldReader reader(bytes);
  const auto version = reader.Read<std::uint8_t>();
  StrengthRecord record;
  record.added = reader.Read<std::uint64_t>();
  record.last_use = reader.Read<std::int64_t>();
  if (!reader.finished() || version != kStrengthVersion || record.added > kMaxStrengthAdded) {
    return Damaged("a strength", absl::StrFormat("%d bytes, version %d, %d added", bytes.size(),
                                                 version, record.added));
  }
  return record;
}

StrengthRecord AddStrengths(const StrengthRecord& a, const StrengthRecord& b) {
  return {.added = std::min(a.added + b.added, kMaxStrengthAdded),
          .last_use = std::max(a.last_use, b.last_use)};
}

void AppendTailRow(const TailRow& row, std::string* out) {
  AppendLittleEndian(row.id, out);
  AppendLittleEndian(row.node, out);
  AppendLittleEndian(row.norm, out);
  out->append(row.embedding);
}

absl::StatusOr<TailRow> DecodeTailRow(std::string_view bytes, std::uint32_t dimension) {
  FieldReader reader(bytes);
  TailRow row;
  row.id = reader.Read<std::uint64_t>();
  row.node = reader.Read<std::uint32_t>();
  row.norm = reader.Read<float>();
  row.embedding = reader.rest();
  if (!reader.ok() || row.embedding.size() != std::size_t{dimension} * sizeof(float)) {
    return Damaged("a row of the tail",
                   absl::StrFormat("%d bytes, expected %d for dimension %d", bytes.size(),
                                   16 + std::size_t{dimension} * sizeof(float), dimension));
  }
  return row;
}

}  // namespace engram::storage

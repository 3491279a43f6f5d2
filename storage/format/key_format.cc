#include "storage/format/key_format.h"

#include "storage/base/coding.h"

namespace engram::storage {
namespace {

template <typename T>
std::string Prefixed(char prefix, T number) {
  std::string key(1, prefix);
  AppendBigEndian(number, &key);
  return key;
}

template <typename T>
std::optional<T> DecodePrefixed(char prefix, std::string_view bytes) {
  if (bytes.size() != 1 + sizeof(T) || bytes[0] != prefix) return std::nullopt;
  return ReadBigEndian<T>(bytes, 1);
}

}  // namespace

std::string_view FamilyName(Family family) {
  switch (family) {
    case Family::kDefault: return "default";
    case Family::kCatalog: return "catalog";
    case Family::kIds: return "ids";
    case Family::kRecords: return "records";
    case Family::kEdges: return "edges";
    case Family::kTail: return "tail";
    case Family::kTombstones: return "tombstones";
    case Family::kBlocks: return "blocks";
    case Family::kLate: return "late";
  }
  return "unknown";
}

std::string_view ColumnName(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kEmbedding: return "embedding";
    case ColumnKind::kNorm: return "norm";
    case ColumnKind::kNode: return "node";
    case ColumnKind::kId: return "id";
    case ColumnKind::kRowOffset: return "row offset";
    case ColumnKind::kEdgeOffset: return "edge offset";
    case ColumnKind::kEdgeTarget: return "edge target";
    case ColumnKind::kEdgeWeight: return "edge weight";
    case ColumnKind::kEdgeType: return "edge type";
    case ColumnKind::kEdgeSum: return "edge sum";
    case ColumnKind::kInOffset: return "in offset";
    case ColumnKind::kInSource: return "in source";
    case ColumnKind::kCode: return "code";
    case ColumnKind::kFineCode: return "fine code";
    case ColumnKind::kRotation: return "rotation";
  }
  return "unknown";
}

std::string FileKey(std::uint64_t first_row) { return Prefixed(kFilePrefix, first_row); }
std::string HeadKey(std::uint64_t id) { return Prefixed(kHeadPrefix, id); }
std::string NodeKey(std::uint32_t node) { return Prefixed(kNodePrefix, node); }
std::string IdKeysPrefix(std::uint64_t id) { return Prefixed(kIdKeysPrefix, id); }

std::string TextKey(std::string_view key) {
  std::string bytes(1, kKeyPrefix);
  bytes.append(key);
  return bytes;
}

std::string TypeKey(std::string_view name) {
  std::string bytes(1, kTypePrefix);
  bytes.append(name);
  return bytes;
}

std::string FormPrefix(std::string_view form) {
  std::string bytes(1, kFormPrefix);
  bytes.append(form);
  bytes.push_back('\0');
  return bytes;
}

std::string FormKey(std::string_view form, std::string_view key) {
  std::string bytes = FormPrefix(form);
  bytes.append(key);
  return bytes;
}

std::string IdKeysKey(std::uint64_t id, std::string_view key) {
  std::string bytes = IdKeysPrefix(id);
  bytes.append(key);
  return bytes;
}

std::string RecordKey(std::uint64_t id, RecordKind kind) {
  std::string key;
  AppendBigEndian(id, &key);
  key.push_back(static_cast<char>(kind));
  return key;
}

std::string RowKey(std::uint64_t row) {
  std::string key;
  AppendBigEndian(row, &key);
  return key;
}

std::string EncodeBlockKey(const BlockKey& key) {
  std::string bytes;
  AppendBigEndian(key.generation, &bytes);
  AppendBigEndian(key.first_row, &bytes);
  AppendBigEndian(static_cast<std::uint32_t>(key.column), &bytes);
  return bytes;
}

std::optional<BlockKey> DecodeBlockKey(std::string_view bytes) {
  if (bytes.size() != kBlockKeyBytes) return std::nullopt;
  return BlockKey{.generation = ReadBigEndian<std::uint32_t>(bytes, 0),
                  .first_row = ReadBigEndian<std::uint64_t>(bytes, 4),
                  .column = static_cast<ColumnKind>(ReadBigEndian<std::uint32_t>(bytes, 12))};
}

std::optional<std::uint64_t> DecodeFileKey(std::string_view bytes) {
  return DecodePrefixed<std::uint64_t>(kFilePrefix, bytes);
}
std::optional<std::uint64_t> DecodeHeadKey(std::string_view bytes) {
  return DecodePrefixed<std::uint64_t>(kHeadPrefix, bytes);
}
std::optional<std::uint32_t> DecodeNodeKey(std::string_view bytes) {
  return DecodePrefixed<std::uint32_t>(kNodePrefix, bytes);
}
std::optional<std::uint64_t> DecodeRowKey(std::string_view bytes) {
  if (bytes.size() != sizeof(std::uint64_t)) return std::nullopt;
  return ReadBigEndian<std::uint64_t>(bytes);
}

std::optional<IdAndKey> DecodeIdKeysKey(std::string_view bytes) {
  constexpr std::size_t kHead = 1 + sizeof(std::uint64_t);
  if (bytes.size() <= kHead || bytes[0] != kIdKeysPrefix) return std::nullopt;
  return IdAndKey{.id = ReadBigEndian<std::uint64_t>(bytes, 1), .key = bytes.substr(kHead)};
}

}  // namespace engram::storage

// One of each encoded key and value of the format, with numbers that show
// every byte's place. Shared by the writer of the golden files and their test.
#ifndef ENGRAM_TESTS_GOLDEN_GOLDEN_VALUES_H_
#define ENGRAM_TESTS_GOLDEN_GOLDEN_VALUES_H_

#include <map>
#include <string>
#include <string_view>

#include "storage/format/block_format.h"
#include "storage/format/edge_format.h"
#include "storage/format/key_format.h"
#include "storage/format/record_format.h"

namespace engram::golden {

inline constexpr storage::StoreMeta kMeta{
    .format_version = 1, .dimension = 384, .metric = 3, .rows_per_block = 1344};
inline constexpr storage::CommitRecord kCommit{.batch = 0x0102030405060708,
                                               .next_row = 0x0011121314151617,
                                               .next_node = 0x21222324,
                                               .memories = 0x20212223,
                                               .live_rows = 0x11223344 & 0x1fffffff};
inline constexpr storage::CommitRecord kSyncedCommit{.batch = 0x0102030405060708,
                                                     .next_row = 2,
                                                     .next_node = 3,
                                                     .memories = 2,
                                                     .live_rows = 1,
                                                     .synced = 0x0002030405060708};
inline constexpr storage::MemoryHead kHead{
    .live = true, .node = 0x01020304, .incarnation = 0x05060708, .row = 0x000a0b0c0d0e0f10};
inline constexpr storage::MemoryHead kDeadHead{
    .live = false, .node = 9, .incarnation = 2, .row = storage::kNoRow};
inline constexpr std::string_view kPayloadBytes = std::string_view("a\0b\xff", 4);
inline constexpr storage::BlockHeader kColumn{.first_row = 0x0102030405060708,
                                              .rows = 3,
                                              .span = 9,
                                              .column = storage::ColumnKind::kId,
                                              .bytes_per_row = 8,
                                              .generation = 0x0a0b0c0d};
inline constexpr std::string_view kColumnPayload = "the payload of 3 x 8 B. ";

inline storage::FileEntry File() {
  return {.generation = 7,
          .columns = {storage::ColumnKind::kEmbedding, storage::ColumnKind::kNorm,
                      storage::ColumnKind::kNode, storage::ColumnKind::kId},
          .blocks = {{.first_row = 64, .span = 64, .rows = 64},
                     {.first_row = 0x01000000, .span = 70, .rows = 60}}};
}

inline storage::TailRow Tail() {
  return {.id = 0x0102030405060708, .node = 0x0a0b0c0d, .norm = 1.5f, .embedding = "12345678"};
}

inline constexpr std::int64_t kPutAt = 1700000000;
inline constexpr storage::StrengthRecord kStrength{.added = 3 * storage::kStrengthOne / 2,
                                                   .last_use = 1700000001};
inline constexpr storage::EdgeEvent kEdgeEvents[] = {
    {.kind = storage::EdgeEvent::Kind::kPut, .from = 1, .to = 2, .type = 3, .weight = 0.5f},
    {.kind = storage::EdgeEvent::Kind::kDelete, .from = 4, .to = 5, .type = 6, .weight = 0.0f},
    {.kind = storage::EdgeEvent::Kind::kForget, .from = 7, .to = 7, .type = 0, .weight = 0.0f}};
inline storage::EdgeCatalog EdgesSealed() {
  return {.generation = 3,
          .next_event = 0x0102030405060708,
          .blocks = {{.first_node = 0, .nodes = 9, .edges = 20, .sources = 15, .typed = true},
                     {.first_node = 9, .nodes = 1, .edges = 1, .sources = 0, .typed = false}}};
}

// Returns: the encodings by name.
inline std::map<std::string, std::string> EncodedValues() {
  std::map<std::string, std::string> values;
  values["store-meta"] = storage::EncodeStoreMeta(kMeta);
  values["commit-record"] = storage::EncodeCommitRecord(kCommit);
  values["commit-record-synced"] = storage::EncodeCommitRecord(kSyncedCommit);
  values["file-entry"] = storage::EncodeFileEntry(File());
  values["memory-head"] = storage::EncodeMemoryHead(kHead);
  values["memory-head-dead"] = storage::EncodeMemoryHead(kDeadHead);
  values["id"] = storage::EncodeId(0x0102030405060708);
  values["payload-timed"] = storage::EncodePayload(kPutAt, kPayloadBytes);
  values["strength"] = storage::EncodeStrength(kStrength);
  for (const storage::EdgeEvent& event : kEdgeEvents) {
    storage::AppendEdgeEvent(event, &values["edge-events"]);
  }
  values["edge-catalog"] = storage::EncodeEdgeCatalog(EdgesSealed());
  values["edge-type"] = storage::EncodeEdgeType(0x01020304);
  values["key-edge-event"] = storage::EdgeEventKey(0x0102030405060708);
  values["key-edge-type"] = storage::TypeKey("part of");
  values["key-form"] = storage::FormKey("new york", "New York");
  storage::AppendTailRow(Tail(), &values["tail-row"]);
  values["block-column"] = storage::EncodeBlockColumn(kColumn, kColumnPayload);
  values["block-column"].resize(storage::BlockHeadBytes(kColumnPayload.size()) +
                                kColumnPayload.size());  // the zeros after it say nothing
  values["key-file"] = storage::FileKey(0x0102030405060708);
  values["key-head"] = storage::HeadKey(0x0102030405060708);
  values["key-text"] = storage::TextKey("cat");
  values["key-node"] = storage::NodeKey(0x01020304);
  values["key-id-keys"] = storage::IdKeysKey(0x0102030405060708, "cat");
  values["key-record"] = storage::RecordKey(0x0102030405060708, storage::RecordKind::kPayload);
  values["key-row"] = storage::RowKey(0x0102030405060708);
  values["key-block"] = storage::EncodeBlockKey({.generation = 0x0a0b0c0d,
                                                 .first_row = 0x0102030405060708,
                                                 .column = storage::ColumnKind::kRowOffset});
  return values;
}

inline std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

inline std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

}  // namespace engram::golden

#endif  // ENGRAM_TESTS_GOLDEN_GOLDEN_VALUES_H_

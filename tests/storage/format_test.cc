// The formats, as bytes: every value comes back as it was, every truncation and
// every flipped bit that a decoder can see is DataLoss.
#include <gtest/gtest.h>

#include <string>

#include "storage/base/hash.h"
#include "storage/format/block_format.h"
#include "storage/format/key_format.h"
#include "storage/format/record_format.h"

namespace engram::storage {
namespace {

TEST(KeyFormat, KeysSortAsTheirNumbers) {
  EXPECT_LT(HeadKey(1), HeadKey(256));
  EXPECT_LT(RowKey(255), RowKey(65536));
  const auto key = [](std::uint32_t generation, std::uint64_t row, ColumnKind column) {
    return EncodeBlockKey({.generation = generation, .first_row = row, .column = column});
  };
  EXPECT_LT(key(0, 900, ColumnKind::kId), key(1, 0, ColumnKind::kEmbedding));
  EXPECT_LT(key(0, 0, ColumnKind::kId), key(0, 64, ColumnKind::kEmbedding));
}

TEST(KeyFormat, KeysDecodeToWhatTheyWereMadeOf) {
  const BlockKey block{.generation = 7, .first_row = 1ull << 40, .column = ColumnKind::kNorm};
  EXPECT_EQ(DecodeBlockKey(EncodeBlockKey(block)), block);
  EXPECT_EQ(DecodeHeadKey(HeadKey(~0ull)), ~0ull);
  EXPECT_EQ(DecodeNodeKey(NodeKey(42)), 42u);
  EXPECT_EQ(DecodeRowKey(RowKey(99)), 99u);
  EXPECT_EQ(DecodeFileKey(FileKey(5)), 5u);
  const std::string named = IdKeysKey(3, "cat");
  ASSERT_TRUE(DecodeIdKeysKey(named).has_value());
  EXPECT_EQ(DecodeIdKeysKey(named)->id, 3u);
  EXPECT_EQ(DecodeIdKeysKey(named)->key, "cat");
}

TEST(KeyFormat, WrongLengthsAreNoKeys) {
  EXPECT_FALSE(DecodeBlockKey("short").has_value());
  EXPECT_FALSE(DecodeHeadKey(NodeKey(1)).has_value());
  EXPECT_FALSE(DecodeRowKey("").has_value());
  EXPECT_FALSE(DecodeIdKeysKey(IdKeysPrefix(1)).has_value());
}

template <typename Decode>
void ExpectEveryTruncationIsDataLoss(const std::string& bytes, Decode decode) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(decode(bytes + 'x').status().code(), absl::StatusCode::kDataLoss);
}

TEST(RecordFormat, MetaRoundTrips) {
  const StoreMeta meta{.dimension = 384, .metric = 1, .rows_per_block = 1344};
  const std::string bytes = EncodeStoreMeta(meta);
  ASSERT_TRUE(DecodeStoreMeta(bytes).ok());
  EXPECT_EQ(*DecodeStoreMeta(bytes), meta);
  ExpectEveryTruncationIsDataLoss(bytes, [](const std::string& b) { return DecodeStoreMeta(b); });
}

TEST(RecordFormat, MetaWithBlocksTooLargeForMemoryIsDamaged) {
  StoreMeta meta{.dimension = 65536, .metric = 1, .rows_per_block = 4096};
  EXPECT_TRUE(DecodeStoreMeta(EncodeStoreMeta(meta)).ok());
  meta.rows_per_block += 64;
  const absl::Status status = DecodeStoreMeta(EncodeStoreMeta(meta)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_NE(status.message().find("4160 rows per block"), std::string::npos) << status;
}

TEST(RecordFormat, NewerMetaTellsItsVersion) {
  StoreMeta meta{.dimension = 4, .metric = 1, .rows_per_block = 64};
  meta.format_version = 9;
  ASSERT_TRUE(DecodeStoreMeta(EncodeStoreMeta(meta) + "more").ok());
  EXPECT_EQ(DecodeStoreMeta(EncodeStoreMeta(meta) + "more")->format_version, 9u);
}

TEST(RecordFormat, HeadRoundTripsAndRefusesContradictions) {
  const MemoryHead head{.live = true, .node = 3, .incarnation = 2, .row = 77};
  EXPECT_EQ(*DecodeMemoryHead(EncodeMemoryHead(head)), head);
  const MemoryHead bare{.live = true, .node = 3, .incarnation = 0, .row = kNoRow};
  EXPECT_EQ(*DecodeMemoryHead(EncodeMemoryHead(bare)), bare);
  ExpectEveryTruncationIsDataLoss(EncodeMemoryHead(head),
                                  [](const std::string& b) { return DecodeMemoryHead(b); });
  std::string dead_with_row = EncodeMemoryHead(head);
  dead_with_row[0] = 2;
  EXPECT_EQ(DecodeMemoryHead(dead_with_row).status().code(), absl::StatusCode::kDataLoss);
}

TEST(RecordFormat, CommitRecordRoundTrips) {
  const CommitRecord record{
      .batch = 5, .next_row = 9, .next_node = 8, .memories = 7, .live_rows = 6};
  EXPECT_EQ(*DecodeCommitRecord(EncodeCommitRecord(record)), record);
  ExpectEveryTruncationIsDataLoss(EncodeCommitRecord(record),
                                  [](const std::string& b) { return DecodeCommitRecord(b); });
  CommitRecord telling = record;
  telling.synced = record.batch - 1;
  EXPECT_EQ(*DecodeCommitRecord(EncodeCommitRecord(telling)), telling);
  EXPECT_FALSE(DecodeCommitRecord(EncodeCommitRecord(telling) + '\0').ok());
  telling.synced = record.batch + 1;
  EXPECT_TRUE(absl::IsDataLoss(DecodeCommitRecord(EncodeCommitRecord(telling)).status()));
}

TEST(RecordFormat, FileEntryRefusesOverlapAndAbsurdCounts) {
  FileEntry entry{
      .generation = 1,
      .columns = {ColumnKind::kEmbedding, ColumnKind::kNorm, ColumnKind::kNode, ColumnKind::kId},
      .blocks = {{.first_row = 0, .span = 64, .rows = 64},
                 {.first_row = 64, .span = 70, .rows = 60}}};
  EXPECT_EQ(*DecodeFileEntry(EncodeFileEntry(entry)), entry);
  ExpectEveryTruncationIsDataLoss(EncodeFileEntry(entry),
                                  [](const std::string& b) { return DecodeFileEntry(b); });
  entry.blocks[1].first_row = 63;
  EXPECT_EQ(DecodeFileEntry(EncodeFileEntry(entry)).status().code(), absl::StatusCode::kDataLoss);
  std::string many = EncodeFileEntry(entry);
  many[8] = many[9] = many[10] = '\xff';
  EXPECT_EQ(DecodeFileEntry(many).status().code(), absl::StatusCode::kDataLoss);
}

TEST(RecordFormat, FileEntryRefusesWhatSearchesCouldNotRead) {
  FileEntry entry{
      .generation = 1,
      .columns = {ColumnKind::kEmbedding, ColumnKind::kNorm, ColumnKind::kNode, ColumnKind::kId},
      .blocks = {{.first_row = kMaxRow - 64, .span = 64, .rows = 64}}};
  ASSERT_TRUE(DecodeFileEntry(EncodeFileEntry(entry)).ok());
  const auto expect_damaged = [](const FileEntry& damaged, const std::string& why) {
    const absl::Status status = DecodeFileEntry(EncodeFileEntry(damaged)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_NE(status.message().find(why), std::string::npos) << status;
  };
  FileEntry damaged = entry;
  ++damaged.blocks[0].span;
  expect_damaged(damaged, "64 rows in a span of 65");
  for (std::size_t i = 0; i < entry.columns.size(); ++i) {
    damaged = entry;
    damaged.columns.erase(damaged.columns.begin() + static_cast<std::ptrdiff_t>(i));
    expect_damaged(damaged, "it names no column " + std::string(ColumnName(entry.columns[i])));
  }
  damaged = entry;
  damaged.columns.push_back(ColumnKind::kId);
  expect_damaged(damaged, "column 4 follows column 4");
}

TEST(BlockFormat, PayloadIsAlignedWhereRocksDbPutsTheValue) {
  for (const std::size_t payload : {1u, 100u, 4000u, 4096u, 16256u, 16384u, 2u << 20, 40u << 20}) {
    const std::size_t head = BlockHeadBytes(payload);
    const std::size_t value = std::max(head + payload, kTableBlockBytes);
    const std::size_t varint = value < 16384 ? 2 : value < (2u << 20) ? 3 : 4;
    EXPECT_EQ((1 + 1 + varint + kBlockKeyBytes + 8 + head) % kPayloadAlignment, 0u) << payload;
    EXPECT_GE(head, kBlockHeaderBytes);
  }
}

TEST(BlockFormat, APayloadElsewhereIsDamaged) {
  std::string value = EncodeBlockColumn(
      {.rows = 8, .span = 8, .column = ColumnKind::kId, .bytes_per_row = 8}, std::string(64, 'p'));
  const std::uint16_t head = static_cast<std::uint16_t>(BlockHeadBytes(64) + 1);
  value.replace(6, sizeof head, reinterpret_cast<const char*>(&head), sizeof head);
  const std::uint64_t hash = Hash64(value.substr(0, 56));
  value.replace(56, sizeof hash, reinterpret_cast<const char*>(&hash), sizeof hash);
  const absl::Status status = DecodeBlockColumn(value).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_NE(status.message().find("payload of 64 bytes at " + std::to_string(head)),
            std::string::npos)
      << status;
}

TEST(BlockFormat, EveryFlippedBitOfHeaderOrPayloadIsSeen) {
  const std::string payload(64 * 8, 'p');
  const BlockHeader header{.first_row = 128,
                           .rows = 64,
                           .span = 64,
                           .column = ColumnKind::kId,
                           .bytes_per_row = 8,
                           .generation = 2,
                           .payload_hash = 0};
  const std::string value = EncodeBlockColumn(header, payload);
  const auto column = DecodeBlockColumn(value);
  ASSERT_TRUE(column.ok()) << column.status();
  EXPECT_EQ(column->payload, payload);
  EXPECT_TRUE(CheckBlockPayload(*column).ok());
  const std::size_t head = BlockHeadBytes(payload.size());
  for (std::size_t byte = 0; byte < head + payload.size(); ++byte) {
    if (byte >= kBlockHeaderBytes && byte < head) continue;  // the pad means nothing
    std::string damaged = value;
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << (byte % 8)));
    const auto found = DecodeBlockColumn(damaged);
    const absl::Status status = found.ok() ? CheckBlockPayload(*found) : found.status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << "byte " << byte;
  }
}

}  // namespace
}  // namespace engram::storage

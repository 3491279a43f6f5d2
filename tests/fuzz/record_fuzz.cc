// The small values of a store, and its keys: what is decoded is bounded, and comes back as it was.
#include "rocksdb/merge_operator.h"
#include "storage/format/key_format.h"
#include "storage/format/record_format.h"
#include "storage/strength_merge.h"
#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {
namespace {

using namespace storage;  // NOLINT: each name is of the format

template <typename Decode, typename Encode>
void ComesBack(const std::string& bytes, Decode decode, Encode encode, const char* what) {
  const auto value = decode(bytes);
  if (!value.ok()) {
    Expect(absl::IsDataLoss(value.status()), what);
    return;
  }
  const auto again = decode(encode(*value));
  Expect(again.ok() && *again == *value, what);
}

void TryStrengths(Input& input) {
  const auto operation = NewStrengthMerge();
  const rocksdb::MergeOperator& merge = *operation;
  const std::string first = input.TakeBytes(17), second = input.TakeBytes(17);
  const auto a = DecodeStrength(first), b = DecodeStrength(second);
  const rocksdb::Slice existing(first);
  std::string merged;
  rocksdb::Slice unused;
  const std::vector<rocksdb::Slice> operands = {rocksdb::Slice(second)};
  const rocksdb::MergeOperator::MergeOperationInput in("k", &existing, operands, nullptr);
  rocksdb::MergeOperator::MergeOperationOutput out(merged, unused);
  Expect(merge.FullMergeV2(in, &out) == (a.ok() && b.ok()), "strengths merge where both are sound");
  if (!a.ok() || !b.ok()) return;
  const StrengthRecord sum = AddStrengths(*a, *b);
  Expect(sum == AddStrengths(*b, *a), "strengths add up in any order");
  Expect(sum.added <= kMaxStrengthAdded, "strengths are bounded");
  const auto decoded = DecodeStrength(merged);
  Expect(decoded.ok() && *decoded == sum, "a merge adds up");
}

void TryFileEntry(const std::string& bytes) {
  ComesBack(bytes, DecodeFileEntry, EncodeFileEntry, "a file entry");
  const auto entry = DecodeFileEntry(bytes);
  if (!entry.ok()) return;
  Expect(!entry->blocks.empty(), "a file has blocks");
  std::uint64_t end = 0;
  for (const BlockExtent& block : entry->blocks) {
    Expect(block.first_row >= end && block.rows > 0 && block.rows <= block.span,
           "blocks ascend and hold rows");
    end = block.end_row();
  }
  Expect(end <= kMaxRow, "rows are bounded");
  for (const ColumnKind column :
       {ColumnKind::kEmbedding, ColumnKind::kNorm, ColumnKind::kNode, ColumnKind::kId}) {
    Expect(std::count(entry->columns.begin(), entry->columns.end(), column) == 1,
           "a file has the columns that searches read");
  }
}

void TryTailRow(Input& input) {
  const std::uint32_t dimension = 1 + input.Below(64);
  const std::string bytes = input.TakeRest();
  const auto row = DecodeTailRow(bytes, dimension);
  if (!row.ok()) return;
  Expect(row->embedding.size() == dimension * sizeof(float), "a row has its dimension");
  std::string again;
  AppendTailRow(*row, &again);
  Expect(again == bytes, "a row of the tail");
}

void TryPayload(const std::string& bytes) {
  const auto record = DecodePayload(bytes);
  if (!record.ok()) return;
  Touch(record->payload.data(), record->payload.size());
  if (record->put_at.has_value()) {
    Expect(EncodePayload(*record->put_at, record->payload) == bytes, "a payload");
  }
}

void TryKeys(const std::string& bytes) {
  if (const auto key = DecodeBlockKey(bytes)) Expect(EncodeBlockKey(*key) == bytes, "a block key");
  if (const auto row = DecodeFileKey(bytes)) Expect(FileKey(*row) == bytes, "a file key");
  if (const auto id = DecodeHeadKey(bytes)) Expect(HeadKey(*id) == bytes, "a head key");
  if (const auto node = DecodeNodeKey(bytes)) Expect(NodeKey(*node) == bytes, "a node key");
  if (const auto row = DecodeRowKey(bytes)) Expect(RowKey(*row) == bytes, "a row key");
  if (const auto listed = DecodeIdKeysKey(bytes)) {
    Expect(IdKeysKey(listed->id, listed->key) == bytes, "a key of an id");
  }
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engram::storage;  // NOLINT
  engram::fuzz::Input input(data, size);
  switch (input.Take<std::uint8_t>() % 9) {
    case 0:
      engram::fuzz::ComesBack(input.TakeRest(), DecodeStoreMeta, EncodeStoreMeta, "a description");
      break;
    case 1:
      engram::fuzz::ComesBack(input.TakeRest(), DecodeCommitRecord, EncodeCommitRecord,
                              "a commit record");
      break;
    case 2:
      engram::fuzz::ComesBack(input.TakeRest(), DecodeMemoryHead, EncodeMemoryHead, "a head");
      break;
    case 3: engram::fuzz::ComesBack(input.TakeRest(), DecodeId, EncodeId, "an id"); break;
    case 4: engram::fuzz::TryStrengths(input); break;
    case 5: engram::fuzz::TryFileEntry(input.TakeRest()); break;
    case 6: engram::fuzz::TryTailRow(input); break;
    case 7: engram::fuzz::TryPayload(input.TakeRest()); break;
    default: engram::fuzz::TryKeys(input.TakeRest()); break;
  }
  return 0;
}

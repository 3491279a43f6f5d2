// Columns of blocks, and the codes in them. The first byte says what is tried; checksums are
// made to match where it says so, or a fuzzer would never come past them.
#include <cmath>
#include <vector>

#include "storage/base/hash.h"
#include "storage/format/block_format.h"
#include "storage/format/code_format.h"
#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {
namespace {

using namespace storage;  // NOLINT: each name is of the format

constexpr std::size_t kHashedBytes = 56, kPayloadHashAt = 40, kHeadAt = 6;

void SetHash(std::size_t at, std::string_view of, std::string* bytes) {
  const std::uint64_t hash = Hash64(of);
  bytes->replace(at, sizeof hash, reinterpret_cast<const char*>(&hash), sizeof hash);
}

void Repair(std::string* value) {
  std::uint16_t head = 0;
  std::uint64_t size = 0;
  std::memcpy(&head, value->data() + kHeadAt, sizeof head);
  std::memcpy(&size, value->data() + 32, sizeof size);
  if (head <= value->size() && size <= value->size() - head) {
    SetHash(kPayloadHashAt, std::string_view(*value).substr(head, size), value);
  }
  SetHash(kHashedBytes, std::string_view(*value).substr(0, kHashedBytes), value);
}

void TryColumn(std::string value, bool repair) {
  if (repair) {
    // So that inputs are small.
    if (value.size() < kTableBlockBytes) value.resize(kTableBlockBytes);
    Repair(&value);
  }
  const auto column = DecodeBlockColumn(value);
  if (!column.ok()) {
    Expect(absl::IsDataLoss(column.status()), "what is wrong with a column is DataLoss");
    return;
  }
  const BlockHeader& header = column->header;
  Expect(column->payload.data() >= value.data() &&
             column->payload.data() + column->payload.size() <= value.data() + value.size(),
         "the payload lies in the value");
  Expect(
      std::size_t(column->payload.data() - value.data()) == BlockHeadBytes(column->payload.size()),
      "the payload lies where a table aligns it");
  Expect(column->payload.size() == std::uint64_t{header.rows} * header.bytes_per_row,
         "the payload has the size of its rows");
  Touch(column->payload.data(), column->payload.size());
  if (!CheckBlockPayload(*column).ok()) return;
  const std::string again = EncodeBlockColumn(header, column->payload);
  const auto second = DecodeBlockColumn(again);
  Expect(second.ok() && second->header == header && second->payload == column->payload,
         "a column comes back");
}

void ReadCodes(const CodeView& view, std::uint32_t dimension) {
  if (view.groups > 0) {
    Touch(view.superblocks, view.superblock_count() * SuperblockBytes(view.groups));
    Touch(view.fine, view.rows * FineRowBytes(dimension));
  }
  for (const float value : {view.residual_step, view.tail_step, view.max_code_norm,
                            view.max_residual, view.max_tail, view.min_norm, view.max_norm}) {
    Expect(std::isfinite(value) && value >= 0, "numbers of the header are finite, not negative");
  }
}

void TryCodes(Input& input) {
  const std::uint32_t rows = input.Below(300), dimension = 1 + input.Below(100);
  const std::string codes = input.TakeBytes(input.Below(1u << 16)), fine = input.TakeRest();
  const auto view = DecodeCodes(codes, fine, rows, dimension);
  if (view.ok()) {
    Expect(view->rows == rows, "codes are of the rows asked for");
    ReadCodes(*view, dimension);
  } else {
    Expect(absl::IsDataLoss(view.status()), "what is wrong with codes is DataLoss");
  }
}

// Codes that are sound but for a few bytes.
void TryMadeCodes(Input& input) {
  const std::uint32_t rows = 1 + input.Below(70), dimension = 1 + input.Below(40);
  const bool normalised = input.Take<std::uint8_t>() % 2 == 1;
  std::vector<float> floats(std::size_t{rows} * dimension);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    floats[i] = i % 3 == 0 ? input.Take<float>() : static_cast<float>(i % 7) - 3.0f;
    if (!std::isfinite(floats[i])) floats[i] = 1.0f;
  }
  CodePayloads made = EncodeCodes(dimension, normalised, floats.data(), rows, nullptr);
  const auto view = DecodeCodes(made.codes, made.fine, rows, dimension);
  Expect(view.ok(), "codes that are made are sound");
  ReadCodes(*view, dimension);
  while (!input.empty()) {
    std::string& changed = input.Take<std::uint8_t>() % 4 == 0 ? made.fine : made.codes;
    const std::uint32_t at = input.Take<std::uint16_t>();
    const std::uint8_t to = input.Take<std::uint8_t>();
    if (at < changed.size()) changed[at] = static_cast<char>(to);
  }
  const auto damaged = DecodeCodes(made.codes, made.fine, rows, dimension);
  if (damaged.ok()) ReadCodes(*damaged, dimension);
}

// A column of sound header that tells of anything.
void TryHeader(Input& input) {
  BlockHeader header;
  header.first_row = input.Take<std::uint64_t>();
  header.column = static_cast<ColumnKind>(input.Below(17));
  header.generation = input.Take<std::uint32_t>();
  header.bytes_per_row = 1 + input.Below(16);
  header.rows = input.Below(600);
  header.span = input.Take<std::uint32_t>();
  const std::string payload(std::size_t{header.rows} * header.bytes_per_row, 'p');
  std::string value = EncodeBlockColumn(header, payload);
  for (int i = 0; i < 4 && !input.empty(); ++i) {
    value[input.Below(80) % value.size()] = static_cast<char>(input.Take<std::uint8_t>());
  }
  TryColumn(std::move(value), /*repair=*/true);
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engram::fuzz::Input input(data, size);
  switch (input.Take<std::uint8_t>() % 5) {
    case 0: engram::fuzz::TryColumn(input.TakeRest(), false); break;
    case 1: engram::fuzz::TryColumn(input.TakeRest(), true); break;
    case 2: engram::fuzz::TryCodes(input); break;
    case 3: engram::fuzz::TryMadeCodes(input); break;
    default: engram::fuzz::TryHeader(input); break;
  }
  return 0;
}

#include "storage/mapped_blocks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/alignment.h"
#include "storage/base/prefault.h"
#include "storage/base/status.h"
#include "storage/format/record_format.h"

namespace engram::storage {
namespace {

std::string Describe(const BlockExtent& extent) {
  return absl::StrFormat("block at row %d (%d rows)", extent.first_row, extent.rows);
}

absl::Status Unusable(const BlockExtent& extent, ColumnKind column, std::string_view why) {
  return absl::DataLossError(
      absl::StrFormat("%s: column %s: %s", Describe(extent), ColumnName(column), why));
}

const BlockColumn* FindColumn(const std::vector<BlockColumn>& columns, ColumnKind kind) {
  for (const BlockColumn& column : columns) {
    if (column.header.column == kind) return &column;
  }
  return nullptr;
}

template <typename T>
const T* PayloadOf(const std::vector<BlockColumn>& columns, ColumnKind kind) {
  const BlockColumn* column = FindColumn(columns, kind);
  return column == nullptr ? nullptr : reinterpret_cast<const T*>(column->payload.data());
}

bool Fits(const BlockHeader& header, const BlockKey& key, const BlockExtent& extent,
          std::uint32_t dimension) {
  const std::uint32_t per_row = BytesPerRow(key.column, dimension);
  const bool counts = HasEntryPerRow(key.column)
                          ? header.rows == extent.rows && header.span == extent.span
                          : header.rows == header.span;
  return header.first_row == key.first_row && header.generation == key.generation &&
         header.column == key.column && counts && (per_row == 0 || header.bytes_per_row == per_row);
}

}  // namespace

absl::Status MappedBlock::Check() const {
  if (sound_->rows.load(std::memory_order_acquire)) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(CheckRowsAgain());
  sound_->rows.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status MappedBlock::CheckWithCodes() const {
  if (checked()) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(Check());
  ENGRAM_RETURN_IF_ERROR(codes_usable_);
  ENGRAM_RETURN_IF_ERROR(CheckColumns(/*derived=*/true));
  ENGRAM_RETURN_IF_ERROR(CheckDecoded());
  // What this block's codes mean depends on it.
  if (rotation_owner_ != nullptr) ENGRAM_RETURN_IF_ERROR(rotation_owner_->CheckRotation());
  sound_->codes.store(true, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status MappedBlock::CheckRowsAgain() const {
  ENGRAM_RETURN_IF_ERROR(usable_);
  const absl::Status rows = CheckColumns(/*derived=*/false);
  if (!rows.ok()) sound_->rows = sound_->codes = false;
  return rows;
}

absl::Status MappedBlock::CheckAgain() const {
  ENGRAM_RETURN_IF_ERROR(CheckRowsAgain());
  ENGRAM_RETURN_IF_ERROR(codes_usable_);
  absl::Status codes = CheckColumns(/*derived=*/true);
  if (codes.ok()) codes = CheckDecoded();
  if (!codes.ok()) sound_->codes = false;
  return codes;
}

absl::Status MappedBlock::CheckColumns(bool derived) const {
  for (const BlockColumn& column : columns_) {
    if (IsDerived(column.header.column) == derived) ENGRAM_RETURN_IF_ERROR(CheckColumn(column));
  }
  return absl::OkStatus();
}

absl::Status MappedBlock::CheckColumn(const BlockColumn& column) const {
  const absl::Status status = CheckBlockPayload(column);
  if (status.ok()) return status;
  return Unusable(extent_, column.header.column, std::string(status.message()));
}

// What was read of the codes before must be what has the checksum.
absl::Status MappedBlock::CheckDecoded() const {
  if (codes_.superblocks == nullptr) return absl::OkStatus();
  const auto codes =
      DecodeCodes(FindColumn(columns_, ColumnKind::kCode)->payload,
                  FindColumn(columns_, ColumnKind::kFineCode)->payload, extent_.rows, dimension_);
  if (codes.ok() && *codes == codes_) return absl::OkStatus();
  return Unusable(extent_, ColumnKind::kCode, "it was read otherwise before");
}

absl::Status MappedBlock::CheckRotation() const {
  if (checked()) return absl::OkStatus();
  const BlockColumn* rotation = FindColumn(columns_, ColumnKind::kRotation);
  return rotation == nullptr ? absl::OkStatus() : CheckColumn(*rotation);
}

void MappedBlock::ReadCodes(const MappedBlock& first_of_file, std::uint32_t dimension) {
  const BlockColumn* codes = FindColumn(columns_, ColumnKind::kCode);
  const BlockColumn* fine = FindColumn(columns_, ColumnKind::kFineCode);
  if (codes == nullptr || fine == nullptr || !codes_usable_.ok()) return;
  auto view = DecodeCodes(codes->payload, fine->payload, extent_.rows, dimension);
  if (!view.ok()) {
    codes_usable_ = Unusable(extent_, ColumnKind::kCode, std::string(view.status().message()));
    return;
  }
  codes_ = *view;
  dimension_ = dimension;
  if (codes_.groups == 0 || codes_.rotation == 0) return;
  codes_usable_ = FitRotation(first_of_file);
  if (!codes_usable_.ok()) codes_ = CodeView();
}

absl::Status MappedBlock::FitRotation(const MappedBlock& first_of_file) {
  const BlockColumn* rotation = FindColumn(first_of_file.columns_, ColumnKind::kRotation);
  if (rotation == nullptr && !first_of_file.codes_usable_.ok()) {
    return first_of_file.codes_usable_;  // it tells more
  }
  const std::uint32_t size = rotation == nullptr ? 0 : rotation->header.rows;
  const std::uint64_t hash = rotation == nullptr ? 0 : rotation->header.payload_hash;
  if (hash != codes_.rotation || size == 0 || size > dimension_ ||
      dimension_ > kMaxRotatedDimension || CodeGroups(size) != codes_.groups) {
    // Either may be what is wrong.
    return Unusable(extent_, ColumnKind::kCode,
                    absl::StrFormat("%d groups of rotation %016x, and column %s: %d rows of %016x",
                                    codes_.groups, codes_.rotation,
                                    ColumnName(ColumnKind::kRotation), size, hash));
  }
  rotation_ = {.rows = reinterpret_cast<const float*>(rotation->payload.data()),
               .code_dimensions = size,
               .hash = codes_.rotation};
  if (&first_of_file != this) rotation_owner_ = &first_of_file;
  return absl::OkStatus();
}

std::uint64_t MappedBlock::mapped_bytes() const {
  std::uint64_t bytes = 0;
  for (const BlockColumn& column : columns_) bytes += column.payload.size();
  return bytes;
}

std::uint64_t MappedBlock::code_bytes() const {
  std::uint64_t bytes = 0;
  for (const ColumnKind kind : {ColumnKind::kCode, ColumnKind::kFineCode, ColumnKind::kRotation}) {
    const BlockColumn* column = FindColumn(columns_, kind);
    if (column != nullptr) bytes += column->payload.size();
  }
  return bytes;
}

absl::StatusOr<std::shared_ptr<const MappedBlocks>> MappedBlocks::Map(
    std::shared_ptr<Database> database, const Catalog& catalog, std::uint32_t dimension,
    const MappedBlocks* previous) {
  std::shared_ptr<MappedBlocks> mapped(new MappedBlocks());
  for (const auto& [first_row, file] : catalog.files()) {
    for (const BlockExtent& extent : file.blocks) {
      MappedBlock& block = mapped->blocks_.emplace_back();
      block.extent_ = extent;
      block.generation_ = file.generation;
    }
  }
  rocksdb::ReadOptions options;
  options.pin_data = true;
  options.verify_checksums = false;  // Check() does it, once, and by column
  options.fill_cache = false;
  mapped->pin_.reset(database->db().NewIterator(options, database->family(Family::kBlocks)));
  mapped->database_ = std::move(database);
  rocksdb::Iterator& it = *mapped->pin_;
  for (it.SeekToFirst(); it.Valid(); it.Next()) {
    const auto key = DecodeBlockKey(it.key().ToStringView());
    if (key.has_value()) mapped->AddColumn(*key, it.value().ToStringView(), dimension);
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it.status(), "mapping the blocks"));
  mapped->Finish(catalog, dimension, previous);
  return std::shared_ptr<const MappedBlocks>(std::move(mapped));
}

void MappedBlocks::AddColumn(const BlockKey& key, std::string_view value, std::uint32_t dimension) {
  auto* block = const_cast<MappedBlock*>(Find(key.first_row));
  const bool named = block != nullptr && block->extent_.first_row == key.first_row &&
                     block->generation_ == key.generation;
  if (!named) return;
  // The other columns of a damaged block count: one may be the rotation of its whole file.
  auto column = DecodeBlockColumn(value);
  absl::Status& usable = IsDerived(key.column) ? block->codes_usable_ : block->usable_;
  const absl::Status sound =
      column.ok() ? CheckAlignment(column->payload, kPayloadAlignment) : column.status();
  if (!sound.ok()) {
    usable.Update(Unusable(block->extent_, key.column, std::string(sound.message())));
    return;
  }
  if (!Fits(column->header, key, block->extent_, dimension)) {
    usable.Update(
        Unusable(block->extent_, key.column,
                 absl::StrFormat("its header tells of %d rows of %d bytes at row %d, generation %d",
                                 column->header.rows, column->header.bytes_per_row,
                                 column->header.first_row, column->header.generation)));
    return;
  }
  block->columns_.push_back(*column);
}

void MappedBlocks::Finish(const Catalog& catalog, std::uint32_t dimension,
                          const MappedBlocks* previous) {
  std::size_t i = 0;
  for (const auto& [first_row, file] : catalog.files()) {
    const MappedBlock& first_of_file = blocks_[i];
    for ([[maybe_unused]] const BlockExtent& extent : file.blocks) {
      MappedBlock& block = blocks_[i++];
      std::vector<ColumnKind> wanted = file.columns;
      if (block.extent_.span != block.extent_.rows) wanted.push_back(ColumnKind::kRowOffset);
      for (const ColumnKind kind : wanted) {
        absl::Status& usable = IsDerived(kind) ? block.codes_usable_ : block.usable_;
        if (usable.ok() && FindColumn(block.columns_, kind) == nullptr) {
          usable = Unusable(block.extent_, kind, "it is missing");
        }
      }
      const MappedBlock* known =
          previous == nullptr ? nullptr : previous->Find(block.extent_.first_row);
      const bool same = known != nullptr && known->extent_ == block.extent_ &&
                        known->generation_ == block.generation_;
      block.sound_ = same ? known->sound_ : std::make_shared<MappedBlock::Checked>();
      block.ReadCodes(first_of_file, dimension);
      block.slice_ = RowSlice{
          .embeddings = PayloadOf<float>(block.columns_, ColumnKind::kEmbedding),
          .norms = PayloadOf<float>(block.columns_, ColumnKind::kNorm),
          .nodes = PayloadOf<std::uint32_t>(block.columns_, ColumnKind::kNode),
          .ids = PayloadOf<std::uint64_t>(block.columns_, ColumnKind::kId),
          .row_offsets = PayloadOf<std::uint32_t>(block.columns_, ColumnKind::kRowOffset),
          .first_row = block.extent_.first_row,
          .count = block.extent_.rows,
          .block = &block,
          .codes = block.codes_.groups == 0 ? nullptr : &block.codes_,
          .rotation = block.codes_.rotation == 0 ? nullptr : &block.rotation_,
      };
      mapped_bytes_ += block.mapped_bytes();
      code_bytes_ += block.code_bytes();
      if (block.slice_.codes != nullptr) coded_rows_ += block.slice_.count;
    }
  }
}

const MappedBlock* MappedBlocks::Find(std::uint64_t row) const {
  auto it = std::upper_bound(blocks_.begin(), blocks_.end(), row,
                             [](std::uint64_t wanted, const MappedBlock& block) {
                               return wanted < block.extent_.first_row;
                             });
  if (it == blocks_.begin()) return nullptr;
  --it;
  return row < it->extent_.end_row() ? &*it : nullptr;
}

absl::Status MappedBlocks::Prefault() const {
  for (const MappedBlock& block : blocks_) {
    for (const BlockColumn& column : block.columns_) {
      const absl::Status status = PrefaultBytes(column.payload);
      if (!status.ok())
        return Annotate(status, "bringing " + Describe(block.extent_) + " into memory");
    }
  }
  return absl::OkStatus();
}

}  // namespace engram::storage

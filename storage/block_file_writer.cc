#include "storage/block_file_writer.h"

#include <atomic>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/base/float_mode.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

constexpr std::string_view kIngestSuffix = ".ingest";

constexpr ColumnKind kColumns[] = {ColumnKind::kEmbedding, ColumnKind::kNorm,
                                   ColumnKind::kNode,      ColumnKind::kId,
                                   ColumnKind::kCode,      ColumnKind::kFineCode};

// Blocks whose codes are being made, at most.
constexpr std::size_t kMostWaiting = 3;
constexpr std::uint64_t kMostWaitingBytes = std::uint64_t{64} << 20;

}  // namespace

std::string IngestPath(const Database& database, std::string_view purpose) {
  static std::atomic<std::uint64_t> next{0};
  return absl::StrFormat("%s/%s-%d%s", database.path(), purpose, next.fetch_add(1), kIngestSuffix);
}

void RemoveLeftovers(const std::string& store_path) {
  std::error_code error;
  std::filesystem::directory_iterator it(store_path, error);
  for (const std::filesystem::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code ignored;  // a leftover only costs space, and the next open tries again
    if (it->path().extension() == kIngestSuffix) std::filesystem::remove(it->path(), ignored);
  }
}

BlockFileWriter::BlockFileWriter(const Database& database, const StoreMeta& meta,
                                 std::uint32_t generation, const Catalog* catalog,
                                 std::shared_ptr<const Rotation> rotation)
    : database_(database),
      meta_(meta),
      generation_(generation),
      catalog_(catalog),
      rotation_(std::move(rotation)) {}

BlockFileWriter::~BlockFileWriter() {
  std::error_code ignored;  // RemoveLeftovers gets what stays
  file_.reset();
  if (!current_.path.empty()) std::filesystem::remove(current_.path, ignored);
  for (const BlockFile& file : finished_) std::filesystem::remove(file.path, ignored);
}

bool BlockFileWriter::MustEndBlock(std::uint64_t next_row) const {
  return rows_ == meta_.rows_per_block ||
         next_row - first_row_ >= std::numeric_limits<std::uint32_t>::max() ||
         (next_row != last_row_ + 1 && catalog_ != nullptr &&
          catalog_->HasFileIn(last_row_ + 1, next_row));
}

absl::Status BlockFileWriter::Add(const NewRow& row) {
  if (rows_ > 0 && MustEndBlock(row.row)) {
    const bool across = catalog_ != nullptr && catalog_->HasFileIn(last_row_ + 1, row.row);
    ENGRAM_RETURN_IF_ERROR(FinishBlock());
    if (across || current_.entry.blocks.size() + full_.size() >= kBlocksPerFile) {
      ENGRAM_RETURN_IF_ERROR(FinishFile());
    }
  }
  if (rows_ == 0) {
    first_row_ = row.row;
    block_ = std::make_unique<Block>();
  }
  block_->embeddings.append(reinterpret_cast<const char*>(row.embedding.data()),
                            row.embedding.size() * sizeof(float));
  AppendLittleEndian(row.norm, &block_->norms);
  AppendLittleEndian(row.node, &block_->nodes);
  AppendLittleEndian(row.id, &block_->ids);
  AppendLittleEndian(static_cast<std::uint32_t>(row.row - first_row_), &block_->row_offsets);
  last_row_ = row.row;
  ++rows_;
  return absl::OkStatus();
}

absl::Status BlockFileWriter::PutColumn(const BlockExtent& extent, ColumnKind column,
                                        std::string_view payload) {
  const std::uint32_t each = BytesPerRow(column, meta_.dimension);
  const auto entries = static_cast<std::uint32_t>(payload.size() / each);
  const BlockHeader header{.first_row = extent.first_row,
                           .rows = entries,
                           .span = HasEntryPerRow(column) ? extent.span : entries,
                           .column = column,
                           .bytes_per_row = each,
                           .generation = generation_,
                           .payload_hash = 0};
  const std::string value = EncodeBlockColumn(header, payload);
  // What we cannot read back must not become the only copy.
  const auto decoded = DecodeBlockColumn(value);
  if (!decoded.ok() || decoded->payload != payload) {
    return absl::InternalError(
        absl::StrFormat("column %s of the block at row %d does not read back", ColumnName(column),
                        extent.first_row));
  }
  const std::string key =
      EncodeBlockKey({.generation = generation_, .first_row = extent.first_row, .column = column});
  return FromRocks(file_->Put(key, value), "writing " + current_.path);
}

absl::Status BlockFileWriter::PutCodes(const BlockExtent& extent, const CodePayloads& codes) {
  ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kCode, codes.codes));
  ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kFineCode, codes.fine));
  if (rotation_ == nullptr || !current_.entry.blocks.empty()) return absl::OkStatus();
  return PutColumn(extent, ColumnKind::kRotation, rotation_->bytes());
}

std::future<CodePayloads> BlockFileWriter::StartCodes(const Block& block) const {
  // By default the caller makes them when no thread can be had.
  return std::async([&block, this] {
    const DefaultFloatMode float_mode;
    const RotationView rotation = rotation_ == nullptr ? RotationView() : rotation_->view();
    return EncodeCodes(meta_.dimension, meta_.metric == kCosineOnDisk,
                       reinterpret_cast<const float*>(block.embeddings.data()), block.extent.rows,
                       rotation_ == nullptr ? nullptr : &rotation);
  });
}

absl::Status BlockFileWriter::OpenFile() {
  const rocksdb::Options options(OpenOptions(/*read_only=*/false),
                                 FamilyOptions(Family::kBlocks, nullptr));
  // The pages stay cached: these are the very ones that searches will map.
  file_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options,
                                                   /*column_family=*/nullptr,
                                                   /*invalidate_page_cache=*/false);
  current_.path = IngestPath(database_, "blocks");
  current_.entry.generation = generation_;
  current_.entry.columns.assign(std::begin(kColumns), std::end(kColumns));
  return FromRocks(file_->Open(current_.path), "creating " + current_.path);
}

absl::Status BlockFileWriter::FinishBlock() {
  if (rows_ == 0) return absl::OkStatus();
  block_->extent = {.first_row = first_row_,
                    .span = static_cast<std::uint32_t>(last_row_ - first_row_ + 1),
                    .rows = rows_};
  block_->codes = StartCodes(*block_);
  full_.push_back(std::move(block_));
  rows_ = 0;
  const std::uint64_t bytes = full_.size() * full_.front()->embeddings.size();
  return full_.size() > kMostWaiting || bytes > kMostWaitingBytes ? WriteFirst() : absl::OkStatus();
}

absl::Status BlockFileWriter::WriteFirst() {
  if (file_ == nullptr) ENGRAM_RETURN_IF_ERROR(OpenFile());
  const std::unique_ptr<Block> block = std::move(full_.front());
  full_.pop_front();
  const BlockExtent& extent = block->extent;
  const CodePayloads codes = block->codes.get();
  ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kEmbedding, block->embeddings));
  ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kNorm, block->norms));
  ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kNode, block->nodes));
  ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kId, block->ids));
  if (extent.span != extent.rows) {
    ENGRAM_RETURN_IF_ERROR(PutColumn(extent, ColumnKind::kRowOffset, block->row_offsets));
  }
  ENGRAM_RETURN_IF_ERROR(PutCodes(extent, codes));
  current_.entry.blocks.push_back(extent);
  return absl::OkStatus();
}

absl::Status BlockFileWriter::FinishFile() {
  while (!full_.empty()) ENGRAM_RETURN_IF_ERROR(WriteFirst());
  if (file_ == nullptr) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(FromRocks(file_->Finish(), "finishing " + current_.path));
  file_.reset();
  finished_.push_back(std::exchange(current_, {}));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BlockFile>> BlockFileWriter::Finish() {
  ENGRAM_RETURN_IF_ERROR(FinishBlock());
  ENGRAM_RETURN_IF_ERROR(FinishFile());
  return std::exchange(finished_, {});
}

}  // namespace engram::storage

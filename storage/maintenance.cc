#include "storage/maintenance.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "rocksdb/metadata.h"
#include "storage/backup_files.h"
#include "storage/base/status.h"
#include "storage/bulk_files.h"
#include "storage/committer.h"
#include "storage/table_check.h"

namespace engram::storage {
namespace {

NewRow RowOf(const RowSlice& slice, std::uint32_t i, std::uint32_t dimension) {
  return {
      .row = slice.row(i),
      .id = slice.ids[i],
      .node = slice.nodes[i],
      .norm = slice.norms[i],
      .embedding = absl::MakeConstSpan(slice.embeddings + std::size_t{i} * dimension, dimension)};
}

// Gives the live rows of `slice` to `writer` and the dead ones to `dropped`.
absl::Status CopyLiveRows(const RowSlice& slice, std::uint32_t dimension,
                          const Tombstones& tombstones, BlockFileWriter& writer,
                          std::vector<std::uint64_t>& dropped) {
  for (std::uint32_t i = 0; i < slice.count; ++i) {
    if (tombstones.Contains(slice.row(i))) {
      dropped.push_back(slice.row(i));
    } else {
      ENGRAM_RETURN_IF_ERROR(writer.Add(RowOf(slice, i, dimension)));
    }
  }
  return absl::OkStatus();
}

RowSlice SliceOf(const TailChunk& chunk, std::uint32_t size) {
  return {.embeddings = chunk.embeddings(),
          .norms = chunk.norms(),
          .nodes = chunk.nodes(),
          .ids = chunk.ids(),
          .row_offsets = chunk.row_offsets(),
          .first_row = chunk.first_row(),
          .count = size,
          .block = nullptr};
}

void SampleRows(const RowSlice& slice, RotationSample& sample) {
  for (std::uint32_t i = 0; i < slice.count; ++i) {
    sample.Offer(slice.embeddings + std::size_t{i} * sample.dimension());
  }
}

}  // namespace

std::shared_ptr<const Rotation> Maintenance::RotationFor(const RotationSample& sample) {
  return rotations_.Choose(sample, state_.meta.metric == kCosineOnDisk, *state_.blocks);
}

absl::Status Maintenance::Seal(std::uint64_t least_open) {
  FairMutexLock lock(&mutex_);
  std::vector<std::shared_ptr<const TailChunk>> chunks;
  Tombstones tombstones;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    if (state_.tail.OpenBytes() >= least_open) state_.tail.CloseChunk();
    chunks = state_.tail.ClosedChunks();
    tombstones = state_.tombstones;
    return state_.broken;
  }));
  if (chunks.empty()) return absl::OkStatus();
  Switch change;
  change.sealed_chunks = chunks.size();
  std::uint64_t rows = 0;
  for (const auto& chunk : chunks) rows += chunk->size();
  RotationSample sample(state_.meta.dimension, rows);
  for (const auto& chunk : chunks) SampleRows(SliceOf(*chunk, chunk->size()), sample);
  BlockFileWriter writer(*state_.database, state_.meta, /*generation=*/0, &state_.catalog,
                         RotationFor(sample));
  for (const auto& chunk : chunks) {
    const RowSlice slice = SliceOf(*chunk, chunk->size());
    ENGRAM_RETURN_IF_ERROR(
        CopyLiveRows(slice, state_.meta.dimension, tombstones, writer, change.dropped));
    change.sealed_end = slice.end_row();
  }
  change.sealed_first = chunks.front()->first_row();
  ENGRAM_ASSIGN_OR_RETURN(change.added, writer.Finish());
  return Carry(std::move(change));
}

absl::Status Maintenance::Rewrite(const std::vector<FileEntry>& entries) {
  std::uint32_t generation = 0;
  for (const FileEntry& entry : entries) generation = std::max(generation, entry.generation);
  if (generation == std::numeric_limits<std::uint32_t>::max()) {
    return absl::ResourceExhaustedError("all generations of a file are used up");
  }
  Tombstones tombstones;
  std::shared_ptr<const MappedBlocks> blocks;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    tombstones = state_.tombstones;
    blocks = state_.blocks;
    return state_.broken;
  }));
  Switch change;
  change.removed = entries;
  std::vector<RowSlice> slices;
  std::uint64_t rows = 0;
  for (const FileEntry& entry : entries) {
    for (const BlockExtent& extent : entry.blocks) {
      const MappedBlock* block = blocks->Find(extent.first_row);
      if (block == nullptr) return absl::InternalError("a block of the catalog is not mapped");
      slices.push_back(block->slice());
      rows += extent.rows;
    }
  }
  RotationSample sample(state_.meta.dimension, rows);
  for (const RowSlice& slice : slices) SampleRows(slice, sample);
  BlockFileWriter writer(*state_.database, state_.meta, generation + 1, nullptr,
                         RotationFor(sample));
  for (const RowSlice& slice : slices) {
    ENGRAM_RETURN_IF_ERROR(
        CopyLiveRows(slice, state_.meta.dimension, tombstones, writer, change.dropped));
  }
  blocks.reset();
  ENGRAM_ASSIGN_OR_RETURN(change.added, writer.Finish());
  ENGRAM_RETURN_IF_ERROR(Carry(std::move(change)));
  return DropReplaced(Family::kBlocks).status();
}

absl::Status Maintenance::Carry(Switch change) {
  Catalog catalog = state_.catalog;
  for (const FileEntry& entry : change.removed) catalog.Remove(entry.first_row());
  for (const BlockFile& file : change.added) catalog.Add(file.entry);
  std::vector<std::string> paths;
  for (const BlockFile& file : change.added) paths.push_back(file.path);
  absl::Status status = Ingest(Family::kBlocks, paths);
  std::shared_ptr<const MappedBlocks> blocks;
  if (status.ok()) {
    auto mapped =
        MappedBlocks::Map(state_.database, catalog, state_.meta.dimension, state_.blocks.get());
    status = mapped.status();
    if (status.ok()) blocks = *std::move(mapped);
  }
  if (status.ok()) status = CheckAdded(change, *blocks);
  if (status.ok()) {
    status = queue_.RunAlone(
        [&] { return CommitSwitch(change, std::move(catalog), std::move(blocks)); });
  }
  if (status.ok()) return status;
  blocks.reset();
  return Abandon(status, Family::kBlocks, paths);
}

absl::Status Maintenance::Abandon(const absl::Status& status, Family family,
                                  const std::vector<std::string>& paths) {
  std::error_code ignored;  // RemoveLeftovers gets what stays
  for (const std::string& path : paths) std::filesystem::remove(path, ignored);
  // A batch that may be in the log may name them: then only a restart knows.
  const absl::Status dropped = queue_.RunAlone(
      [&] { return state_.broken.ok() ? DropOrphansOf(family).status() : absl::OkStatus(); });
  return dropped.ok() ? status : Annotate(status, std::string(dropped.message()));
}

absl::Status Maintenance::CheckAdded(const Switch& change, const MappedBlocks& blocks) {
  for (const BlockFile& file : change.added) {
    for (const BlockExtent& extent : file.entry.blocks) {
      const MappedBlock* block = blocks.Find(extent.first_row);
      if (block == nullptr) return absl::InternalError("a block that was written is not mapped");
      ENGRAM_RETURN_IF_ERROR(NotWritten(block->CheckWithCodes()));
    }
  }
  return absl::OkStatus();
}

absl::Status Maintenance::Ingest(Family family, const std::vector<std::string>& paths) {
  if (paths.empty()) return absl::OkStatus();
  // The files are durable at once; the log before them must not be less so.
  ENGRAM_RETURN_IF_ERROR(state_.database->SyncLog());
  rocksdb::IngestExternalFileArg arg;
  arg.column_family = state_.database->family(family);
  arg.external_files = paths;
  arg.options.move_files = true;
  arg.options.write_global_seqno = false;
  arg.options.fail_if_not_bottommost_level = true;
  return FromRocks(IngestFiles(state_.database->db(), {arg}),
                   absl::StrFormat("ingesting %s", FamilyName(family)));
}

rocksdb::Status Maintenance::DeleteFromTail(const std::string& begin, const std::string& end,
                                            rocksdb::WriteBatch& batch) const {
  rocksdb::ColumnFamilyHandle* tail = state_.database->family(Family::kTail);
  rocksdb::Status status = batch.DeleteRange(tail, begin, end);
  if (!status.ok()) return status;
  return batch.Put(tail, rocksdb::Slice(kSealedKey.data(), kSealedKey.size()), rocksdb::Slice());
}

absl::Status Maintenance::CommitSwitch(const Switch& change, Catalog catalog,
                                       std::shared_ptr<const MappedBlocks> blocks) {
  rocksdb::WriteBatch batch;
  const Database& database = *state_.database;
  rocksdb::Status status;
  const auto keep = [&status](const rocksdb::Status& step) {
    if (status.ok()) status = step;
  };
  for (const FileEntry& entry : change.removed) {
    keep(batch.Delete(database.family(Family::kCatalog), FileKey(entry.first_row())));
  }
  for (const BlockFile& file : change.added) {
    keep(batch.Put(database.family(Family::kCatalog), FileKey(file.entry.first_row()),
                   EncodeFileEntry(file.entry)));
  }
  if (change.sealed_chunks > 0) {
    keep(DeleteFromTail(RowKey(change.sealed_first), RowKey(change.sealed_end), batch));
  }
  for (const std::uint64_t row : change.dropped) {
    keep(batch.Delete(database.family(Family::kTombstones), RowKey(row)));
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "building a batch"));
  ENGRAM_RETURN_IF_ERROR(WriteCommit(state_, Durability::kPower, state_.commit, batch));
  if (change.sealed_chunks > 0) state_.tail.DropChunks(change.sealed_chunks);
  state_.tombstones = state_.tombstones.Without(change.dropped);
  state_.catalog = std::move(catalog);
  state_.blocks = std::move(blocks);
  publisher_.Publish(state_);
  return absl::OkStatus();
}

absl::StatusOr<bool> Maintenance::WriteInBulk(absl::Span<const ImportedMemory> memories,
                                              std::int64_t now) {
  FairMutexLock lock(&mutex_);
  bool fresh = false;
  const absl::Status status = queue_.RunAlone([&]() -> absl::Status {
    mutex_.AssertHeld();
    ENGRAM_RETURN_IF_ERROR(state_.broken);
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<Change> changes, ChangesOf(state_, memories));
    ENGRAM_ASSIGN_OR_RETURN(fresh, AllFresh(state_, changes));
    return fresh ? IngestInBulk(changes, now) : absl::OkStatus();
  });
  if (!status.ok()) return status;
  return fresh;
}

absl::Status Maintenance::IngestInBulk(absl::Span<const Change> changes, std::int64_t now) {
  BulkFiles files(state_, rotations_, now);
  ENGRAM_RETURN_IF_ERROR(files.Build(changes));
  // Once it is taken in, the catalog names it.
  ENGRAM_RETURN_IF_ERROR(files.ReadBack());
  absl::Status status = files.Ingest();
  std::shared_ptr<const MappedBlocks> blocks;
  if (status.ok()) {
    auto mapped = MappedBlocks::Map(state_.database, files.catalog(), state_.meta.dimension,
                                    state_.blocks.get());
    status = mapped.status();
    if (status.ok()) blocks = *std::move(mapped);
  }
  if (!status.ok()) {
    // The files may be part of the database, and what is in memory cannot follow.
    state_.broken = Broken(status);
    return status;
  }
  // Rows that came before these stay before them: the tail's chunks end here.
  state_.tail.CloseChunk();
  state_.commit = files.commit();
  state_.catalog = files.catalog();
  state_.blocks = std::move(blocks);
  for (const Change& change : changes) state_.SawId(change.id);
  publisher_.Publish(state_);
  return absl::OkStatus();
}

absl::Status Maintenance::Backup(const std::string& directory, const ProgressFunction& progress) {
  // Most of what is in memory goes to the disk here, where nobody waits for it.
  ENGRAM_RETURN_IF_ERROR(state_.database->FlushFamilies());
  BackupFiles files(*state_.database);
  {
    FairMutexLock lock(&mutex_);
    ENGRAM_RETURN_IF_ERROR(files.Note());
  }
  return files.CopyTo(directory, progress);
}

absl::StatusOr<bool> Maintenance::DropReplaced(Family family) {
  const auto now = StoreFileSystem::Clock::now();
  const auto since = waiting_.try_emplace(family, now).first->second;
  bool broken = false;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    broken = !state_.broken.ok();
    return absl::OkStatus();
  }));
  if (broken) {  // a batch that may be in the log may name files: only a restart knows
    waiting_.erase(family);
    return true;
  }
  // Readers stand outside from here on: nothing that takes long may come before it is open again.
  const ReaderGate::Closed closed(state_.database->gate());
  if (!closed && now - since < StoreFileSystem::kPatience) {
    state_.database->files().Defer();
    return false;
  }
  ENGRAM_RETURN_IF_ERROR(DropOrphansOf(family).status());
  waiting_.erase(family);
  return true;
}

absl::StatusOr<bool> Maintenance::DropDeferred() {
  FairMutexLock lock(&mutex_);
  absl::Status status;
  for (const auto& [family, since] : std::map(waiting_)) {
    const absl::StatusOr<bool> gone = DropReplaced(family);
    absl::Status done = gone.status();
    // What is mapped keeps the files of before.
    if (done.ok() && *gone) done = Repin(family);
    if (!done.ok()) waiting_[family] = since;
    status.Update(done);
  }
  if (!status.ok()) return status;
  return !waiting_.empty();
}

absl::Status Maintenance::DropOrphans() {
  FairMutexLock lock(&mutex_);
  for (const Family family : {Family::kBlocks, Family::kEdges}) {
    ENGRAM_ASSIGN_OR_RETURN(const bool any, DropOrphansOf(family));
    // What was mapped before keeps the files.
    if (any) ENGRAM_RETURN_IF_ERROR(Repin(family));
  }
  return absl::OkStatus();
}

absl::Status Maintenance::Repin(Family family) {
  return family == Family::kBlocks ? RepinBlocks() : RepinEdges();
}

absl::StatusOr<bool> Maintenance::DropOrphansOf(Family family) {
  return DropUnnamed(*state_.database, family, [&](const BlockKey& key) {
    if (family == Family::kEdges) {
      const EdgeCatalog& catalog = state_.edges->catalog();
      return !catalog.blocks.empty() && key.generation == catalog.generation;
    }
    const auto& files = state_.catalog.files();
    const auto entry = files.find(key.first_row);
    return entry != files.end() && entry->second.generation == key.generation;
  });
}

}  // namespace engram::storage

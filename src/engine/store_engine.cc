#include "engine/store_engine.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/checks.h"
#include "engine/snapshot.h"
#include "engine/vectors.h"
#include "engram/version.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

static_assert(static_cast<int>(Durability::kNone) == static_cast<int>(storage::Durability::kNone));
static_assert(static_cast<int>(Durability::kProcess) ==
              static_cast<int>(storage::Durability::kProcess));
static_assert(static_cast<int>(Durability::kPower) ==
              static_cast<int>(storage::Durability::kPower));
static_assert(kMaxDimension == storage::kMaxDimensionOnDisk);

absl::StatusOr<ImportReport> CheckImport(const ImportOptions& options,
                                         storage::MemorySource source) {
  constexpr std::uint64_t kBetweenReports = 65536;
  ImportReport report;
  for (;; ++report.memories) {
    storage::ImportedMemory memory;
    ENGRAM_ASSIGN_OR_RETURN(const bool more, source(&memory));
    if (more && (report.memories == 0 || report.memories % kBetweenReports != 0)) continue;
    const Progress progress{.stage = "check", .done = report.memories, .total = options.expected};
    if (options.progress && !options.progress(progress)) {
      return absl::CancelledError(
          absl::StrFormat("checking an import was cancelled after %d memories", report.memories));
    }
    if (!more) return report;
  }
}

}  // namespace

StoreEngine::StoreEngine(const StoreOptions& options, std::unique_ptr<storage::StoreFiles> files,
                         const engram_kernels& kernels)
    : options_(options),
      threads_(options.search_threads != 0
                   ? options.search_threads
                   : std::clamp(std::thread::hardware_concurrency(), 1u, 256u)),
      kernels_(kernels),
      pool_(threads_ - 1),
      files_(std::move(files)) {}

StoreEngine::~StoreEngine() {
  pool_.Stop();
  // Held snapshots keep their view and its files; errors are Close()'s to tell.
  files_->Close().IgnoreError();
}

absl::StatusOr<std::unique_ptr<Holds::Hold>> StoreEngine::BeginCall() const {
  auto hold = Holds::Take(holds_, Holds::Kind::kCall);
  if (hold == nullptr) return absl::FailedPreconditionError("the store is closed");
  return hold;
}

absl::StatusOr<std::unique_ptr<Holds::Hold>> StoreEngine::BeginWrite() const {
  ENGRAM_ASSIGN_OR_RETURN(auto hold, BeginCall());
  if (options_.read_only) {
    return absl::FailedPreconditionError("the store was opened read-only");
  }
  return hold;
}

absl::StatusOr<std::shared_ptr<const storage::View>> StoreEngine::ViewFor(
    const ReadOptions& options) const {
  if (options.snapshot == nullptr) return files_->CurrentView();
  const auto* snapshot = static_cast<const ViewSnapshot*>(options.snapshot.get());
  if (snapshot->store() != holds_.get()) {
    return absl::InvalidArgumentError("the snapshot is of another store");
  }
  return snapshot->view();
}

absl::StatusOr<storage::Change> StoreEngine::CheckOp(const WriteBatch::Op& op,
                                                     std::size_t index) const {
  const std::string whose = absl::StrFormat("entry %d, id %d", index, op.id);
  storage::Change change;
  change.kind = storage::Change::Kind::kDelete;
  change.id = op.id;
  switch (op.kind) {
    case WriteBatch::OpKind::kPut:
      change.kind = storage::Change::Kind::kPut;
      ENGRAM_RETURN_IF_ERROR(CheckText(whose, "payload", op.bytes, 0, kMaxPayloadBytes));
      if (!op.vector.empty()) {
        ENGRAM_ASSIGN_OR_RETURN(change.norm,
                                CheckVector(whose, op.vector, files_->meta().dimension, metric()));
      }
      break;
    case WriteBatch::OpKind::kSetKey:
      change.kind = storage::Change::Kind::kSetKey;
      ENGRAM_RETURN_IF_ERROR(CheckText(whose, "key", op.bytes, 1, kMaxKeyBytes));
      break;
    case WriteBatch::OpKind::kDelete: break;
    case WriteBatch::OpKind::kPutEdge:
      change.kind = storage::Change::Kind::kPutEdge;
      ENGRAM_RETURN_IF_ERROR(CheckWeight(absl::StrFormat("entry %d", index),
                                         {.from = op.id, .to = op.to, .weight = op.weight}));
      break;
    case WriteBatch::OpKind::kDeleteEdge: change.kind = storage::Change::Kind::kDeleteEdge; break;
    case WriteBatch::OpKind::kReinforce:
      change.kind = storage::Change::Kind::kReinforce;
      ENGRAM_ASSIGN_OR_RETURN(change.added, CheckAmount(whose, op.weight));
      break;
  }
  change.to = op.to;
  change.type = op.type;
  change.weight = op.weight;
  change.vector = op.vector;
  change.bytes = op.bytes;
  return change;
}

absl::Status StoreEngine::Write(const WriteOptions& options, const WriteBatch& batch) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  ENGRAM_RETURN_IF_ERROR(CheckDurability(options.durability));
  std::vector<storage::Change> changes;
  changes.reserve(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(changes.emplace_back(), CheckOp(batch.op(i), i));
  }
  if (changes.empty()) return absl::OkStatus();
  return files_->Write(ToWriteRules(options), changes);
}

absl::Status StoreEngine::Put(const WriteOptions& options, MemoryId id,
                              absl::Span<const float> vector, std::string_view payload) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  ENGRAM_RETURN_IF_ERROR(CheckDurability(options.durability));
  ENGRAM_ASSIGN_OR_RETURN(
      const storage::Change change,
      CheckOp({.kind = WriteBatch::OpKind::kPut, .id = id, .vector = vector, .bytes = payload}, 0));
  return files_->Write(ToWriteRules(options), {&change, 1});
}

absl::Status StoreEngine::Delete(const WriteOptions& options, MemoryId id) {
  WriteBatch batch;
  batch.Delete(id);
  return Write(options, batch);
}

absl::StatusOr<ImportReport> StoreEngine::Import(const ImportOptions& options,
                                                 ImportSource source) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  ENGRAM_RETURN_IF_ERROR(CheckDurability(options.durability));
  WriteOptions write;
  write.durability = options.durability;
  std::uint64_t ordinal = 0;
  ImportRow row;
  const auto checked = [&](storage::ImportedMemory* memory) -> absl::StatusOr<bool> {
    row = {};
    auto more = source(&row);
    if (!more.ok() || !*more) return more;
    std::string whose = absl::StrFormat("memory %d of the import", ordinal++);
    if (row.id.has_value()) whose += absl::StrFormat(", id %d", *row.id);
    ENGRAM_RETURN_IF_ERROR(CheckText(whose, "payload", row.payload, 0, kMaxPayloadBytes));
    for (const std::string& key : row.keys) {
      ENGRAM_RETURN_IF_ERROR(CheckText(whose, "key", key, 1, kMaxKeyBytes));
    }
    memory->norm = 0.0f;
    if (!row.vector.empty()) {
      ENGRAM_ASSIGN_OR_RETURN(memory->norm,
                              CheckVector(whose, row.vector, files_->meta().dimension, metric()));
    }
    memory->id = row.id;
    memory->vector = row.vector;
    memory->payload = row.payload;
    memory->keys = row.keys;
    return true;
  };
  if (options.dry_run) return CheckImport(options, checked);
  ENGRAM_ASSIGN_OR_RETURN(const storage::ImportCounts counts,
                          files_->Import(ToWriteRules(write), options.expected,
                                         ToStorageProgress(options.progress, "import"), checked));
  return ImportReport{.memories = counts.memories};
}

absl::Status StoreEngine::Flush() {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  return files_->Flush();
}

absl::Status StoreEngine::Seal() {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  return files_->Seal();
}

absl::Status StoreEngine::Compact(const CompactOptions& options) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  if (!(options.min_dead_fraction >= 0.0 && options.min_dead_fraction <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("min_dead_fraction is %g; 0 to 1 is allowed", options.min_dead_fraction));
  }
  return files_->Compact(options.min_dead_fraction, ToStorageProgress(options.progress, "compact"));
}

absl::Status StoreEngine::Backup(const BackupOptions& options, const std::string& directory) {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginWrite());
  return files_->Backup(directory, ToStorageProgress(options.progress, "backup"));
}

absl::StatusOr<VerifyReport> StoreEngine::Verify(const VerifyOptions& options) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(
      storage::FilesReport found,
      files_->Verify(options.read_every_block, ToStorageProgress(options.progress, "verify")));
  return VerifyReport{.blocks = found.blocks,
                      .bytes = found.bytes,
                      .memories = found.memories,
                      .edges = found.edges,
                      .dangling_edges = found.dangling_edges,
                      .corrupt_blocks = found.corrupt_blocks,
                      .findings = std::move(found.findings)};
}

absl::Status StoreEngine::Refresh() {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  return files_->Refresh();
}

StoreStats StoreEngine::Stats() const {
  StoreStats stats;
  const auto hold = BeginCall();
  if (!hold.ok()) return stats;
  const auto view = files_->CurrentView();
  const storage::FilesStats files = files_->Stats();
  stats.memories = view->memories();
  stats.rows = view->live_rows();
  stats.tail_rows = files.tail_rows;
  stats.dead_rows = files.dead_rows;
  stats.blocks = files.blocks;
  stats.coded_rows = files.coded_rows;
  stats.edge_changes = files.edge_changes;
  stats.sealed_edges = files.sealed_edges;
  stats.dimension = files_->meta().dimension;
  stats.metric = metric();
  stats.bytes_on_disk = files.bytes_on_disk;
  stats.bytes_mapped = files.bytes_mapped;
  stats.bytes_codes = files.bytes_codes;
  stats.bytes_heap = files.bytes_heap + arrays_.heap_bytes();
  stats.wal_bytes = files.wal_bytes;
  stats.kernel = kernels_.name;
  stats.format = files_->meta().format_version;
  stats.backend = BackendVersion();
  stats.background_error = files.background_error;
  return stats;
}

absl::Status StoreEngine::Close() {
  ENGRAM_RETURN_IF_ERROR(holds_->Close());
  pool_.Stop();
  return files_->Close();
}

}  // namespace engram::engine

// Ties the parts of storage/ together: who may change what, and when.
//
// All changes go through the commit queue; a background thread seals full
// chunks and compacts files that are mostly dead; readers take views.
#include "storage/store_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "storage/background_work.h"
#include "storage/base/status.h"
#include "storage/block_file_writer.h"
#include "storage/commit_queue.h"
#include "storage/committer.h"
#include "storage/edge_types.h"
#include "storage/importer.h"
#include "storage/key_forms.h"
#include "storage/maintenance.h"
#include "storage/store_description.h"
#include "storage/store_directory.h"
#include "storage/verify.h"
#include "storage/writer_state.h"

namespace engram::storage {
namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t{2} << 20;
constexpr std::uint32_t kRowUnit = 64;
constexpr std::size_t kLinkEdges = std::size_t{1} << 18;
constexpr std::size_t kKnownNodes = std::size_t{1} << 22;  // some 100 MB

DatabaseOptions ToDatabaseOptions(const FilesOptions& options) {
  return {.create_if_missing = options.create_if_missing,
          .error_if_exists = options.error_if_exists,
          .read_only = options.read_only,
          .lock_timeout = options.lock_timeout,
          .block_cache_bytes = options.block_cache_bytes,
          .check_columns = true};
}

class StoreFilesImpl : public StoreFiles {
 public:
  StoreFilesImpl(const FilesOptions& options, std::unique_ptr<const OpenedDirectory> directory,
                 std::unique_ptr<WriterState> state)
      : options_(options),
        meta_(state->meta),
        path_(state->database->path()),
        directory_(std::move(directory)),
        state_(std::move(state)),
        maintenance_(std::make_unique<Maintenance>(*state_, queue_, publisher_)) {
    publisher_.Publish(*state_);
  }

  ~StoreFilesImpl() override {
    // Errors of closing are Close()'s to report, for those who ask.
    Close().IgnoreError();
  }

  absl::Status Start() {
    if (options_.prefault) {
      ENGRAM_RETURN_IF_ERROR(state_->blocks->Prefault());
      ENGRAM_RETURN_IF_ERROR(state_->edges->Prefault());
    }
    if (options_.verify_at_open) {
      for (const MappedBlock& block : state_->blocks->blocks()) {
        ENGRAM_RETURN_IF_ERROR(block.CheckWithCodes());
      }
      ENGRAM_RETURN_IF_ERROR(state_->edges->Check(/*verify=*/true));
    }
    if (options_.read_only) return absl::OkStatus();
    RemoveLeftovers(path_);
    ENGRAM_RETURN_IF_ERROR(maintenance_->DropOrphans());
    state_->edge_backlog.Reset(*state_->edges, state_->edge_log.View());
    const std::uint64_t before = state_->commit.batch;
    ENGRAM_RETURN_IF_ERROR(FillKeyForms(*state_));
    if (state_->commit.batch != before) publisher_.Publish(*state_);
    background_ =
        std::make_unique<BackgroundWork>(*state_, queue_, *maintenance_, options_.seal_bytes);
    ENGRAM_RETURN_IF_ERROR(background_->Start());
    return absl::OkStatus();
  }

  const StoreMeta& meta() const override { return meta_; }
  std::shared_ptr<const View> CurrentView() const override { return publisher_.Current(); }

  absl::Status Write(const WriteRules& rules, absl::Span<const Change> changes) override {
    CommitRequest request{.rules = rules, .changes = changes, .edges = {}, .result = {}};
    return Submit(request);
  }

  absl::StatusOr<std::uint64_t> Forget(const WriteRules& rules,
                                       absl::Span<const Change> changes) override {
    CommitRequest request{.rules = rules, .changes = changes, .edges = {}, .result = {}};
    ENGRAM_RETURN_IF_ERROR(Submit(request));
    return request.forgotten;
  }

  absl::StatusOr<ImportCounts> Import(const WriteRules& rules, std::uint64_t expected,
                                      const ProgressFunction& progress,
                                      MemorySource source) override {
    const auto submit = [this](CommitRequest& request) { return Submit(request); };
    auto counts = Importer(meta_, rules, *maintenance_, submit, expected, progress).Run(source);
    // What went past the queue has not been noted, and many imports leave many files.
    ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([this] {
      background_->Note();
      return absl::OkStatus();
    }));
    return counts;
  }
  absl::StatusOr<LinkCounts> Link(const WriteRules& rules, std::uint64_t expected,
                                  const ProgressFunction& progress, EdgePutSource source) override;
  absl::StatusOr<std::uint32_t> EdgeType(Durability durability, std::string_view name) override;

  absl::Status Flush() override {
    if (options_.read_only) return absl::OkStatus();
    return state_->database->SyncLog();
  }
  absl::Status Seal() override { return background_->Seal(); }
  absl::Status Compact(double fraction, const ProgressFunction& progress) override {
    return background_->Compact(fraction, progress);
  }
  absl::Status Backup(const std::string& directory, const ProgressFunction& progress) override;
  absl::StatusOr<FilesReport> Verify(bool read_every_block,
                                     const ProgressFunction& progress) const override {
    const auto view = CurrentView();
    return VerifyView(*view, read_every_block, progress);
  }
  absl::Status Refresh() override;
  FilesStats Stats() const override;
  absl::Status Close() override;

 private:
  void CommitGroup(absl::Span<CommitRequest* const> group) {
    const std::uint64_t before = state_->commit.batch;
    Committer(*state_).Commit(group);
    if (state_->commit.batch == before) return;
    publisher_.Publish(*state_);
    background_->Note();
  }

  absl::Status Submit(CommitRequest& request) {
    ENGRAM_RETURN_IF_ERROR(background_->WaitForRoom());
    return queue_.Submit(request,
                         [this](absl::Span<CommitRequest* const> group) { CommitGroup(group); });
  }

  const FilesOptions options_;
  const StoreMeta meta_;
  const std::string path_;
  const std::unique_ptr<const OpenedDirectory> directory_;  // null where the store is written
  CommitQueue queue_;
  Publisher publisher_;
  std::unique_ptr<WriterState> state_;
  std::unique_ptr<Maintenance> maintenance_;
  std::unique_ptr<BackgroundWork> background_;  // null where the store is read-only
  absl::Mutex refresh_mutex_;

  absl::Mutex close_mutex_;
  bool closed_ ABSL_GUARDED_BY(close_mutex_) = false;
};

absl::StatusOr<LinkCounts> StoreFilesImpl::Link(const WriteRules& rules, std::uint64_t expected,
                                                const ProgressFunction& progress,
                                                EdgePutSource source) {
  LinkCounts counts;
  NodesOfLiving known;
  std::vector<EdgePut> edges;
  for (bool more = true; more; edges.clear()) {
    while (edges.size() < kLinkEdges) {
      EdgePut edge;
      ENGRAM_ASSIGN_OR_RETURN(more, source(&edge));
      if (!more) break;
      edges.push_back(edge);
    }
    if (known.nodes.size() > kKnownNodes) known.nodes.clear();
    CommitRequest request{.rules = rules,
                          .changes = {},
                          .edges = edges,
                          .first_edge = counts.edges,
                          .known = &known,
                          .result = {}};
    if (!edges.empty()) ENGRAM_RETURN_IF_ERROR(Submit(request));
    counts.edges += edges.size();
    counts.created += request.created;
    if (progress && !progress(counts.edges, expected)) {
      return absl::CancelledError(
          absl::StrFormat("linking was cancelled after %d edges", counts.edges));
    }
  }
  return counts;
}

absl::StatusOr<std::uint32_t> StoreFilesImpl::EdgeType(Durability durability,
                                                       std::string_view name) {
  std::uint32_t number = 0;
  const absl::Status status = queue_.RunAlone([&]() -> absl::Status {
    ENGRAM_RETURN_IF_ERROR(state_->broken);
    rocksdb::WriteBatch batch;
    ENGRAM_ASSIGN_OR_RETURN(number, NumberOfEdgeType(*state_->database, name, &batch));
    if (batch.Count() == 0) return absl::OkStatus();
    ENGRAM_RETURN_IF_ERROR(WriteCommit(*state_, durability, state_->commit, batch));
    publisher_.Publish(*state_);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return number;
}

absl::Status StoreFilesImpl::Backup(const std::string& directory,
                                    const ProgressFunction& progress) {
  ENGRAM_ASSIGN_OR_RETURN(const DirectoryState there, ClassifyDirectory(directory));
  if (there != DirectoryState::kAbsent) {
    return absl::AlreadyExistsError(absl::StrFormat("%s exists already", directory));
  }
  if (LiesIn(directory, path_)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a backup cannot lie in the store itself, and %s is in %s", directory, path_));
  }
  ENGRAM_RETURN_IF_ERROR(maintenance_->Backup(directory, progress));
  return SyncEntry(directory);
}

absl::Status StoreFilesImpl::Refresh() {
  if (!options_.read_only) return absl::OkStatus();
  absl::MutexLock lock(&refresh_mutex_);
  // What was checked of one store says nothing of another.
  ENGRAM_RETURN_IF_ERROR(directory_->IsStillThere());
  ENGRAM_ASSIGN_OR_RETURN(auto database, Database::Open(ToDatabaseOptions(options_), path_));
  ENGRAM_RETURN_IF_ERROR(directory_->IsStillThere());
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, LoadOrCreateMeta(options_, *database));
  if (meta != meta_) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: another store is here since it was opened", path_));
  }
  ENGRAM_ASSIGN_OR_RETURN(auto state, LoadWriterState(std::move(database), meta_, state_.get()));
  publisher_.Publish(*state);
  maintenance_ = std::make_unique<Maintenance>(*state, queue_, publisher_);
  state_ = std::move(state);
  return absl::OkStatus();
}

FilesStats StoreFilesImpl::Stats() const {
  FilesStats stats;
  const std::shared_ptr<const View> view = CurrentView();
  if (view == nullptr) return stats;
  const DirectoryBytes bytes = MeasureDirectory(path_);
  stats.blocks = view->blocks().blocks().size();
  stats.dead_rows = view->tombstones().size();
  stats.tail_rows = view->tail().rows();
  stats.bytes_on_disk = bytes.all;
  stats.wal_bytes = bytes.log;
  stats.edge_changes = view->edge_changes();
  stats.sealed_edges = view->sealed_edges().catalog().edges();
  stats.coded_rows = view->blocks().coded_rows();
  stats.bytes_codes = view->blocks().code_bytes();
  stats.bytes_mapped = view->blocks().mapped_bytes() + view->sealed_edges().mapped_bytes();
  stats.bytes_heap = stats.tail_rows * (meta_.dimension * sizeof(float) + 20) +
                     stats.edge_changes * sizeof(EdgeEvent) + view->tombstones().HeapBytes() +
                     view->MadeHeapBytes() + view->RocksHeapBytes();
  if (background_ != nullptr) {
    const absl::Status status = background_->status();
    if (!status.ok()) stats.background_error = status.ToString();
  }
  return stats;
}

absl::Status StoreFilesImpl::Close() {
  absl::MutexLock close(&close_mutex_);
  if (closed_) return absl::OkStatus();
  closed_ = true;
  if (background_ != nullptr) {
    background_->Stop();
    // What stays for a reader now goes at the next open for writing.
    maintenance_->DropDeferred().IgnoreError();
  }
  absl::Status status;
  if (!options_.read_only) {
    status = state_->database->SyncLog();
    if (status.ok()) status = state_->database->FlushFamilies();
  }
  if (background_ != nullptr) {
    status.Update(Annotate(background_->status(), "the store is closed, and work was left undone"));
  }
  background_.reset();
  maintenance_.reset();
  publisher_.Clear();
  state_.reset();
  return status;
}

}  // namespace

std::uint32_t DefaultRowsPerBlock(std::uint32_t dimension) {
  const std::uint64_t rows = kBlockBytes / (std::uint64_t{dimension} * sizeof(float));
  const std::uint64_t rounded = rows / kRowUnit * kRowUnit;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(rounded, kRowUnit, std::uint64_t{1} << 16));
}

absl::StatusOr<std::unique_ptr<StoreFiles>> StoreFiles::Open(const FilesOptions& options,
                                                             const std::string& path) {
  if (options.create_if_missing && !options.read_only) {
    // Before anything is made on the disk.
    const auto there = ClassifyDirectory(path);  // its errors are for those who hold the lock
    if (there.ok() && *there != DirectoryState::kDatabase) {
      ENGRAM_RETURN_IF_ERROR(CheckCreation(options));
    }
  }
  std::unique_ptr<const OpenedDirectory> directory;
  if (options.read_only) directory = std::make_unique<OpenedDirectory>(path);
  ENGRAM_ASSIGN_OR_RETURN(auto database, Database::Open(ToDatabaseOptions(options), path));
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, LoadOrCreateMeta(options, *database));
  ENGRAM_ASSIGN_OR_RETURN(auto state, LoadWriterState(std::move(database), meta, nullptr));
  auto files = std::make_unique<StoreFilesImpl>(options, std::move(directory), std::move(state));
  ENGRAM_RETURN_IF_ERROR(files->Start());
  return files;
}

}  // namespace engram::storage

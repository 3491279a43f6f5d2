// Ties the parts of storage/ together: who may change what, and when.
//
// All changes go through the commit queue; a background thread seals full
// chunks and compacts files that are mostly dead; readers take views.
#include "storage/store_files.h"

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/base/status.h"
#include "storage/block_file_writer.h"
#include "storage/commit_queue.h"
#include "storage/committer.h"
#include "storage/edge_types.h"
#include "storage/import_chunk.h"
#include "storage/maintenance.h"
#include "storage/store_directory.h"
#include "storage/verify.h"
#include "storage/writer_state.h"

namespace engram::storage {
namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t{2} << 20;
constexpr std::uint32_t kRowUnit = 64;
constexpr std::uint64_t kWaitFactor = 4;  // writers wait at this many times seal_bytes
constexpr double kMostlyDead = 0.5;
constexpr std::size_t kCommitBytes = std::size_t{4} << 20;
constexpr std::size_t kBulkBytes = std::size_t{32} << 20;
constexpr std::size_t kLeastBulkBytes = std::size_t{1} << 20;  // below it, files are not worth it
constexpr std::size_t kLinkEdges = std::size_t{1} << 18;
constexpr std::size_t kKnownNodes = std::size_t{1} << 22;  // some 100 MB
constexpr absl::Duration kRetryPause = absl::Seconds(1);

DatabaseOptions ToDatabaseOptions(const FilesOptions& options) {
  return {.create_if_missing = options.create_if_missing,
          .error_if_exists = options.error_if_exists,
          .read_only = options.read_only,
          .lock_timeout = options.lock_timeout,
          .block_cache_bytes = options.block_cache_bytes};
}

absl::Status CheckCreation(const FilesOptions& options) {
  if (options.dimension != 0) return absl::OkStatus();
  return absl::InvalidArgumentError("dimension is 0; a new store needs one of 1 to 65536");
}

absl::StatusOr<StoreMeta> CreateStore(const FilesOptions& options, Database& database) {
  ENGRAM_RETURN_IF_ERROR(CheckCreation(options));
  const StoreMeta meta{.format_version = kFormatVersion,
                       .dimension = options.dimension,
                       .metric = options.metric == 0 ? std::uint8_t{1} : options.metric,
                       .rows_per_block = options.rows_per_block != 0
                                             ? options.rows_per_block
                                             : DefaultRowsPerBlock(options.dimension)};
  rocksdb::WriteBatch batch;
  const rocksdb::Slice key(kMetaKey.data(), kMetaKey.size());
  const rocksdb::Slice commit_key(kCommitKey.data(), kCommitKey.size());
  ENGRAM_RETURN_IF_ERROR(FromRocks(
      batch.Put(database.family(Family::kDefault), key, EncodeStoreMeta(meta)), "creating"));
  ENGRAM_RETURN_IF_ERROR(FromRocks(
      batch.Put(database.family(Family::kCatalog), commit_key, EncodeCommitRecord({.batch = 1})),
      "creating"));
  rocksdb::WriteOptions sync;
  sync.sync = true;
  ENGRAM_RETURN_IF_ERROR(FromRocks(database.db().Write(sync, &batch), "creating the store"));
  return meta;
}

absl::StatusOr<StoreMeta> LoadMeta(const FilesOptions& options, Database& database) {
  const auto value = database.Get(Family::kDefault, kMetaKey);
  if (absl::IsNotFound(value.status())) {
    if (options.create_if_missing && !options.read_only) return CreateStore(options, database);
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s is not an Engram store: it does not say which dimension it has", database.path()));
  }
  ENGRAM_RETURN_IF_ERROR(value.status());
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, DecodeStoreMeta(*value));
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion(database.path(), meta.format_version));
  if (options.dimension != 0 && options.dimension != meta.dimension) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds embeddings of dimension %d, and dimension %d was asked for",
                        database.path(), meta.dimension, options.dimension));
  }
  if (options.metric != 0 && options.metric != meta.metric) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has metric %d, and metric %d was asked for (1 cosine, 2 dot, 3 l2)",
                        database.path(), meta.metric, options.metric));
  }
  return meta;
}

class StoreFilesImpl : public StoreFiles {
 public:
  StoreFilesImpl(const FilesOptions& options, std::unique_ptr<WriterState> state)
      : options_(options),
        meta_(state->meta),
        path_(state->database->path()),
        state_(std::move(state)),
        maintenance_(std::make_unique<Maintenance>(*state_, queue_, publisher_)) {
    publisher_.Publish(*state_);
  }

  ~StoreFilesImpl() override {
    // Errors of closing are Close()'s to report, for those who ask.
    Close().IgnoreError();
  }

  absl::Status Start() {
    if (options_.prefault) ENGRAM_RETURN_IF_ERROR(state_->blocks->Prefault());
    if (options_.read_only) return absl::OkStatus();
    RemoveLeftovers(path_);
    ENGRAM_RETURN_IF_ERROR(maintenance_->DropOrphans());
    background_ = std::thread([this] { Background(); });
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
                                      MemorySource source) override;
  absl::StatusOr<LinkCounts> Link(const WriteRules& rules, std::uint64_t expected,
                                  const ProgressFunction& progress, EdgePutSource source) override;
  absl::StatusOr<std::uint32_t> EdgeType(Durability durability, std::string_view name) override;

  absl::Status Flush() override {
    if (options_.read_only) return absl::OkStatus();
    return state_->database->SyncLog();
  }
  absl::Status Seal() override {
    ENGRAM_RETURN_IF_ERROR(maintenance_->Seal(/*everything=*/true));
    return maintenance_->SealEdges(/*changes=*/1);
  }
  absl::Status Compact(double fraction, const ProgressFunction& progress) override {
    return maintenance_->Compact(fraction, progress);
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
    const Backlog backlog = BacklogOf(*state_);
    absl::MutexLock lock(&room_mutex_);
    backlog_ = backlog;
  }

  // What is left for the background to do.
  struct Backlog {
    std::uint64_t tail_bytes = 0, dead_rows = 0, edge_changes = 0, sealed_edges = 0;
  };
  static Backlog BacklogOf(const WriterState& state) {
    return {.tail_bytes = state.tail.EmbeddingBytes(),
            .dead_rows = state.tombstones.size(),
            .edge_changes = state.edge_log.end() - state.edge_log.View().first(),
            .sealed_edges = state.edges->catalog().edges()};
  }
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(room_mutex_) {
    return backlog_.tail_bytes < kWaitFactor * options_.seal_bytes &&
           backlog_.edge_changes < kWaitFactor * EdgeChangesToSeal(backlog_.sealed_edges);
  }

  absl::Status Submit(CommitRequest& request) {
    ENGRAM_RETURN_IF_ERROR(WaitForRoom());
    return queue_.Submit(request,
                         [this](absl::Span<CommitRequest* const> group) { CommitGroup(group); });
  }
  absl::Status WriteImported(const WriteRules& rules, absl::Span<const Change> changes,
                             std::size_t bytes);
  absl::Status WaitForRoom();
  void Background();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(room_mutex_) {
    return stop_ || backlog_.tail_bytes >= options_.seal_bytes ||
           backlog_.edge_changes >= EdgeChangesToSeal(backlog_.sealed_edges) ||
           backlog_.dead_rows >= dead_rows_seen_ + meta_.rows_per_block;
  }

  const FilesOptions options_;
  const StoreMeta meta_;
  const std::string path_;
  CommitQueue queue_;
  Publisher publisher_;
  std::unique_ptr<WriterState> state_;
  std::unique_ptr<Maintenance> maintenance_;
  std::thread background_;
  absl::Mutex refresh_mutex_;

  // What the background thread and waiting writers watch.
  mutable absl::Mutex room_mutex_;
  bool stop_ ABSL_GUARDED_BY(room_mutex_) = false;
  Backlog backlog_ ABSL_GUARDED_BY(room_mutex_);
  std::uint64_t dead_rows_seen_ ABSL_GUARDED_BY(room_mutex_) = 0;
  absl::Status background_status_ ABSL_GUARDED_BY(room_mutex_);
  bool closed_ = false;
};

absl::Status StoreFilesImpl::WaitForRoom() {
  absl::MutexLock lock(&room_mutex_);
  const auto may_go_on = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(room_mutex_) {
    return stop_ || !background_status_.ok() || HasRoom();
  };
  room_mutex_.Await(absl::Condition(&may_go_on));
  if (HasRoom()) return absl::OkStatus();
  return Annotate(background_status_, "the tail is full and could not be sealed");
}

void StoreFilesImpl::Background() {
  for (;;) {
    std::uint64_t changes = 0;
    {
      absl::MutexLock lock(&room_mutex_);
      room_mutex_.Await(absl::Condition(this, &StoreFilesImpl::HasWork));
      if (stop_) return;
      dead_rows_seen_ = backlog_.dead_rows;
      changes = EdgeChangesToSeal(backlog_.sealed_edges);
    }
    absl::Status status = maintenance_->Seal(/*everything=*/false);
    if (status.ok()) status = maintenance_->SealEdges(changes);
    if (status.ok()) status = maintenance_->CompactFiles(kMostlyDead, nullptr);
    Backlog backlog;
    const absl::Status read = queue_.RunAlone([&] {
      backlog = BacklogOf(*state_);
      return absl::OkStatus();
    });
    absl::MutexLock lock(&room_mutex_);
    background_status_ = status.ok() ? read : status;
    backlog_ = backlog;
    dead_rows_seen_ = std::min(dead_rows_seen_, backlog.dead_rows);
    if (background_status_.ok()) continue;
    const auto stopped = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(room_mutex_) { return stop_; };
    room_mutex_.AwaitWithTimeout(absl::Condition(&stopped), kRetryPause);
  }
}

// Returns: how many rows a chunk takes: as many whole blocks as go into kBulkBytes.
std::uint64_t RowsPerChunk(const StoreMeta& meta) {
  const std::uint64_t block = std::uint64_t{meta.rows_per_block} * meta.dimension * sizeof(float);
  return std::max<std::uint64_t>(1, kBulkBytes / block) * meta.rows_per_block;
}

absl::Status StoreFilesImpl::WriteImported(const WriteRules& rules,
                                           absl::Span<const Change> changes, std::size_t bytes) {
  if (bytes >= kLeastBulkBytes) {
    ENGRAM_ASSIGN_OR_RETURN(const bool written, maintenance_->WriteInBulk(changes, rules.now));
    if (written) return absl::OkStatus();
  }
  std::size_t begin = 0, size = 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].kind == Change::Kind::kPut && size >= kCommitBytes) {
      ENGRAM_RETURN_IF_ERROR(Write(rules, changes.subspan(begin, i - begin)));
      begin = i;
      size = 0;
    }
    size += changes[i].vector.size() * sizeof(float) + changes[i].bytes.size();
  }
  return Write(rules, changes.subspan(begin));
}

absl::StatusOr<ImportCounts> StoreFilesImpl::Import(const WriteRules& rules, std::uint64_t expected,
                                                    const ProgressFunction& progress,
                                                    MemorySource source) {
  ImportCounts counts;
  std::optional<std::uint64_t> max_id;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    max_id = state_->max_id;
    return absl::OkStatus();
  }));
  ImportChunk chunk;
  for (bool more = true; more; chunk.Clear()) {
    while (chunk.rows < RowsPerChunk(meta_) && chunk.size() < 2 * kBulkBytes) {
      ImportedMemory memory;
      ENGRAM_ASSIGN_OR_RETURN(more, source(&memory));
      if (!more) break;
      std::uint64_t id = 0;
      if (memory.id.has_value()) {
        id = *memory.id;
      } else {
        const auto known = memory.keys.empty()
                               ? absl::StatusOr<std::uint64_t>(absl::NotFoundError(""))
                               : CurrentView()->FindKey(memory.keys[0], /*verify=*/true);
        if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
        if (!known.ok() && max_id == std::numeric_limits<std::uint64_t>::max()) {
          return absl::ResourceExhaustedError("no id above the largest one is left");
        }
        id = known.ok() ? *known : max_id.has_value() ? *max_id + 1 : 0;
      }
      if (!max_id.has_value() || id > *max_id) max_id = id;
      chunk.Add(Change::Kind::kPut, id, memory.norm, memory.vector, memory.payload);
      for (const std::string& key : memory.keys) {
        chunk.Add(Change::Kind::kSetKey, id, 0.0f, {}, key);
      }
      ++chunk.memories;
    }
    if (chunk.memories > 0) {
      ENGRAM_RETURN_IF_ERROR(WriteImported(rules, chunk.Changes(), chunk.size()));
    }
    counts.memories += chunk.memories;
    if (progress && !progress(counts.memories, expected)) {
      return absl::CancelledError(
          absl::StrFormat("the import was cancelled after %d memories", counts.memories));
    }
  }
  return counts;
}

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
  if (progress && !progress(0, 1)) return absl::CancelledError("the backup was cancelled");
  ENGRAM_RETURN_IF_ERROR(maintenance_->Backup(directory));
  if (progress) progress(1, 1);
  return absl::OkStatus();
}

absl::Status StoreFilesImpl::Refresh() {
  if (!options_.read_only) return absl::OkStatus();
  absl::MutexLock lock(&refresh_mutex_);
  ENGRAM_ASSIGN_OR_RETURN(auto database, Database::Open(ToDatabaseOptions(options_), path_));
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
  stats.bytes_mapped = view->blocks().mapped_bytes() + view->sealed_edges().mapped_bytes();
  stats.bytes_heap = stats.tail_rows * (meta_.dimension * sizeof(float) + 20) +
                     stats.edge_changes * sizeof(EdgeEvent) + view->tombstones().HeapBytes() +
                     view->RocksHeapBytes();
  return stats;
}

absl::Status StoreFilesImpl::Close() {
  if (closed_) return absl::OkStatus();
  closed_ = true;
  {
    absl::MutexLock lock(&room_mutex_);
    stop_ = true;
  }
  if (background_.joinable()) background_.join();
  absl::Status status;
  if (!options_.read_only) {
    status = state_->database->SyncLog();
    if (status.ok()) status = state_->database->FlushFamilies();
  }
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
    ENGRAM_ASSIGN_OR_RETURN(const DirectoryState there, ClassifyDirectory(path));
    if (there != DirectoryState::kDatabase) ENGRAM_RETURN_IF_ERROR(CheckCreation(options));
  }
  ENGRAM_ASSIGN_OR_RETURN(auto database, Database::Open(ToDatabaseOptions(options), path));
  ENGRAM_ASSIGN_OR_RETURN(const StoreMeta meta, LoadMeta(options, *database));
  ENGRAM_ASSIGN_OR_RETURN(auto state, LoadWriterState(std::move(database), meta, nullptr));
  auto files = std::make_unique<StoreFilesImpl>(options, std::move(state));
  ENGRAM_RETURN_IF_ERROR(files->Start());
  return files;
}

absl::Status StoreFiles::Destroy(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const DirectoryState there, ClassifyDirectory(path));
  if (there != DirectoryState::kDatabase) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(DirectoryLock::Acquire(path, std::chrono::milliseconds(0)).status());
  {
    // Only what says that it is a store may be removed as one.
    FilesOptions options;
    options.read_only = true;
    ENGRAM_ASSIGN_OR_RETURN(auto database, Database::Open(ToDatabaseOptions(options), path));
    ENGRAM_RETURN_IF_ERROR(LoadMeta(options, *database).status());
  }
  RemoveLeftovers(path);
  const rocksdb::Options options(OpenOptions(/*read_only=*/false), rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    families.emplace_back(std::string(FamilyName(family)), FamilyOptions(family, nullptr));
  }
  return FromRocks(rocksdb::DestroyDB(path, options, families), "destroying " + path);
}

}  // namespace engram::storage

// The reading half of StoreEngine, and how a store is opened.
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/snapshot.h"
#include "engine/store_engine.h"
#include "engine/vectors.h"
#include "kernels/dispatch.h"
#include "storage/base/status.h"

namespace engram::engine {
namespace {

absl::Status OutOfRange(std::string_view option, std::uint64_t given, std::uint64_t least,
                        std::uint64_t most) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %d; %d to %d is allowed", option, given, least, most));
}

absl::StatusOr<const engram_kernels*> ChooseKernels(const std::string& wish) {
  std::string name = wish;
  const char* variable = std::getenv("ENGRAM_KERNELS");
  if (name.empty() && variable != nullptr) name = variable;
  if (const engram_kernels* table = kernels::FindKernels(name)) return table;
  std::string usable;
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (choice.usable) usable += std::string(usable.empty() ? "" : ", ") + choice.table->name;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("there are no kernels \"%s\" here; there are %s", name, usable));
}

}  // namespace

absl::Status CheckStoreOptions(const StoreOptions& options) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
  if (options.dimension > kMaxDimension) {
    return OutOfRange("dimension", options.dimension, 1, kMaxDimension);
  }
  if (options.metric.has_value() &&
      (*options.metric < Metric::kCosine || *options.metric > Metric::kL2Squared)) {
    return OutOfRange("metric", static_cast<std::uint64_t>(*options.metric), 1, 3);
  }
  if (options.lock_timeout.count() < 0 || options.lock_timeout > std::chrono::hours(1)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "lock_timeout is %d ms; 0 to 3600000 is allowed", options.lock_timeout.count()));
  }
  if (options.search_threads > 256) {
    return OutOfRange("search_threads", options.search_threads, 0, 256);
  }
  if (options.block_cache_bytes < kMiB || options.block_cache_bytes > kMiB << 20) {
    return OutOfRange("block_cache_bytes", options.block_cache_bytes, kMiB, kMiB << 20);
  }
  if (options.seal_bytes < 64 * 1024 || options.seal_bytes > kMiB << 10) {
    return OutOfRange("seal_bytes", options.seal_bytes, 64 * 1024, kMiB << 10);
  }
  if (options.rows_per_block % 64 != 0 || options.rows_per_block > storage::kMaxRowsPerBlock) {
    return absl::InvalidArgumentError(
        absl::StrFormat("rows_per_block is %d; a multiple of 64 up to %d is allowed",
                        options.rows_per_block, storage::kMaxRowsPerBlock));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Store>> StoreEngine::Open(const StoreOptions& options,
                                                         const std::string& path) {
  ENGRAM_RETURN_IF_ERROR(CheckStoreOptions(options));
  ENGRAM_ASSIGN_OR_RETURN(const engram_kernels* kernels, ChooseKernels(options.kernels));
  storage::FilesOptions files_options;
  files_options.dimension = options.dimension;
  if (options.metric.has_value()) {
    files_options.metric = static_cast<std::uint8_t>(*options.metric);
  }
  files_options.create_if_missing = options.create_if_missing;
  files_options.error_if_exists = options.error_if_exists;
  files_options.read_only = options.read_only;
  files_options.prefault = options.prefault;
  files_options.verify_at_open = options.verify_at_open;
  files_options.lock_timeout = options.lock_timeout;
  files_options.block_cache_bytes = options.block_cache_bytes;
  files_options.seal_bytes = options.seal_bytes;
  files_options.rows_per_block = options.rows_per_block;
  ENGRAM_ASSIGN_OR_RETURN(auto files, storage::StoreFiles::Open(files_options, path));
  return std::unique_ptr<Store>(new StoreEngine(options, std::move(files), *kernels));
}

absl::StatusOr<Record> StoreEngine::Read(const storage::View& view, MemoryId id,
                                         bool verify) const {
  ENGRAM_ASSIGN_OR_RETURN(const storage::MemoryHead head, view.FindHead(id));
  Record record;
  record.id = id;
  if (head.row != storage::kNoRow) {
    ENGRAM_ASSIGN_OR_RETURN(const auto vector, view.FindEmbedding(head.row, verify));
    record.vector.assign(vector.begin(), vector.end());
  }
  ENGRAM_ASSIGN_OR_RETURN(record.payload, view.ReadPayload(id));
  ENGRAM_ASSIGN_OR_RETURN(record.keys, view.ReadKeys(id));
  ENGRAM_ASSIGN_OR_RETURN(const storage::Strength strength, view.ReadStrength(id));
  record.strength = static_cast<float>(strength.value);
  record.last_use_unix_seconds = strength.last_use;
  return record;
}

absl::StatusOr<Record> StoreEngine::Get(const ReadOptions& options, MemoryId id) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  return Read(*view, id, options.verify_checksums);
}

absl::StatusOr<std::vector<Record>> StoreEngine::MultiGet(const ReadOptions& options,
                                                          absl::Span<const MemoryId> ids) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  std::vector<Record> records;
  records.reserve(ids.size());
  for (const MemoryId id : ids) {
    ENGRAM_ASSIGN_OR_RETURN(records.emplace_back(), Read(*view, id, options.verify_checksums));
  }
  return records;
}

absl::StatusOr<MemoryId> StoreEngine::IdForKey(const ReadOptions& options,
                                               std::string_view key) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  return view->FindKey(key);
}

absl::Status StoreEngine::CheckSearch(const SearchOptions& options) const {
  if (options.k == 0) return absl::InvalidArgumentError("k is 0; at least 1 is needed");
  if (options.threads > 256) return OutOfRange("threads", options.threads, 0, 256);
  if (options.min_score.has_value() && std::isnan(*options.min_score)) {
    return absl::InvalidArgumentError("min_score is not a number");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SearchResults>> StoreEngine::SearchBatch(const SearchOptions& options,
                                                                    MatrixView queries) const {
  ENGRAM_ASSIGN_OR_RETURN(const auto hold, BeginCall());
  ENGRAM_RETURN_IF_ERROR(CheckSearch(options));
  const std::size_t stride = queries.stride == 0 ? queries.dimension : queries.stride;
  if (queries.rows > 0 && (queries.data == nullptr || stride < queries.dimension)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d queries of dimension %d with stride %d %s", queries.rows,
                        queries.dimension, stride, queries.data == nullptr ? "and no data" : ""));
  }
  std::vector<Query> checked;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const auto vector = absl::MakeConstSpan(queries.data + i * stride, queries.dimension);
    ENGRAM_ASSIGN_OR_RETURN(const float norm, CheckVector(absl::StrFormat("query %d", i), vector,
                                                          files_->meta().dimension, metric()));
    checked.push_back({.vector = vector, .norm = norm});
  }
  ENGRAM_ASSIGN_OR_RETURN(const auto view, ViewFor(options));
  const std::uint32_t threads =
      options.threads == 0 ? threads_ : std::min(options.threads, threads_);
  return ExactSearch(*view, kernels_, metric(), options, threads, pool_, checked);
}

absl::StatusOr<SearchResults> StoreEngine::Search(const SearchOptions& options,
                                                  absl::Span<const float> query) const {
  // An empty query has the wrong length, which is said below; it has no data to point to.
  static constexpr float kNothing = 0.0f;
  const MatrixView one{
      .data = query.empty() ? &kNothing : query.data(), .rows = 1, .dimension = query.size()};
  ENGRAM_ASSIGN_OR_RETURN(std::vector<SearchResults> results, SearchBatch(options, one));
  return std::move(results[0]);
}

absl::StatusOr<SearchInfo> StoreEngine::SearchEach(
    const SearchOptions& options, absl::Span<const float> query,
    absl::FunctionRef<bool(const Hit&)> visit) const {
  ENGRAM_ASSIGN_OR_RETURN(const SearchResults results, Search(options, query));
  for (const Hit& hit : results.hits) {
    if (!visit(hit)) break;
  }
  return results.info;
}

std::unique_ptr<Iterator> StoreEngine::NewIterator(const ReadOptions& options) const {
  auto hold = Holds::Take(holds_, Holds::Kind::kIterator);
  if (hold == nullptr) {
    return std::make_unique<ViewIterator>(nullptr, nullptr, options.verify_checksums,
                                          absl::FailedPreconditionError("the store is closed"));
  }
  auto view = ViewFor(options);
  const absl::Status status = view.status();
  return std::make_unique<ViewIterator>(status.ok() ? *std::move(view) : nullptr, std::move(hold),
                                        options.verify_checksums, status);
}

std::shared_ptr<const Snapshot> StoreEngine::GetSnapshot() const {
  auto hold = Holds::Take(holds_, Holds::Kind::kSnapshot);
  if (hold == nullptr) return nullptr;
  return std::make_shared<ViewSnapshot>(files_->CurrentView(), std::move(hold), holds_);
}

}  // namespace engram::engine

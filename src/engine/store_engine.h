// What a Store does: checks what it is given, says what it means, and leaves
// bytes to storage/ and arithmetic to the kernels.
#ifndef ENGRAM_ENGINE_STORE_ENGINE_H_
#define ENGRAM_ENGINE_STORE_ENGINE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/exact_search.h"
#include "engine/holds.h"
#include "engram/store.h"
#include "recall/spreading.h"
#include "storage/store_files.h"

namespace engram::engine {

absl::Status CheckStoreOptions(const StoreOptions& options);

absl::StatusOr<RepairReport> Repair(const RepairOptions& options, const std::string& damaged,
                                    const std::string& into);

class StoreEngine : public Store {
 public:
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options,
                                                     const std::string& path);
  ~StoreEngine() override;

  absl::Status Put(const WriteOptions& options, MemoryId id, absl::Span<const float> vector,
                   std::string_view payload) override;
  absl::Status Delete(const WriteOptions& options, MemoryId id) override;
  absl::Status Write(const WriteOptions& options, const WriteBatch& batch) override;
  absl::StatusOr<ImportReport> Import(const ImportOptions& options, ImportSource source) override;
  absl::Status Flush() override;
  absl::StatusOr<Record> Get(const ReadOptions& options, MemoryId id) const override;
  absl::StatusOr<std::vector<Record>> MultiGet(const ReadOptions& options,
                                               absl::Span<const MemoryId> ids) const override;
  absl::StatusOr<MemoryId> IdForKey(const ReadOptions& options,
                                    std::string_view key) const override;
  absl::StatusOr<SearchResults> Search(const SearchOptions& options,
                                       absl::Span<const float> query) const override;
  absl::StatusOr<std::vector<SearchResults>> SearchBatch(const SearchOptions& options,
                                                         MatrixView queries) const override;
  absl::StatusOr<SearchInfo> SearchEach(const SearchOptions& options, absl::Span<const float> query,
                                        absl::FunctionRef<bool(const Hit&)> visit) const override;
  absl::StatusOr<LinkReport> Link(const LinkOptions& options, EdgeSource source) override;
  absl::StatusOr<std::uint32_t> EdgeType(const WriteOptions& options,
                                         std::string_view name) override;
  absl::StatusOr<ForgetReport> Forget(const ForgetOptions& options) override;
  absl::StatusOr<std::vector<Edge>> Neighbors(const ReadOptions& options, MemoryId id,
                                              Direction direction) const override;
  absl::StatusOr<std::vector<std::pair<std::uint32_t, std::string>>> EdgeTypes(
      const ReadOptions& options) const override;
  absl::StatusOr<SpreadResults> Spread(const SpreadOptions& options,
                                       absl::Span<const engram::Seed> seeds) const override;
  absl::StatusOr<RecallResults> Recall(const RecallOptions& options,
                                       absl::Span<const float> cue) const override;
  absl::StatusOr<std::vector<NamedInText>> FindNamed(const ReadOptions& options,
                                                     std::string_view text) const override;
  std::unique_ptr<Iterator> NewIterator(const ReadOptions& options) const override;
  std::shared_ptr<const Snapshot> GetSnapshot() const override;
  absl::Status Seal() override;
  absl::Status Compact(const CompactOptions& options) override;
  absl::Status Backup(const BackupOptions& options, const std::string& directory) override;
  absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) const override;
  absl::Status Refresh() override;
  StoreStats Stats() const override;
  absl::Status Close() override;

 private:
  StoreEngine(const StoreOptions& options, std::unique_ptr<storage::StoreFiles> files,
              const engram_kernels& kernels);

  Metric metric() const { return static_cast<Metric>(files_->meta().metric); }
  // Returns: a hold on this call, or why there is none.
  absl::StatusOr<std::unique_ptr<Holds::Hold>> BeginCall() const;
  absl::StatusOr<std::unique_ptr<Holds::Hold>> BeginWrite() const;
  absl::StatusOr<std::shared_ptr<const storage::View>> ViewFor(const ReadOptions& options) const;
  absl::StatusOr<storage::Change> CheckOp(const WriteBatch::Op& op, std::size_t index) const;
  absl::StatusOr<Record> Read(const storage::View& view, MemoryId id, bool verify) const;
  absl::Status CheckSearch(const SearchOptions& options) const;

  const StoreOptions options_;
  const std::uint32_t threads_;
  const engram_kernels& kernels_;
  mutable SearchPool pool_;
  mutable recall::SpreadArraysPool arrays_;
  const std::shared_ptr<Holds> holds_ = std::make_shared<Holds>();
  const std::unique_ptr<storage::StoreFiles> files_;
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_STORE_ENGINE_H_

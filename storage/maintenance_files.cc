// Which files Maintenance rewrites: those with dead rows, and those that are small and
// lie side by side.
#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/maintenance.h"
#include "storage/merge_runs.h"
#include "storage/record_compaction.h"

namespace engram::storage {
namespace {

std::uint64_t RowsOf(const FileEntry& entry) {
  std::uint64_t rows = 0;
  for (const BlockExtent& block : entry.blocks) rows += block.rows;
  return rows;
}

bool HasCodes(const FileEntry& entry) {
  return std::find(entry.columns.begin(), entry.columns.end(), ColumnKind::kCode) !=
         entry.columns.end();
}

// Codes alone are mended by writing the file anew; where it is more, CheckFile() says so.
bool IsDamaged(const MappedBlocks& blocks, const FileEntry& entry) {
  return std::any_of(entry.blocks.begin(), entry.blocks.end(), [&](const BlockExtent& extent) {
    const MappedBlock* block = blocks.Find(extent.first_row);
    return block == nullptr || !block->CheckAgain().ok();
  });
}

// Returns: whether rows of the tail lie in [first, end). They will get files of their own there.
bool HasRowsIn(const TailView& tail, std::uint64_t first, std::uint64_t end) {
  std::size_t low = 0, high = tail.chunks.size();
  while (low < high) {  // the first chunk that ends after `first`
    const std::size_t middle = low + (high - low) / 2;
    const TailChunk& chunk = *tail.chunks[middle];
    const std::uint64_t last = chunk.first_row() + chunk.row_offsets()[tail.sizes[middle] - 1];
    if (last < first) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < tail.chunks.size() && tail.chunks[low]->first_row() < end;
}

}  // namespace

absl::Status Maintenance::CompactFiles(double min_dead_fraction, const ProgressFunction& progress) {
  std::vector<FileEntry> candidates, others;
  std::shared_ptr<const MappedBlocks> blocks;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    blocks = state_.blocks;
    for (const auto& [first_row, entry] : state_.catalog.files()) {
      const auto rows = static_cast<double>(RowsOf(entry));
      const std::uint64_t dead = state_.tombstones.CountIn(entry.first_row(), entry.end_row());
      // Files of before there were codes get them so.
      const bool old = min_dead_fraction == 0.0 && !HasCodes(entry);
      if (old || (dead > 0 && static_cast<double>(dead) >= min_dead_fraction * rows)) {
        candidates.push_back(entry);
      } else if (min_dead_fraction == 0.0) {
        others.push_back(entry);
      }
    }
    return state_.broken;
  }));
  std::copy_if(others.begin(), others.end(), std::back_inserter(candidates),
               [&](const FileEntry& entry) { return IsDamaged(*blocks, entry); });
  blocks.reset();  // they would keep the files that go
  absl::Status damage;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (progress && !progress(i, candidates.size())) {
      return absl::CancelledError(
          absl::StrFormat("compaction was cancelled after %d of %d files", i, candidates.size()));
    }
    FairMutexLock lock(&mutex_);
    const auto& files = state_.catalog.files();
    const auto found = files.find(candidates[i].first_row());
    // Others may have rewritten it meanwhile, without the rows that were dead.
    if (found == files.end() || found->second != candidates[i]) continue;
    absl::Status status = CheckFile(candidates[i]);
    if (status.ok()) status = Rewrite({candidates[i]});
    if (!status.ok() && !absl::IsDataLoss(status)) return status;
    damage.Update(status);
  }
  if (!candidates.empty()) {
    FairMutexLock lock(&mutex_);
    ENGRAM_RETURN_IF_ERROR(RepinBlocks());
  }
  if (progress) progress(candidates.size(), candidates.size());
  return damage;
}

absl::Status Maintenance::RepinBlocks() {
  ENGRAM_ASSIGN_OR_RETURN(auto blocks,
                          MappedBlocks::Map(state_.database, state_.catalog, state_.meta.dimension,
                                            state_.blocks.get()));
  return queue_.RunAlone([&] {
    state_.blocks = std::move(blocks);
    publisher_.Publish(state_);
    return absl::OkStatus();
  });
}

absl::Status Maintenance::CompactRecords() { return storage::CompactRecords(*state_.database); }

absl::Status Maintenance::MergeFiles() {
  absl::Status damage;
  std::set<FileName> damaged;
  for (bool merged = false;;) {
    FairMutexLock lock(&mutex_);
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<FileEntry> run, NextRun(damaged));
    if (run.empty()) {
      if (merged) ENGRAM_RETURN_IF_ERROR(RepinBlocks());
      return damage;
    }
    // Before anything is written: a run may be good without its damaged files.
    bool sound = true;
    for (const FileEntry& entry : run) {
      const absl::Status status = CheckFile(entry);
      if (status.ok()) continue;
      sound = false;
      damage.Update(status);
      damaged.emplace(entry.first_row(), entry.generation);
    }
    if (sound) ENGRAM_RETURN_IF_ERROR(Rewrite(run));
    merged |= sound;
  }
}

absl::StatusOr<std::vector<FileEntry>> Maintenance::NextRun(const std::set<FileName>& damaged) {
  TailView tail;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    tail = state_.tail.View();
    return state_.broken;
  }));
  std::vector<MergeCandidate> candidates;
  const auto& files = state_.catalog.files();
  std::uint64_t end = 0;
  bool after_damage = false;
  for (const auto& [first_row, entry] : files) {
    const bool is_damaged = damaged.contains({first_row, entry.generation});
    candidates.push_back({.rows = RowsOf(entry),
                          .apart = is_damaged || after_damage || HasRowsIn(tail, end, first_row)});
    end = entry.end_row();
    after_damage = is_damaged;
  }
  const MergeRun run = FindMergeRun(candidates, RowsOfFullFile(state_.meta));
  std::vector<FileEntry> entries;
  auto it = std::next(files.begin(), static_cast<std::ptrdiff_t>(run.begin));
  for (std::size_t i = 0; i < run.count; ++i, ++it) entries.push_back(it->second);
  return entries;
}

// Damage must not be copied under a fresh checksum, and may have come since the last look.
absl::Status Maintenance::CheckFile(const FileEntry& entry) {
  for (const BlockExtent& extent : entry.blocks) {
    const MappedBlock* block = state_.blocks->Find(extent.first_row);
    if (block == nullptr) return absl::InternalError("a block of the catalog is not mapped");
    ENGRAM_RETURN_IF_ERROR(block->CheckRowsAgain());
  }
  return absl::OkStatus();
}

}  // namespace engram::storage

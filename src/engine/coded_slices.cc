#include "engine/coded_slices.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "absl/synchronization/mutex.h"
#include "storage/base/rounding.h"
#include "storage/base/status.h"
#include "storage/mapped_blocks.h"

namespace engram::engine {
namespace {

using storage::kSuperblockRows;

// The norms of a superblock's rows, of which the last block has not all 64.
class Norms {
 public:
  Norms(const SearchJob& job, const storage::RowSlice& rows, std::size_t superblock) {
    if (job.metric != Metric::kL2Squared) return;
    const std::size_t begin = superblock * kSuperblockRows;
    norms_ = rows.norms + begin;
    if (begin + kSuperblockRows <= rows.count) return;
    std::fill(std::begin(copy_), std::end(copy_), 0.0f);
    std::memcpy(copy_, norms_, (rows.count - begin) * sizeof(float));
    norms_ = copy_;
  }
  Norms(const Norms&) = delete;
  Norms& operator=(const Norms&) = delete;

  const float* get() const { return norms_; }

 private:
  const float* norms_ = nullptr;
  float copy_[kSuperblockRows];
};

}  // namespace

void CodedSlice::Estimate(const SearchJob& job, const ScoreBounds::ForBlock& block, std::size_t s,
                          float* out) const {
  const Norms norms(job, rows, s);
  job.kernels.estimate(&block.query, Superblock(s), norms.get(), 1, out);
  const float step = storage::ToFloat(block.step), slack = storage::ToFloat(block.slack);
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < kSuperblockRows; ++i) {
    const float bound = out[i] * step + slack;
    out[i] = bound >= kNothing ? bound : kNothing;  // bytes that nobody verified may give NaN
  }
  const auto begin = static_cast<std::uint32_t>(s * kSuperblockRows);
  if (!has_dead && begin + kSuperblockRows <= rows.count) return;
  for (std::uint32_t i = 0; i < kSuperblockRows; ++i) {
    if (!Lives(job, begin + i)) out[i] = -std::numeric_limits<float>::infinity();
  }
}

std::size_t CodedSlice::Scan(const SearchJob& job, const ScoreBounds::ForBlock& block,
                             std::size_t s, std::size_t count, std::uint32_t* out,
                             float* bounds) const {
  const bool short_of_norms =
      job.metric == Metric::kL2Squared && (s + count) * kSuperblockRows > rows.count;
  const std::size_t whole = short_of_norms ? count - 1 : count;
  const float* first_norms =
      job.metric == Metric::kL2Squared ? rows.norms + s * kSuperblockRows : nullptr;
  std::size_t found =
      job.kernels.scan(&block.query, Superblock(s), first_norms, whole, out, bounds, 0);
  if (!short_of_norms) return found;
  const Norms norms(job, rows, s + whole);
  const std::size_t before = found;
  found = job.kernels.scan(&block.query, Superblock(s + whole), norms.get(), 1, out, bounds, found);
  for (std::size_t i = before; i < found; ++i) {
    out[i] += static_cast<std::uint32_t>(whole * kSuperblockRows);
  }
  return found;
}

absl::Status CodedSlices::Check(const SearchJob& job, StopSign& sign) {
  std::vector<std::size_t> unchecked;
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < job.view.slice_count(); ++i) {
    const storage::RowSlice slice = job.view.slice(i);
    if (slice.block == nullptr) continue;
    ENGRAM_RETURN_IF_ERROR(slice.block->usable());
    ENGRAM_RETURN_IF_ERROR(slice.block->codes_usable());
    if (!job.options.verify_checksums || slice.codes == nullptr || slice.block->checked()) continue;
    unchecked.push_back(i);
    rows += slice.count;
  }
  absl::Mutex mutex;
  absl::Status status;
  std::atomic<std::size_t> next{0};
  const std::uint64_t row_bytes = job.view.dimension() * sizeof(float);
  job.pool.Run(job.UsefulThreads(rows * row_bytes) - 1, [&] {
    DeadlineWatch watch(job.options, sign);
    for (;;) {
      const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= unchecked.size()) return;
      if (watch.MustStop(std::uint64_t{job.view.slice(unchecked[i]).count} * row_bytes)) return;
      const absl::Status ready = job.view.slice(unchecked[i]).block->CheckWithCodes();
      if (ready.ok()) continue;
      absl::MutexLock lock(&mutex);
      status.Update(ready);
      sign.stop = true;
    }
  });
  return status;
}

CodedSlices CodedSlices::Of(const SearchJob& job) {
  CodedSlices all;
  for (std::size_t i = 0; i < job.view.slice_count(); ++i) {
    const storage::RowSlice rows = job.view.slice(i);
    // Codes of rows divided by their norms say nothing of others, nor the other way round.
    const bool fit = rows.codes != nullptr && rows.count > 0 &&
                     rows.codes->normalised == (job.metric == Metric::kCosine);
    if (!fit) {
      all.others_.push_back(i);
      continue;
    }
    // Sizes too: without checksums a hash may be that of others.
    const auto same = [&](const storage::RotationView* known) {
      if (known == nullptr || rows.rotation == nullptr) return known == rows.rotation;
      return known->hash == rows.rotation->hash &&
             known->code_dimensions == rows.rotation->code_dimensions;
    };
    auto rotation = std::find_if(all.rotations_.begin(), all.rotations_.end(), same);
    if (rotation == all.rotations_.end()) {
      rotation = all.rotations_.insert(rotation, rows.rotation);
    }
    CodedSlice& slice = all.slices_.emplace_back();
    slice.rows = rows;
    slice.has_dead = job.view.tombstones().CountIn(rows.first_row, rows.end_row()) > 0;
    slice.superblocks = rows.codes->superblock_count();
    slice.first = all.superblocks_;
    slice.rotation = static_cast<std::size_t>(rotation - all.rotations_.begin());
    all.superblocks_ += slice.superblocks;
    all.bytes_ += slice.superblocks * storage::SuperblockBytes(rows.codes->groups);
    all.most_norm_ = std::max(all.most_norm_, double{rows.codes->max_norm});
  }
  return all;
}

}  // namespace engram::engine

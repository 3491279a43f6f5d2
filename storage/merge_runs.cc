#include "storage/merge_runs.h"

#include <algorithm>

#include "storage/block_file_writer.h"

namespace engram::storage {
namespace {

constexpr std::uint64_t kFullBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kTakenShare = 2;    // files below full / 2 are taken
constexpr std::uint64_t kAverageShare = 5;  // an import's 32 MiB are a fourth
constexpr std::size_t kLongRun = 8;

}  // namespace

std::uint64_t RowsOfFullFile(const StoreMeta& meta) {
  const std::uint64_t block = BlockEmbeddingBytes(meta.dimension, meta.rows_per_block);
  return std::clamp<std::uint64_t>(kFullBytes / block, 1, kBlocksPerFile) * meta.rows_per_block;
}

MergeRun FindMergeRun(absl::Span<const MergeCandidate> files, std::uint64_t full_rows) {
  for (std::size_t begin = 0; begin < files.size(); ++begin) {
    MergeRun best;
    std::uint64_t total = 0, largest = 0;
    for (std::size_t end = begin; end < files.size(); ++end) {
      const std::uint64_t rows = files[end].rows;
      if (rows >= full_rows / kTakenShare || total + rows > full_rows) break;
      if (end > begin && files[end].apart) break;
      total += rows;
      largest = std::max(largest, rows);
      const std::size_t count = end - begin + 1;
      const bool worth = count >= kLongRun || (total >= full_rows / kTakenShare &&
                                               total * kAverageShare <= full_rows * count);
      if (worth && 2 * largest <= total) best = {begin, count};
    }
    if (best.count > 0) return best;
  }
  return {};
}

}  // namespace engram::storage

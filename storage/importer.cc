#include "storage/importer.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

constexpr std::size_t kCommitBytes = std::size_t{4} << 20;
constexpr std::size_t kBulkBytes = std::size_t{32} << 20;      // of embeddings
constexpr std::size_t kChunkBytes = 3 * kBulkBytes;            // of everything
constexpr std::size_t kLeastBulkBytes = std::size_t{1} << 20;  // below it, files are not worth it
constexpr std::uint64_t kChunkMemories = std::uint64_t{1} << 16;

// Returns: how many rows a chunk takes: as many whole blocks as go into both limits, one at least.
std::uint64_t RowsPerChunk(const StoreMeta& meta) {
  const std::uint64_t rows = meta.rows_per_block;
  const std::uint64_t blocks =
      std::min(kBulkBytes / (rows * meta.dimension * sizeof(float)), kChunkMemories / rows);
  return std::max<std::uint64_t>(1, blocks) * rows;
}

}  // namespace

Importer::Importer(const StoreMeta& meta, const WriteRules& rules, Maintenance& maintenance,
                   SubmitFunction submit, std::uint64_t expected, const ProgressFunction& progress)
    : most_rows_(RowsPerChunk(meta)),
      most_memories_(std::max(most_rows_, kChunkMemories)),
      rules_(rules),
      maintenance_(maintenance),
      submit_(submit),
      expected_(expected),
      progress_(progress) {}

bool Importer::IsFull(const ImportChunk& chunk) const {
  return chunk.rows() >= most_rows_ || chunk.memories() >= most_memories_ ||
         chunk.size() >= kChunkBytes;
}

absl::StatusOr<ImportCounts> Importer::Run(MemorySource source) {
  ImportChunk chunk;
  for (bool more = true; more; chunk.Clear()) {
    while (!IsFull(chunk)) {
      ImportedMemory memory;
      ENGRAM_ASSIGN_OR_RETURN(more, source(&memory));
      if (!more) break;
      chunk.Add(memory);
    }
    ENGRAM_RETURN_IF_ERROR(Store(chunk));
  }
  return counts_;
}

absl::Status Importer::Store(const ImportChunk& chunk) {
  const std::vector<ImportedMemory> memories = chunk.Memories();
  if (chunk.content_bytes() >= kLeastBulkBytes) {
    ENGRAM_ASSIGN_OR_RETURN(const bool written, maintenance_.WriteInBulk(memories, rules_.now));
    if (written) return Stored(memories.size());
  }
  const auto all = absl::MakeConstSpan(memories);
  std::size_t begin = 0, size = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t more = ImportChunk::SizeOf(all[i]);
    if (i > begin && size + more > kCommitBytes) {
      ENGRAM_RETURN_IF_ERROR(Submit(all.subspan(begin, i - begin)));
      begin = i;
      size = 0;
    }
    size += more;
  }
  return begin < all.size() ? Submit(all.subspan(begin)) : absl::OkStatus();
}

absl::Status Importer::Submit(absl::Span<const ImportedMemory> memories) {
  CommitRequest request{.rules = rules_,
                        .changes = {},
                        .edges = {},
                        .imported = memories,
                        .first_imported = counts_.memories,
                        .result = {}};
  ENGRAM_RETURN_IF_ERROR(submit_(request));
  return Stored(memories.size());
}

absl::Status Importer::Stored(std::size_t memories) {
  counts_.memories += memories;
  if (!progress_ || progress_(counts_.memories, expected_)) return absl::OkStatus();
  return absl::CancelledError(
      absl::StrFormat("the import was cancelled after %d memories", counts_.memories));
}

}  // namespace engram::storage

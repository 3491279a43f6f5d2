// Turns a stream of rows into table files of whole blocks, ready to ingest: the
// one way blocks come to be, for a seal, a compaction and an import alike.
#ifndef ENGRAM_STORAGE_BLOCK_FILE_WRITER_H_
#define ENGRAM_STORAGE_BLOCK_FILE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/sst_file_writer.h"
#include "storage/catalog.h"
#include "storage/format/block_format.h"
#include "storage/format/record_format.h"
#include "storage/rotation.h"
#include "storage/tail.h"

namespace engram::storage {

// One block a file is six times slower to write than many; more than this only
// makes compaction coarser, whose unit is the file.
inline constexpr std::size_t kBlocksPerFile = 64;

// A finished file and the catalog entry that will make it count.
struct BlockFile {
  std::string path;
  FileEntry entry;
};

// Files are named so that Open() can tell leftovers: see RemoveLeftovers.
std::string IngestPath(const Database& database, std::string_view purpose);

// Removes what an interrupted seal, compaction or import left unfinished.
void RemoveLeftovers(const std::string& store_path);

// Codes are made by threads of its own while the next blocks are filled and written. Belongs to
// one thread. Files that were not handed out are removed with it.
class BlockFileWriter {
 public:
  // `catalog` says where other files lie: no file of ours reaches across one,
  // because the files of a generation must not interleave. `rotation`: of the codes; null:
  // none.
  BlockFileWriter(const Database& database, const StoreMeta& meta, std::uint32_t generation,
                  const Catalog* catalog, std::shared_ptr<const Rotation> rotation);
  ~BlockFileWriter();
  BlockFileWriter(const BlockFileWriter&) = delete;
  BlockFileWriter& operator=(const BlockFileWriter&) = delete;

  // Rows come in ascending order. Errors: those of the file system.
  absl::Status Add(const NewRow& row);

  // Returns: the files, synced, in row order; none if there were no rows. They
  // are the caller's to ingest or remove.
  absl::StatusOr<std::vector<BlockFile>> Finish();

 private:
  // The columns of a block, until they are written.
  struct Block {
    BlockExtent extent;
    std::string embeddings, norms, nodes, ids, row_offsets;
    std::future<CodePayloads> codes;
  };

  absl::Status FinishBlock();
  absl::Status FinishFile();
  absl::Status OpenFile();
  absl::Status WriteFirst();
  absl::Status PutColumn(const BlockExtent& extent, ColumnKind column, std::string_view payload);
  absl::Status PutCodes(const BlockExtent& extent, const CodePayloads& codes);
  std::future<CodePayloads> StartCodes(const Block& block) const;
  bool MustEndBlock(std::uint64_t next_row) const;

  const Database& database_;
  const StoreMeta meta_;
  const std::uint32_t generation_;
  const Catalog* catalog_;
  const std::shared_ptr<const Rotation> rotation_;

  std::unique_ptr<Block> block_;  // that is being filled
  std::uint64_t first_row_ = 0;
  std::uint64_t last_row_ = 0;
  std::uint32_t rows_ = 0;

  std::deque<std::unique_ptr<Block>> full_;  // of the file that is being filled

  // The file that is being filled.
  std::unique_ptr<rocksdb::SstFileWriter> file_;
  BlockFile current_;
  std::vector<BlockFile> finished_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BLOCK_FILE_WRITER_H_

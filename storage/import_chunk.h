// A run of imported memories that is kept until it is committed: what the source lends is
// copied, so that the next memory can be asked for.
#ifndef ENGRAM_STORAGE_IMPORT_CHUNK_H_
#define ENGRAM_STORAGE_IMPORT_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "storage/store_files.h"

namespace engram::storage {

// Belongs to one thread.
class ImportChunk {
 public:
  void Add(const ImportedMemory& memory) {
    floats_.insert(floats_.end(), memory.vector.begin(), memory.vector.end());
    bytes_.append(memory.payload);
    keys_.insert(keys_.end(), memory.keys.begin(), memory.keys.end());
    entries_.push_back(
        {memory.id, memory.norm, memory.vector.size(), memory.payload.size(), memory.keys.size()});
    rows_ += memory.vector.empty() ? 0 : 1;
    const std::size_t content = ContentBytes(memory);
    content_bytes_ += content;
    size_ += content + Overhead(memory);
  }
  void Clear() {
    floats_.clear();
    bytes_.clear();
    keys_.clear();
    entries_.clear();
    rows_ = content_bytes_ = size_ = 0;
  }

  std::size_t memories() const { return entries_.size(); }
  std::size_t rows() const { return rows_; }
  // Bytes of embeddings, payloads and keys.
  std::size_t content_bytes() const { return content_bytes_; }
  // These, and what must be kept beside them until they are committed.
  std::size_t size() const { return size_; }
  static std::size_t SizeOf(const ImportedMemory& memory) {
    return ContentBytes(memory) + Overhead(memory);
  }

  // Returns: the memories, which live until the chunk changes.
  std::vector<ImportedMemory> Memories() const {
    std::vector<ImportedMemory> memories;
    memories.reserve(entries_.size());
    std::size_t floats = 0, bytes = 0, keys = 0;
    for (const Entry& e : entries_) {
      memories.push_back({.id = e.id,
                          .vector = absl::MakeConstSpan(floats_.data() + floats, e.floats),
                          .norm = e.norm,
                          .payload = std::string_view(bytes_).substr(bytes, e.bytes),
                          .keys = absl::MakeConstSpan(keys_.data() + keys, e.keys)});
      floats += e.floats;
      bytes += e.bytes;
      keys += e.keys;
    }
    return memories;
  }

 private:
  struct Entry {
    std::optional<std::uint64_t> id;
    float norm;
    std::size_t floats, bytes, keys;
  };
  // Heads, nodes and records that the commit makes, and its own notes; measured.
  static constexpr std::size_t kMemoryOverhead = 512, kKeyOverhead = 512;

  static std::size_t ContentBytes(const ImportedMemory& memory) {
    std::size_t bytes = memory.vector.size() * sizeof(float) + memory.payload.size();
    for (const std::string& key : memory.keys) bytes += key.size();
    return bytes;
  }
  static std::size_t Overhead(const ImportedMemory& memory) {
    return kMemoryOverhead + memory.keys.size() * kKeyOverhead;
  }

  std::vector<float> floats_;
  std::string bytes_;
  std::vector<std::string> keys_;
  std::vector<Entry> entries_;
  std::size_t rows_ = 0, content_bytes_ = 0, size_ = 0;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_IMPORT_CHUNK_H_

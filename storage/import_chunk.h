// A run of imported memories that becomes one commit: what the source lends is
// copied, so that the next memory can be asked for.
#ifndef ENGRAM_STORAGE_IMPORT_CHUNK_H_
#define ENGRAM_STORAGE_IMPORT_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "storage/store_files.h"

namespace engram::storage {

// Belongs to one thread.
struct ImportChunk {
  std::vector<float> floats;
  std::string bytes;
  struct Entry {
    Change::Kind kind;
    std::uint64_t id;
    float norm;
    std::size_t float_begin, float_size, byte_begin, byte_size;
  };
  std::vector<Entry> entries;
  std::uint64_t memories = 0;
  std::uint64_t rows = 0;

  void Clear() {
    floats.clear();
    bytes.clear();
    entries.clear();
    memories = rows = 0;
  }
  std::size_t size() const { return floats.size() * sizeof(float) + bytes.size(); }
  void Add(Change::Kind kind, std::uint64_t id, float norm, absl::Span<const float> vector,
           std::string_view text) {
    entries.push_back({kind, id, norm, floats.size(), vector.size(), bytes.size(), text.size()});
    floats.insert(floats.end(), vector.begin(), vector.end());
    bytes.append(text);
    rows += vector.empty() ? 0 : 1;
  }
  std::vector<Change> Changes() const {
    std::vector<Change> changes;
    for (const Entry& e : entries) {
      changes.push_back({.kind = e.kind,
                         .id = e.id,
                         .vector = absl::MakeConstSpan(floats.data() + e.float_begin, e.float_size),
                         .norm = e.norm,
                         .bytes = std::string_view(bytes).substr(e.byte_begin, e.byte_size)});
    }
    return changes;
  }
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_IMPORT_CHUNK_H_

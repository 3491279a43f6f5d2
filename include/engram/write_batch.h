// Engram: changes that are applied all or not at all.
#ifndef ENGRAM_WRITE_BATCH_H_
#define ENGRAM_WRITE_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "engram/types.h"

namespace engram {

// A list of changes for Store::Write(). They take effect in the order they
// were added, and nobody ever sees some of them without the others: where two
// of them put the same id, the last wins.
//
// Adding copies its arguments and checks nothing; Store::Write() checks all of
// it before any of it is written.
//
// Thread safety: belongs to one thread at a time. Copyable and movable.
class WriteBatch {
 public:
  // What one entry does.
  enum class OpKind : std::uint8_t { kPut = 1, kDelete = 2, kSetKey = 3 };

  // One entry as it was added. The spans point into the batch and live until
  // it is changed or destroyed.
  struct Op {
    OpKind kind;
    MemoryId id;
    absl::Span<const float> vector;  // kPut
    std::string_view bytes;          // kPut: the payload; kSetKey: the key
  };

  // Stores a memory, or replaces the vector and payload of the one that has
  // this id; its keys stay. An empty `vector` stores a memory without an
  // embedding: it is found by id and key, and never by search.
  void Put(MemoryId id, absl::Span<const float> vector, std::string_view payload = {});

  // Gives a memory a text name; the memory must exist when its turn comes,
  // which an earlier Put of this batch provides. A memory may have many keys. A
  // key that named another memory names this one from now on. 1 to
  // kMaxKeyBytes bytes of any value.
  void SetKey(std::string_view key, MemoryId id);

  // Removes a memory and its keys. The memory must exist when its turn comes.
  void Delete(MemoryId id);

  void Clear();

  // Returns: the number of entries.
  std::size_t size() const { return entries_.size(); }

  // Returns: entry `i`. Precondition: i < size().
  Op op(std::size_t i) const;

 private:
  struct Entry {
    OpKind kind;
    MemoryId id;
    std::size_t vector_begin, vector_size, bytes_begin, bytes_size;
  };
  std::vector<Entry> entries_;
  std::vector<float> floats_;
  std::string bytes_;
};

}  // namespace engram

#endif  // ENGRAM_WRITE_BATCH_H_

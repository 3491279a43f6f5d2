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
  enum class OpKind : std::uint8_t {
    kPut = 1,
    kDelete = 2,
    kSetKey = 3,
    kPutEdge = 4,
    kDeleteEdge = 5,
    kReinforce = 6,
  };

  // One entry as it was added. The spans point into the batch and live until
  // it is changed or destroyed.
  struct Op {
    OpKind kind;
    MemoryId id;                     // of an edge, the memory it leaves
    absl::Span<const float> vector;  // kPut
    std::string_view bytes;          // kPut: the payload; kSetKey: the key
    MemoryId to = 0;                 // kPutEdge, kDeleteEdge
    std::uint32_t type = 0;          // kPutEdge, kDeleteEdge
    float weight = 0.0f;             // kPutEdge: the weight; kReinforce: the amount
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

  // Removes a memory, its keys, and its edges in both directions. The memory must exist
  // when its turn comes.
  void Delete(MemoryId id);

  // Puts an edge, or gives the one of this type between the two another weight. Both
  // memories must exist when its turn comes, unless WriteOptions::create_missing. The
  // weight must be finite and not negative; one of zero is an edge that carries nothing.
  void PutEdge(const Edge& edge);

  // Removes an edge; one that does not exist is no error.
  void DeleteEdge(MemoryId from, MemoryId to, std::uint32_t type = 0);

  // Adds to the strength of a memory, which becomes kMaxStrength at most, and makes now
  // (WriteOptions::now_unix_seconds) its last use. 0 < amount <= kMaxStrength, kept in steps of
  // 2^-20. The memory must exist when its turn comes; a Put keeps what was reinforced.
  void Reinforce(MemoryId id, float amount);

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
    MemoryId to = 0;
    std::uint32_t type = 0;
    float weight = 0.0f;
  };
  std::vector<Entry> entries_;
  std::vector<float> floats_;
  std::string bytes_;
};

}  // namespace engram

#endif  // ENGRAM_WRITE_BATCH_H_

// What the changes of edges that no seal has taken in will cost those who read them: the
// writer's estimate, by which a seal is due before memory is.
//
// A changed node has its whole list copied into the overlay, and a memory that goes changes
// all that have an edge to it, so that one change may be worth millions.
#ifndef ENGRAM_STORAGE_EDGE_BACKLOG_H_
#define ENGRAM_STORAGE_EDGE_BACKLOG_H_

#include <cstdint>
#include <vector>

#include "storage/edge_log.h"
#include "storage/mapped_edges.h"

namespace engram::storage {

// The writer's: one thread at a time. Columns that it looks at may be damaged; they are read
// in bounds, and what they say is an estimate, or taken for the worse.
class EdgeBacklog {
 public:
  // Starts over with the events of `log`, over `base`.
  void Reset(const MappedEdges& base, const EdgeLogView& log);
  void Add(const MappedEdges& base, const EdgeEvent& event);

  // Returns: false only when no edge of `base` and no event that was added names `node`: it has
  // no edges then.
  bool MayHaveEdges(const MappedEdges& base, std::uint32_t node) const;

  // Changes, with those that an event makes of other nodes.
  std::uint64_t changes() const { return changes_; }
  // Returns: what events and overlay take at most, as far as it is known.
  std::uint64_t bytes() const;

  // Returns: whether a seal, which writes all `sealed` edges anew, is worth it.
  bool IsDue(std::uint64_t sealed) const;
  // Returns: whether more may be added before a seal.
  bool HasRoom(std::uint64_t sealed) const;

 private:
  using Nodes = std::vector<std::uint64_t>;  // a bit each

  static bool Has(const Nodes& nodes, std::uint32_t node);
  static bool Insert(Nodes& nodes, std::uint32_t node);
  void Change(const MappedEdges& base, std::uint32_t node);

  Nodes changed_, named_;
  std::uint64_t changes_ = 0, lists_ = 0, copied_ = 0;
};

// Returns: how many changes of edges are worth a seal, which writes all `sealed` edges
// anew: so many that each edge is written a bounded number of times.
std::uint64_t EdgeChangesToSeal(std::uint64_t sealed);
// What the changes may take in memory before a seal is due, however many edges are sealed.
inline constexpr std::uint64_t kEdgeBytesToSeal = std::uint64_t{512} << 20;

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_EDGE_BACKLOG_H_

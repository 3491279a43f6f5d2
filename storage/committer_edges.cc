// The half of Committer that changes edges: ends are looked up, and changes become
// numbered events.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/committer.h"

namespace engram::storage {
namespace {

// So many edges of one request are worth a walk over heads.
constexpr std::size_t kManyEdges = 4096;
constexpr int kNearEntries = 8;

}  // namespace

absl::StatusOr<std::uint32_t> Committer::NodeOfMissing(std::uint64_t id, const EdgePut& edge,
                                                       CommitRequest& request) {
  if (!request.rules.create_missing) {
    return absl::NotFoundError(absl::StrFormat("edge from %d to %d: there is no memory with id %d",
                                               edge.from, edge.to, id));
  }
  Change bare;
  bare.id = id;
  ENGRAM_RETURN_IF_ERROR(AddPut(bare, request.rules));
  ++request.created;
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> head, FindHead(id));
  return head->node;
}

NodesOfLiving* Committer::KnownFor(CommitRequest& request) {
  // A deletion of this very group is not in the state's count yet.
  if (deletions_ > 0) return nullptr;
  NodesOfLiving* known = request.known != nullptr ? request.known : &known_;
  if (known->deletions != state_.deletions) {
    known->nodes.clear();
    known->deletions = state_.deletions;
  }
  return known;
}

absl::Status Committer::LearnNodes(CommitRequest& request) {
  NodesOfLiving* known = KnownFor(request);
  if (known == nullptr || request.edges.size() < kManyEdges) return absl::OkStatus();
  std::vector<std::uint64_t> ids;
  for (const EdgePut& edge : request.edges) {
    for (const std::uint64_t id : {edge.from, edge.to}) {
      if (!known->nodes.contains(id)) ids.push_back(id);
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  const std::unique_ptr<rocksdb::Iterator> it(state_.database->db().NewIterator(
      rocksdb::ReadOptions(), state_.database->family(Family::kIds)));
  for (const std::uint64_t id : ids) {
    const std::string key = HeadKey(id);
    // Where ids lie close, the next entry is nearer than a search for it.
    int steps = 0;
    while (it->Valid() && it->key().compare(key) < 0 && steps++ < kNearEntries) it->Next();
    if (!it->Valid() || steps > kNearEntries || id == ids.front()) it->Seek(key);
    if (!it->Valid() || it->key() != rocksdb::Slice(key)) continue;
    const auto head = DecodeMemoryHead(it->value().ToStringView());
    if (!head.ok()) return Annotate(head.status(), absl::StrFormat("id %d", id));
    // What is damaged is told of when it is looked up by itself.
    if (head->live && head->node < state_.commit.next_node) known->nodes.emplace(id, head->node);
  }
  return FromRocks(it->status(), "reading the ends of edges");
}

absl::StatusOr<std::uint32_t> Committer::NodeOfEnd(std::uint64_t id, const EdgePut& edge,
                                                   CommitRequest& request) {
  NodesOfLiving* known = KnownFor(request);
  if (known != nullptr) {
    const auto found = known->nodes.find(id);
    if (found != known->nodes.end()) return found->second;
  }
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> head, FindHead(id));
  if (!head.has_value() || !head->live) return NodeOfMissing(id, edge, request);
  // What this group has made may still fail to be written.
  if (known != nullptr && !heads_.contains(id)) known->nodes.emplace(id, head->node);
  return head->node;
}

absl::Status Committer::AddEdge(const EdgePut& edge, CommitRequest& request) {
  ENGRAM_ASSIGN_OR_RETURN(const std::uint32_t from, NodeOfEnd(edge.from, edge, request));
  ENGRAM_ASSIGN_OR_RETURN(const std::uint32_t to, NodeOfEnd(edge.to, edge, request));
  events_.push_back({.kind = EdgeEvent::Kind::kPut,
                     .from = from,
                     .to = to,
                     .type = edge.type,
                     .weight = edge.weight});
  return absl::OkStatus();
}

absl::Status Committer::AddEdgeDeletion(const Change& change) {
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> from, FindHead(change.id));
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> to, FindHead(change.to));
  const auto lives = [](const std::optional<MemoryHead>& head) {
    return head.has_value() && head->live;
  };
  if (!lives(from) || !lives(to)) return absl::OkStatus();  // and so there is no such edge
  events_.push_back(
      {.kind = EdgeEvent::Kind::kDelete, .from = from->node, .to = to->node, .type = change.type});
  return absl::OkStatus();
}

// Columns and log are of one moment, whoever seals beside: they are switched with the turn.
bool Committer::MayHaveEdges(std::uint32_t node) {
  if (state_.edge_backlog.MayHaveEdges(*state_.edges, node)) return true;
  for (; looked_at_ < events_.size(); ++looked_at_) {
    event_nodes_.insert(events_[looked_at_].from);
    event_nodes_.insert(events_[looked_at_].to);
  }
  return event_nodes_.contains(node);
}

void Committer::WriteEvents() {
  const std::uint64_t first = state_.edge_log.end();
  std::string run;
  for (std::size_t begin = 0; begin < events_.size(); begin += kMaxEventsPerRun) {
    const std::size_t end = std::min(begin + kMaxEventsPerRun, events_.size());
    run.clear();
    for (std::size_t i = begin; i < end; ++i) AppendEdgeEvent(events_[i], &run);
    Put(Family::kTail, EdgeEventKey(first + begin), run);
  }
}

}  // namespace engram::storage

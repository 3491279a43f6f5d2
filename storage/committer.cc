#include "storage/committer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/format/name_format.h"
#include "storage/id_keys.h"

namespace engram::storage {
namespace {

rocksdb::Slice AsSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

absl::Status NoSuchId(std::uint64_t id) {
  return absl::NotFoundError(absl::StrFormat("there is no memory with id %d", id));
}

}  // namespace

absl::Status Broken(const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrFormat("the store takes no writes until it is opened again, because "
                                      "an earlier one failed: %s",
                                      std::string(status.message())));
}

absl::Status WriteCommit(WriterState& state, Durability durability, CommitRecord commit,
                         rocksdb::WriteBatch& batch) {
  ENGRAM_RETURN_IF_ERROR(state.broken);
  if (const absl::Status log = state.database->LogStatus(); !log.ok()) {
    state.broken = Broken(log);
    return state.broken;
  }
  commit.batch = state.commit.batch + 1;
  commit.synced = state.database->synced();
  rocksdb::DB& db = state.database->db();
  ENGRAM_RETURN_IF_ERROR(FromRocks(batch.Put(state.database->family(Family::kCatalog),
                                             AsSlice(kCommitKey), EncodeCommitRecord(commit)),
                                   "building a batch"));
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kPower;
  absl::Status status = FromRocks(db.Write(options, &batch), "writing a batch");
  if (status.ok() && durability == Durability::kProcess) {
    status = FromRocks(db.FlushWAL(/*sync=*/false), "writing the log");
  }
  if (!status.ok()) {
    state.broken = Broken(status);
    state.database->LogFailed(status);
    return status;
  }
  state.commit = commit;
  state.database->Wrote(commit.batch, durability == Durability::kPower);
  return absl::OkStatus();
}

void Committer::Commit(absl::Span<CommitRequest* const> group) {
  std::vector<CommitRequest*> accepted;
  Durability durability = Durability::kNone;
  for (CommitRequest* request : group) {
    const Mark mark = MarkHere();
    undo_heads_.clear();
    undo_keys_.clear();
    undo_given_keys_.clear();
    batch_.SetSavePoint();
    request->result = AddRequest(*request);
    if (request->result.ok()) {
      accepted.push_back(request);
      durability = std::max(durability, request->rules.durability);
      // Cannot fail: the save point was set above.
      batch_.PopSavePoint().PermitUncheckedError();
    } else {
      RollBack(mark);
    }
  }
  if (accepted.empty()) return;
  const absl::Status status = Write(durability);
  for (CommitRequest* request : accepted) request->result = status;
}

absl::Status Committer::Write(Durability durability) {
  WriteEvents();
  ENGRAM_RETURN_IF_ERROR(WriteCommit(state_, durability, next_, batch_));
  for (const NewRow& row : rows_) state_.tail.Append(row);
  for (const EdgeEvent& event : events_) {
    state_.edge_log.Append(event);
    state_.edge_backlog.Add(*state_.edges, event);
  }
  if (!dead_.empty()) state_.tombstones = state_.tombstones.With(dead_);
  state_.deaths += dead_.size();
  state_.deletions += deletions_;
  for (const auto& [id, head] : heads_) {
    if (head.has_value()) state_.SawId(id);
  }
  return absl::OkStatus();
}

absl::Status Committer::AddRequest(CommitRequest& request) {
  for (const Change& change : request.changes) {
    ENGRAM_RETURN_IF_ERROR(AddChange(change, request));
  }
  ENGRAM_RETURN_IF_ERROR(LearnNodes(request));
  for (std::size_t i = 0; i < request.edges.size(); ++i) {
    const absl::Status status = AddEdge(request.edges[i], request);
    if (!status.ok()) return Annotate(status, absl::StrFormat("edge %d", request.first_edge + i));
  }
  return AddAllImported(request);
}

absl::Status Committer::AddChange(const Change& change, CommitRequest& request) {
  switch (change.kind) {
    case Change::Kind::kPut: return AddPut(change, request.rules);
    case Change::Kind::kDelete: return AddDelete(change);
    case Change::Kind::kSetKey: return AddSetKey(change);
    case Change::Kind::kPutEdge:
      return AddEdge(
          {.from = change.id, .to = change.to, .type = change.type, .weight = change.weight},
          request);
    case Change::Kind::kDeleteEdge: return AddEdgeDeletion(change);
    case Change::Kind::kReinforce: return AddReinforcement(change, request.rules);
    case Change::Kind::kForget: return AddForget(change, request);
  }
  return absl::InternalError("a change of no known kind");
}

absl::Status Committer::AddPut(const Change& change, const WriteRules& rules) {
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> found, FindHead(change.id));
  const bool live = found.has_value() && found->live;
  if (live && rules.error_if_present) {
    return absl::AlreadyExistsError(
        absl::StrFormat("there is a memory with id %d already", change.id));
  }
  MemoryHead head = found.value_or(MemoryHead{});
  if (!found.has_value()) {
    if (next_.next_node == std::numeric_limits<std::uint32_t>::max()) {
      return absl::ResourceExhaustedError(
          absl::StrFormat("id %d: all %d nodes are given", change.id, next_.next_node));
    }
    head.node = next_.next_node++;
    Put(Family::kIds, NodeKey(head.node), EncodeId(change.id));
  } else if (!live) {
    ++head.incarnation;
  }
  if (!live) ++next_.memories;
  if (head.row != kNoRow) {
    dead_.push_back(head.row);
    Put(Family::kTombstones, RowKey(head.row), {});
    --next_.live_rows;
  }
  head.live = true;
  head.row = kNoRow;
  if (!change.vector.empty()) {
    if (next_.next_row >= kMaxRow) return absl::ResourceExhaustedError("all rows are given");
    head.row = next_.next_row++;
    ++next_.live_rows;
    rows_.push_back({.row = head.row,
                     .id = change.id,
                     .node = head.node,
                     .norm = change.norm,
                     .embedding = change.vector});
    scratch_.clear();
    AppendTailRow({.id = change.id,
                   .node = head.node,
                   .norm = change.norm,
                   .embedding = {reinterpret_cast<const char*>(change.vector.data()),
                                 change.vector.size() * sizeof(float)}},
                  &scratch_);
    Put(Family::kTail, RowKey(head.row), scratch_);
  }
  Put(Family::kRecords, RecordKey(change.id, RecordKind::kPayload),
      EncodePayload(rules.now, change.bytes));
  SetHead(change.id, head);
  return absl::OkStatus();
}

absl::Status Committer::AddDelete(const Change& change) {
  ENGRAM_ASSIGN_OR_RETURN(std::optional<MemoryHead> head, FindHead(change.id));
  if (!head.has_value() || !head->live) return NoSuchId(change.id);
  if (head->row != kNoRow) {
    dead_.push_back(head->row);
    Put(Family::kTombstones, RowKey(head->row), {});
    --next_.live_rows;
  }
  --next_.memories;
  head->live = false;
  head->row = kNoRow;
  ++deletions_;
  Erase(Family::kRecords, RecordKey(change.id, RecordKind::kPayload));
  Erase(Family::kRecords, RecordKey(change.id, RecordKind::kStrength));
  if (MayHaveEdges(head->node)) {
    events_.push_back({.kind = EdgeEvent::Kind::kForget, .from = head->node, .to = head->node});
  }
  ENGRAM_RETURN_IF_ERROR(RemoveKeys(change.id));
  SetHead(change.id, *head);
  return absl::OkStatus();
}

absl::Status Committer::RemoveKeys(std::uint64_t id) {
  std::vector<std::string> keys;
  if (state_.MayHaveHead(id)) {
    ENGRAM_ASSIGN_OR_RETURN(keys, ReadKeysOf(*state_.database, rocksdb::ReadOptions(), id));
  }
  // Keys given earlier in this group are not in the database yet.
  if (const auto given = given_keys_.find(id); given != given_keys_.end()) {
    keys.insert(keys.end(), given->second.begin(), given->second.end());
    undo_given_keys_.emplace_back(id, std::move(given->second));
    given_keys_.erase(given);
  }
  for (const std::string& key : keys) {
    ENGRAM_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> owner, FindKeyOwner(key));
    if (owner != id) continue;  // moved to another memory, or listed twice
    Erase(Family::kIds, TextKey(key));
    Erase(Family::kIds, IdKeysKey(id, key));
    const std::string form = NormalForm(key);
    if (!form.empty()) Erase(Family::kIds, FormKey(form, key));
    SetKeyOwner(key, std::nullopt);
  }
  return absl::OkStatus();
}

absl::Status Committer::AddSetKey(const Change& change) {
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> head, FindHead(change.id));
  if (!head.has_value() || !head->live) return NoSuchId(change.id);
  const std::string key(change.bytes);
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> owner, FindKeyOwner(key));
  if (owner.has_value() && *owner != change.id) Erase(Family::kIds, IdKeysKey(*owner, key));
  Put(Family::kIds, TextKey(key), EncodeId(change.id));
  Put(Family::kIds, IdKeysKey(change.id, key), {});
  const std::string form = NormalForm(key);
  if (!form.empty()) Put(Family::kIds, FormKey(form, key), {});
  SetKeyOwner(key, change.id);
  if (owner != change.id) given_keys_[change.id].push_back(key);
  return absl::OkStatus();
}

absl::Status Committer::AddForget(const Change& change, CommitRequest& request) {
  // This very group has used it.
  if (heads_.contains(change.id) || reinforced_.contains(change.id)) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> head, FindHead(change.id));
  if (!head.has_value() || *head != change.unused_since->head) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(
      const std::vector<Strength> strengths,
      ReadStrengthsOf(*state_.database, rocksdb::ReadOptions(), {&change.id, 1}));
  if (strengths[0] != change.unused_since->strength) return absl::OkStatus();
  ++request.forgotten;
  return AddDelete(change);
}

absl::Status Committer::AddReinforcement(const Change& change, const WriteRules& rules) {
  ENGRAM_ASSIGN_OR_RETURN(const std::optional<MemoryHead> head, FindHead(change.id));
  if (!head.has_value() || !head->live) return NoSuchId(change.id);
  const StrengthRecord record{.added = change.added, .last_use = rules.now};
  reinforced_.insert(change.id);
  // Fails only above limits that were checked before, as Put() below.
  batch_
      .Merge(state_.database->family(Family::kRecords), RecordKey(change.id, RecordKind::kStrength),
             EncodeStrength(record))
      .PermitUncheckedError();
  return absl::OkStatus();
}

void Committer::RollBack(const Mark& mark) {
  // Cannot fail: Commit set the save point.
  batch_.RollbackToSavePoint().PermitUncheckedError();
  next_ = mark.next;
  rows_.resize(mark.rows);
  dead_.resize(mark.dead);
  events_.resize(mark.events);
  looked_at_ = std::min(looked_at_, mark.events);
  deletions_ = mark.deletions;
  max_id_ = mark.max_id;
  for (auto it = undo_heads_.rbegin(); it != undo_heads_.rend(); ++it) {
    if (it->before.has_value()) {
      heads_[it->id] = *it->before;
    } else {
      heads_.erase(it->id);
    }
  }
  for (auto it = undo_keys_.rbegin(); it != undo_keys_.rend(); ++it) {
    if (it->before.has_value()) {
      key_owners_[it->key] = *it->before;
    } else {
      key_owners_.erase(it->key);
    }
  }
  for (auto& [id, keys] : undo_given_keys_) {
    std::vector<std::string>& given = given_keys_[id];
    given.insert(given.end(), keys.begin(), keys.end());
  }
}

absl::StatusOr<std::optional<MemoryHead>> Committer::FindHead(std::uint64_t id) {
  if (const auto known = heads_.find(id); known != heads_.end()) return known->second;
  if (!state_.MayHaveHead(id)) return std::optional<MemoryHead>();
  const auto value = state_.database->Get(Family::kIds, HeadKey(id));
  if (absl::IsNotFound(value.status())) return std::optional<MemoryHead>();
  ENGRAM_RETURN_IF_ERROR(value.status());
  const auto head = DecodeMemoryHead(*value);
  if (!head.ok()) return Annotate(head.status(), absl::StrFormat("id %d", id));
  if (head->node >= state_.commit.next_node) {
    return absl::DataLossError(
        absl::StrFormat("id %d: its head is damaged: node %d was never given", id, head->node));
  }
  return std::optional<MemoryHead>(*head);
}

absl::StatusOr<std::optional<std::uint64_t>> Committer::FindKeyOwner(const std::string& key) {
  if (const auto known = key_owners_.find(key); known != key_owners_.end()) return known->second;
  const auto value = state_.database->Get(Family::kIds, TextKey(key));
  if (absl::IsNotFound(value.status())) return std::optional<std::uint64_t>();
  ENGRAM_RETURN_IF_ERROR(value.status());
  ENGRAM_ASSIGN_OR_RETURN(const std::uint64_t owner, DecodeId(*value));
  return std::optional<std::uint64_t>(owner);
}

void Committer::SetHead(std::uint64_t id, const MemoryHead& head) {
  const auto [it, fresh] = heads_.try_emplace(id);
  undo_heads_.push_back({id, fresh ? std::nullopt : std::make_optional(it->second)});
  it->second = head;
  if (!max_id_.has_value() || id > *max_id_) max_id_ = id;
  Put(Family::kIds, HeadKey(id), EncodeMemoryHead(head));
}

void Committer::SetKeyOwner(const std::string& key, std::optional<std::uint64_t> owner) {
  const auto [it, fresh] = key_owners_.try_emplace(key);
  undo_keys_.push_back({key, fresh ? std::nullopt : std::make_optional(it->second)});
  it->second = owner;
}

// Building a batch in memory fails only above limits that were checked before.
void Committer::Put(Family family, std::string_view key, std::string_view value) {
  batch_.Put(state_.database->family(family), AsSlice(key), AsSlice(value)).PermitUncheckedError();
}
void Committer::Erase(Family family, std::string_view key) {
  batch_.Delete(state_.database->family(family), AsSlice(key)).PermitUncheckedError();
}

}  // namespace engram::storage

#include "storage/verify_ids.h"

#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/format/edge_format.h"
#include "storage/format/name_format.h"

namespace engram::storage {

NodeHeads IdsVerifier::Run() {
  CheckIds();
  CheckNodes();
  Walk(Family::kRecords, "", [this](auto key, auto value) { VisitRecord(key, value); });
  CheckRest();
  return std::move(nodes_);
}

void IdsVerifier::Walk(Family family, std::string_view prefix, Visit visit) {
  const std::unique_ptr<rocksdb::Iterator> it = view_.NewFamilyIterator(family);
  const rocksdb::Slice begin(prefix.data(), prefix.size());
  for (it->Seek(begin); it->Valid() && it->key().starts_with(begin); it->Next()) {
    visit(it->key().ToStringView(), it->value().ToStringView());
  }
  const absl::Status status =
      FromRocks(it->status(), absl::StrFormat("the family %s is damaged", FamilyName(family)));
  if (!status.ok()) find_(std::string(status.message()));
}

void IdsVerifier::CheckIds() {
  // Where this is not said, the store is older than forms, and has not been written since.
  has_forms_ = Has(Family::kCatalog, std::string(kFormsKey));
  // Each prefix by itself, so that damage in one hides no more than it must of the others.
  const auto walk = [this](char prefix, Visit visit) {
    Walk(Family::kIds, std::string_view(&prefix, 1), visit);
  };
  walk(kHeadPrefix, [this](auto key, auto value) { VisitHead(key, value); });
  walk(kNodePrefix, [this](auto key, auto value) { VisitNode(key, value); });
  walk(kFormPrefix, [this](auto key, auto) { VisitForm(key); });
  walk(kKeyPrefix, [this](auto key, auto value) { VisitKey(key, value); });
  walk(kIdKeysPrefix, [this](auto key, auto) { VisitIdKey(key); });
}

void IdsVerifier::VisitHead(std::string_view key, std::string_view value) {
  const auto id = DecodeHeadKey(key);
  const auto head = DecodeMemoryHead(value);
  if (!id.has_value() || !head.ok()) {
    return find_(absl::StrFormat("a memory head is damaged: %s",
                                 id.has_value()
                                     ? std::string(head.status().message())
                                     : absl::StrFormat("its key has %d bytes", key.size())));
  }
  if (head->node >= view_.commit().next_node) {
    return find_(absl::StrFormat("id %d has node %d, and only %d were given", *id, head->node,
                                 view_.commit().next_node));
  }
  const auto [node, fresh] =
      nodes_.try_emplace(head->node, NodeHead{.live = head->live, .id = *id, .row = head->row});
  if (fresh) return;
  find_(absl::StrFormat("ids %d and %d both have node %d", node->second.id, *id, head->node));
}

void IdsVerifier::VisitNode(std::string_view key, std::string_view value) {
  const auto number = DecodeNodeKey(key);
  const auto id = DecodeId(value);
  if (!number.has_value() || !id.ok()) return find_("the id of a node is damaged");
  const auto node = nodes_.find(*number);
  if (node != nodes_.end() && node->second.id == *id) {
    node->second.named = true;
  } else {
    find_(absl::StrFormat("node %d names id %d, whose head does not have it", *number, *id));
  }
}

void IdsVerifier::CheckNodes() {
  for (const auto& [number, node] : nodes_) {
    if (node.named) continue;
    find_(absl::StrFormat("the id of node %d is missing, expected %d", number, node.id));
  }
  if (nodes_.size() == view_.commit().next_node) return;
  find_(absl::StrFormat("%d nodes were given, and %d memory heads have one",
                        view_.commit().next_node, nodes_.size()));
}

bool IdsVerifier::Has(Family family, const std::string& key) {
  const auto it = view_.NewFamilyIterator(family);
  it->Seek(key);
  if (!it->status().ok()) find_("reading an entry: " + it->status().ToString());
  return it->Valid() && it->key() == rocksdb::Slice(key);
}

bool IdsVerifier::Lives(std::uint64_t id) { return view_.FindHead(id).ok(); }

void IdsVerifier::VisitForm(std::string_view entry) {
  const std::size_t end = entry.find('\0');
  if (end == std::string_view::npos) {
    return find_("the form of a key is damaged: it has no end");
  }
  const std::string_view form = entry.substr(1, end - 1), key = entry.substr(end + 1);
  if (NormalForm(key) != form) {
    // Another version of Unicode may have made it; a key that is gone may leave it behind.
    other_forms_.emplace(key);
  } else if (!view_.FindKey(key).ok()) {
    find_(absl::StrFormat("the form \"%s\" is of key \"%s\", which does not exist", form, key));
  }
}

void IdsVerifier::VisitKey(std::string_view entry, std::string_view value) {
  const std::string_view key = entry.substr(1);
  const auto id = DecodeId(value);
  if (!id.ok() || !Lives(*id)) {
    return find_(absl::StrFormat("key \"%s\" names a memory that does not exist", key));
  }
  if (!Has(Family::kIds, IdKeysKey(*id, key))) {
    find_(absl::StrFormat("key \"%s\" names id %d, which does not list it", key, *id));
  }
  const std::string form = NormalForm(key);
  if (form.empty() || !has_forms_ || other_forms_.contains(key)) return;
  if (Has(Family::kIds, FormKey(form, key))) return;
  find_(absl::StrFormat("key \"%s\" is not found in texts: its form \"%s\" is missing", key, form));
}

void IdsVerifier::VisitIdKey(std::string_view entry) {
  const auto listed = DecodeIdKeysKey(entry);
  if (!listed.has_value()) return find_("the keys of an id are damaged");
  const auto id = view_.FindKey(listed->key);
  if (id.ok() && *id == listed->id) return;
  find_(absl::StrFormat("id %d lists key \"%s\", which does not name it", listed->id, listed->key));
}

void IdsVerifier::VisitRecord(std::string_view key, std::string_view value) {
  constexpr std::size_t kKeyBytes = sizeof(std::uint64_t) + 1;
  if (key.size() != kKeyBytes) {
    return find_(absl::StrFormat("a record is damaged: its key has %d bytes", key.size()));
  }
  const auto id = ReadBigEndian<std::uint64_t>(key, 0);
  const auto kind = static_cast<RecordKind>(key.back());
  absl::Status status;
  if (kind == RecordKind::kPayload) {
    status = DecodePayload(value).status();
  } else if (kind == RecordKind::kStrength) {
    status = DecodeStrength(value).status();
  } else {
    status = absl::DataLossError(absl::StrFormat("a record of kind %d", key.back()));
  }
  if (!status.ok()) find_(absl::StrFormat("id %d: %s", id, std::string(status.message())));
  if (!Lives(id)) find_(absl::StrFormat("id %d does not exist, and has a record", id));
}

// What the store read when it was opened: the bytes may have gone bad since.
void IdsVerifier::CheckRest() {
  Walk(Family::kDefault, "", [](auto, auto) {});
  Walk(Family::kCatalog, "", [](auto, auto) {});
  std::uint64_t dead = 0;
  Walk(Family::kTombstones, "", [&](auto key, auto) {
    const auto row = DecodeRowKey(key);
    dead += row.has_value() && view_.IsDead(*row);
  });
  if (dead != view_.tombstones().size()) {
    find_(absl::StrFormat("%d rows are dead, and %d have a tombstone", view_.tombstones().size(),
                          dead));
  }
  Walk(Family::kTail, "", [&](std::string_view key, std::string_view value) {
    if (key == kSealedKey) return;
    absl::Status status;
    if (DecodeEdgeEventKey(key).has_value()) {
      status = DecodeEdgeEvents(value, view_.commit().next_node).status();
    } else {
      status = DecodeTailRow(value, view_.dimension()).status();
    }
    if (!status.ok()) find_(std::string(status.message()));
  });
}

}  // namespace engram::storage

#include "engine/snapshot.h"

#include "storage/base/status.h"

namespace engram::engine {

using storage::DecodeHeadKey;
using storage::DecodeMemoryHead;
using storage::Family;

ViewIterator::ViewIterator(std::shared_ptr<const storage::View> view,
                           std::unique_ptr<Holds::Hold> hold, bool verify, absl::Status error)
    : hold_(std::move(hold)), view_(std::move(view)), verify_(verify), status_(std::move(error)) {
  if (!status_.ok()) return;
  heads_ = view_->NewFamilyIterator(Family::kIds);
  keys_walk_.emplace(*view_);
  Seek(0);
}

void ViewIterator::Seek(MemoryId id) {
  if (heads_ == nullptr) return;
  status_ = absl::OkStatus();
  heads_->Seek(storage::HeadKey(id));
  FindLive();
}

void ViewIterator::Next() {
  heads_->Next();
  FindLive();
}

void ViewIterator::FindLive() {
  valid_ = false;
  for (; heads_->Valid(); heads_->Next()) {
    const auto id = DecodeHeadKey(heads_->key().ToStringView());
    if (!id.has_value()) return;  // past the heads
    const auto head = DecodeMemoryHead(heads_->value().ToStringView());
    status_ = head.status();
    if (!status_.ok()) return;
    if (!head->live) continue;
    id_ = *id;
    status_ = Read(*head);
    valid_ = status_.ok();
    return;
  }
  status_ = storage::FromRocks(heads_->status(), "walking the memories");
}

absl::Status ViewIterator::Read(const storage::MemoryHead& head) {
  vector_ = {};
  if (head.row != storage::kNoRow) {
    ENGRAM_ASSIGN_OR_RETURN(vector_, view_->FindEmbedding(head.row, verify_));
  }
  ENGRAM_ASSIGN_OR_RETURN(payload_, view_->ReadPayload(id_));
  ENGRAM_ASSIGN_OR_RETURN(keys_, keys_walk_->KeysOf(id_));
  return absl::OkStatus();
}

}  // namespace engram::engine

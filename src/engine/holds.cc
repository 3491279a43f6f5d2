#include "engine/holds.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace engram::engine {

int& Holds::Count(Kind kind) {
  switch (kind) {
    case Kind::kSnapshot: return snapshots_;
    case Kind::kIterator: return iterators_;
    case Kind::kCall: break;
  }
  return calls_;
}

Holds::Hold::~Hold() {
  absl::MutexLock lock(&holds_->mutex_);
  --holds_->Count(kind_);
}

std::unique_ptr<Holds::Hold> Holds::Take(const std::shared_ptr<Holds>& holds, Kind kind) {
  absl::MutexLock lock(&holds->mutex_);
  if (holds->closed_) return nullptr;
  ++holds->Count(kind);
  return std::make_unique<Hold>(holds, kind);
}

absl::Status Holds::Close() {
  absl::MutexLock lock(&mutex_);
  if (snapshots_ > 0 || iterators_ > 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the store cannot close: %d snapshots and %d iterators are held", snapshots_, iterators_));
  }
  // None can begin any more, so that nothing makes it open again.
  closed_ = true;
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return calls_ == 0; };
  mutex_.Await(absl::Condition(&idle));
  return absl::OkStatus();
}

}  // namespace engram::engine

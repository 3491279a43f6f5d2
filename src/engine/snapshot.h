// Snapshots and iterators: views that a caller holds.
#ifndef ENGRAM_ENGINE_SNAPSHOT_H_
#define ENGRAM_ENGINE_SNAPSHOT_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/holds.h"
#include "engram/store.h"
#include "storage/id_keys.h"
#include "storage/view.h"

namespace engram::engine {

class ViewSnapshot : public Snapshot {
 public:
  ViewSnapshot(std::shared_ptr<const storage::View> view, std::unique_ptr<Holds::Hold> hold,
               std::shared_ptr<Holds> store)
      : store_(std::move(store)), hold_(std::move(hold)), view_(std::move(view)) {}

  const std::shared_ptr<const storage::View>& view() const { return view_; }
  // The holds are the store's own, and so tell whose snapshot this is.
  const Holds* store() const { return store_.get(); }

 private:
  std::shared_ptr<Holds> store_;
  std::unique_ptr<Holds::Hold> hold_;
  std::shared_ptr<const storage::View> view_;
};

// Walks the heads in the ids family; the rest is read as it is reached.
class ViewIterator : public Iterator {
 public:
  // `error` not OK: an iterator that only tells it.
  ViewIterator(std::shared_ptr<const storage::View> view, std::unique_ptr<Holds::Hold> hold,
               bool verify, absl::Status error);

  bool Valid() const override { return valid_; }
  void Next() override;
  void Seek(MemoryId id) override;
  MemoryId id() const override { return id_; }
  absl::Span<const float> vector() const override { return vector_; }
  std::string_view payload() const override { return payload_; }
  absl::Span<const std::string> keys() const override { return keys_; }
  absl::Status status() const override { return status_; }

 private:
  void FindLive();
  absl::Status Read(const storage::MemoryHead& head);

  std::unique_ptr<Holds::Hold> hold_;
  std::shared_ptr<const storage::View> view_;
  std::unique_ptr<rocksdb::Iterator> heads_;
  std::optional<storage::IdKeysWalk> keys_walk_;
  const bool verify_;
  bool valid_ = false;
  absl::Status status_;
  MemoryId id_ = 0;
  absl::Span<const float> vector_;
  std::string payload_;
  std::vector<std::string> keys_;
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_SNAPSHOT_H_

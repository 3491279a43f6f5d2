// The index of text keys by their normal form (format/name_format.h), by which keys
// are found in texts.
//
// Forms of a key may differ between versions of Unicode, and an entry that a newer one
// would not make may stay behind when its key goes: what is found is looked up.
#ifndef ENGRAM_STORAGE_KEY_FORMS_H_
#define ENGRAM_STORAGE_KEY_FORMS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/view.h"
#include "storage/writer_state.h"

namespace engram::storage {

// Gives every key its form, in a store that is older than forms. Called at open, before
// anybody else is there. A store that did not get to the end begins again.
absl::Status FillKeyForms(WriterState& state);

// Belongs to one thread.
class KeyForms {
 public:
  // `view` outlives it.
  explicit KeyForms(const View& view);

  struct Found {
    bool whole = false;     // some key that is there has the form
    bool may_grow = false;  // some entry has a form that goes on after it with a space
  };
  absl::StatusOr<Found> Find(std::string_view form) const;

  // Returns: the keys of that form and the ids they name, by key.
  absl::StatusOr<std::vector<std::pair<std::string, std::uint64_t>>> KeysOf(
      std::string_view form) const;

 private:
  const View& view_;
  std::unique_ptr<rocksdb::Iterator> it_;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_KEY_FORMS_H_

#include "storage/id_keys.h"

#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

// Reads on to the end of the keys of `id`, which `it` has reached.
absl::StatusOr<std::vector<std::string>> Collect(rocksdb::Iterator& it, const std::string& prefix,
                                                 std::uint64_t id) {
  std::vector<std::string> keys;
  for (; it.Valid() && it.key().starts_with(prefix); it.Next()) {
    const auto entry = DecodeIdKeysKey(it.key().ToStringView());
    if (entry.has_value()) keys.emplace_back(entry->key);
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it.status(), absl::StrFormat("reading the keys of id %d", id)));
  return keys;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadKeysOf(const Database& database,
                                                    rocksdb::ReadOptions options,
                                                    std::uint64_t id) {
  const std::string prefix = IdKeysPrefix(id);
  // Without an end, deleted keys of later ids would be read through to the next that lives.
  const std::string end = id == std::numeric_limits<std::uint64_t>::max()
                              ? std::string(1, kIdKeysPrefix + 1)
                              : IdKeysPrefix(id + 1);
  const rocksdb::Slice bound(end);
  options.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator(options, database.family(Family::kIds)));
  it->Seek(prefix);
  return Collect(*it, prefix, id);
}

IdKeysWalk::IdKeysWalk(const View& view) : it_(view.NewFamilyIterator(Family::kIds)) {}

absl::StatusOr<std::vector<std::string>> IdKeysWalk::KeysOf(std::uint64_t id) {
  std::string prefix = IdKeysPrefix(id);
  const bool ascends = !last_.empty() && last_ < prefix;
  if (!ascends || (it_->Valid() && it_->key().compare(prefix) < 0)) it_->Seek(prefix);
  last_ = std::move(prefix);
  return Collect(*it_, last_, id);
}

}  // namespace engram::storage

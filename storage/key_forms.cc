#include "storage/key_forms.h"

#include "rocksdb/write_batch.h"
#include "storage/base/status.h"
#include "storage/committer.h"
#include "storage/format/name_format.h"

namespace engram::storage {

absl::Status FillKeyForms(WriterState& state) {
  constexpr int kKeysPerBatch = 8192;
  const Database& database = *state.database;
  const auto done = database.Get(Family::kCatalog, kFormsKey);
  if (!absl::IsNotFound(done.status())) return done.status();
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator(rocksdb::ReadOptions(), database.family(Family::kIds)));
  const std::string prefix(1, kKeyPrefix);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    const std::string key = it->key().ToString().substr(1);
    const std::string form = NormalForm(key);
    if (form.empty()) continue;
    if (status.ok()) status = batch.Put(database.family(Family::kIds), FormKey(form, key), "");
    if (batch.Count() < kKeysPerBatch) continue;
    ENGRAM_RETURN_IF_ERROR(WriteCommit(state, Durability::kProcess, state.commit, batch));
    batch.Clear();
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "reading the keys"));
  if (status.ok()) {
    status = batch.Put(database.family(Family::kCatalog),
                       rocksdb::Slice(kFormsKey.data(), kFormsKey.size()), "");
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(status, "building a batch"));
  return WriteCommit(state, Durability::kProcess, state.commit, batch);
}

KeyForms::KeyForms(const View& view) : view_(view), it_(view.NewFamilyIterator(Family::kIds)) {}

absl::StatusOr<KeyForms::Found> KeyForms::Find(std::string_view form) const {
  Found found;
  const std::string whole = FormPrefix(form);
  for (it_->Seek(whole); it_->Valid() && it_->key().starts_with(whole); it_->Next()) {
    const auto id = view_.FindKey(it_->key().ToStringView().substr(whole.size()));
    if (absl::IsNotFound(id.status())) continue;  // its key went, and it stayed
    ENGRAM_RETURN_IF_ERROR(id.status());
    found.whole = true;
    break;
  }
  // A space sorts behind the zero that ends a form, and before whatever else can follow.
  std::string longer = whole;
  longer.back() = ' ';
  if (found.whole) it_->Seek(longer);
  found.may_grow = it_->Valid() && it_->key().starts_with(longer);
  ENGRAM_RETURN_IF_ERROR(FromRocks(it_->status(), "looking for a key in a text"));
  return found;
}

absl::StatusOr<std::vector<std::pair<std::string, std::uint64_t>>> KeyForms::KeysOf(
    std::string_view form) const {
  std::vector<std::pair<std::string, std::uint64_t>> keys;
  const std::string prefix = FormPrefix(form);
  for (it_->Seek(prefix); it_->Valid() && it_->key().starts_with(prefix); it_->Next()) {
    std::string key = it_->key().ToString().substr(prefix.size());
    const auto id = view_.FindKey(key);
    if (absl::IsNotFound(id.status())) continue;
    ENGRAM_RETURN_IF_ERROR(id.status());
    keys.emplace_back(std::move(key), *id);
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it_->status(), "looking for a key in a text"));
  return keys;
}

}  // namespace engram::storage

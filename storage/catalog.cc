#include "storage/catalog.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::storage {

absl::StatusOr<Catalog> Catalog::Load(const Database& database) {
  Catalog catalog;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator(rocksdb::ReadOptions(), database.family(Family::kCatalog)));
  const std::string prefix(1, kFilePrefix);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    const auto first_row = DecodeFileKey(it->key().ToStringView());
    absl::StatusOr<FileEntry> entry = DecodeFileEntry(it->value().ToStringView());
    ENGRAM_RETURN_IF_ERROR(entry.status());
    if (!first_row.has_value() || *first_row != entry->first_row() ||
        catalog.end_row() > entry->first_row()) {
      return absl::DataLossError(
          absl::StrFormat("the catalog is damaged: the file entry at row %d comes after row %d",
                          entry->first_row(), catalog.end_row()));
    }
    catalog.Add(*std::move(entry));
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(it->status(), "reading the catalog"));
  return catalog;
}

bool Catalog::HasFileIn(std::uint64_t first, std::uint64_t end) const {
  auto it = files_.lower_bound(end);
  if (it == files_.begin()) return false;
  return std::prev(it)->second.end_row() > first;
}

std::uint64_t Catalog::block_count() const {
  std::uint64_t count = 0;
  for (const auto& [first_row, entry] : files_) count += entry.blocks.size();
  return count;
}

}  // namespace engram::storage

#include "storage/bulk_files.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "rocksdb/sst_file_writer.h"
#include "storage/base/status.h"
#include "storage/format/key_format.h"
#include "storage/format/name_format.h"
#include "storage/store_file_system.h"
#include "storage/table_check.h"

namespace engram::storage {
namespace {

absl::StatusOr<bool> Has(const Database& database, const std::string& key) {
  const auto value = database.Get(Family::kIds, key);
  if (value.ok()) return true;
  if (absl::IsNotFound(value.status())) return false;
  return value.status();
}

}  // namespace

absl::StatusOr<bool> AllFresh(const WriterState& state, absl::Span<const Change> changes) {
  absl::flat_hash_set<std::uint64_t> ids;
  absl::flat_hash_set<std::string_view> keys;
  for (const Change& change : changes) {
    switch (change.kind) {
      case Change::Kind::kPut: {
        if (!ids.insert(change.id).second) return false;
        if (!state.MayHaveHead(change.id)) break;
        ENGRAM_ASSIGN_OR_RETURN(const bool known, Has(*state.database, HeadKey(change.id)));
        if (known) return false;
        break;
      }
      case Change::Kind::kSetKey: {
        if (!ids.contains(change.id) || !keys.insert(change.bytes).second) return false;
        ENGRAM_ASSIGN_OR_RETURN(const bool known, Has(*state.database, TextKey(change.bytes)));
        if (known) return false;
        break;
      }
      default: return false;
    }
  }
  return true;
}

absl::StatusOr<std::vector<Change>> ChangesOf(const WriterState& state,
                                              absl::Span<const ImportedMemory> memories) {
  std::vector<Change> changes;
  std::optional<std::uint64_t> max_id = state.max_id;
  for (const ImportedMemory& memory : memories) {
    Change change;
    if (memory.id.has_value()) {
      change.id = *memory.id;
    } else {
      ENGRAM_ASSIGN_OR_RETURN(change.id, IdAbove(max_id));
    }
    max_id = std::max(max_id, std::make_optional(change.id));
    change.vector = memory.vector;
    change.norm = memory.norm;
    change.bytes = memory.payload;
    changes.push_back(change);
    for (const std::string& key : memory.keys) {
      Change set_key;
      set_key.kind = Change::Kind::kSetKey;
      set_key.id = change.id;
      set_key.bytes = key;
      changes.push_back(set_key);
    }
  }
  return changes;
}

BulkFiles::BulkFiles(const WriterState& state, RotationChooser& rotations, std::int64_t now)
    : state_(state),
      rotations_(rotations),
      now_(now),
      commit_(state.commit),
      catalog_(state.catalog) {}

BulkFiles::~BulkFiles() {
  std::error_code ignored;  // RemoveLeftovers gets what stays
  for (const auto& [family, path] : files_) std::filesystem::remove(path, ignored);
}

absl::Status BulkFiles::WriteFile(Family family, std::vector<Entry> entries) {
  if (entries.empty()) return absl::OkStatus();
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
  const rocksdb::Options options(OpenOptions(/*read_only=*/false), FamilyOptions(family, nullptr));
  rocksdb::SstFileWriter file(rocksdb::EnvOptions(), options, /*column_family=*/nullptr,
                              /*invalidate_page_cache=*/false);
  const std::string& path =
      files_.emplace_back(family, IngestPath(*state_.database, FamilyName(family))).second;
  ENGRAM_RETURN_IF_ERROR(FromRocks(file.Open(path), "creating " + path));
  for (const Entry& entry : entries) {
    ENGRAM_RETURN_IF_ERROR(FromRocks(file.Put(entry.key, entry.value), "writing " + path));
  }
  return FromRocks(file.Finish(), "finishing " + path);
}

absl::Status BulkFiles::AddPut(const Change& change, BlockFileWriter& blocks) {
  if (commit_.next_node == std::numeric_limits<std::uint32_t>::max()) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("id %d: all %d nodes are given", change.id, commit_.next_node));
  }
  MemoryHead head;
  head.node = commit_.next_node++;
  head.live = true;
  head.row = kNoRow;
  ++commit_.memories;
  if (!change.vector.empty()) {
    if (commit_.next_row >= kMaxRow) return absl::ResourceExhaustedError("all rows are given");
    head.row = commit_.next_row++;
    ++commit_.live_rows;
    ENGRAM_RETURN_IF_ERROR(blocks.Add({.row = head.row,
                                       .id = change.id,
                                       .node = head.node,
                                       .norm = change.norm,
                                       .embedding = change.vector}));
  }
  heads_.push_back({HeadKey(change.id), EncodeMemoryHead(head)});
  nodes_.push_back({NodeKey(head.node), EncodeId(change.id)});
  records_.push_back(
      {RecordKey(change.id, RecordKind::kPayload), EncodePayload(now_, change.bytes)});
  return absl::OkStatus();
}

absl::Status BulkFiles::Build(absl::Span<const Change> changes) {
  const auto has_row = [](const Change& change) { return !change.vector.empty(); };
  RotationSample sample(state_.meta.dimension, static_cast<std::uint64_t>(std::count_if(
                                                   changes.begin(), changes.end(), has_row)));
  for (const Change& change : changes) {
    if (has_row(change)) sample.Offer(change.vector.data());
  }
  BlockFileWriter blocks(
      *state_.database, state_.meta, /*generation=*/0, &state_.catalog,
      rotations_.Choose(sample, state_.meta.metric == kCosineOnDisk, *state_.blocks));
  for (const Change& change : changes) {
    if (change.kind == Change::Kind::kPut) {
      ENGRAM_RETURN_IF_ERROR(AddPut(change, blocks));
    } else {
      texts_.push_back({TextKey(change.bytes), EncodeId(change.id)});
      id_keys_.push_back({IdKeysKey(change.id, change.bytes), std::string()});
      const std::string form = NormalForm(change.bytes);
      if (!form.empty()) forms_.push_back({FormKey(form, change.bytes), std::string()});
    }
  }
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<BlockFile> block_files, blocks.Finish());
  std::vector<Entry> catalog;
  catalog.push_back({std::string(kCommitKey), EncodeCommitRecord(commit_)});
  for (const BlockFile& file : block_files) {
    files_.emplace_back(Family::kBlocks, file.path);
    catalog.push_back({FileKey(file.entry.first_row()), EncodeFileEntry(file.entry)});
    catalog_.Add(file.entry);
  }
  // One file for each kind of key: files whose ranges do not meet are never merged.
  ENGRAM_RETURN_IF_ERROR(WriteFile(Family::kIds, std::move(heads_)));
  ENGRAM_RETURN_IF_ERROR(WriteFile(Family::kIds, std::move(texts_)));
  ENGRAM_RETURN_IF_ERROR(WriteFile(Family::kIds, std::move(nodes_)));
  ENGRAM_RETURN_IF_ERROR(WriteFile(Family::kIds, std::move(id_keys_)));
  ENGRAM_RETURN_IF_ERROR(WriteFile(Family::kIds, std::move(forms_)));
  ENGRAM_RETURN_IF_ERROR(WriteFile(Family::kRecords, std::move(records_)));
  return WriteFile(Family::kCatalog, std::move(catalog));
}

absl::Status BulkFiles::ReadBack() const {
  for (const auto& [family, path] : files_) {
    const absl::Status status = CheckWholeTable(path, family);
    if (!status.ok()) return NotWritten(status);
  }
  return absl::OkStatus();
}

absl::Status BulkFiles::Ingest() {
  // The files are durable at once; the log before them must not be less so.
  ENGRAM_RETURN_IF_ERROR(state_.database->SyncLog());
  std::vector<rocksdb::IngestExternalFileArg> families;
  for (const Family family : {Family::kBlocks, Family::kIds, Family::kRecords, Family::kCatalog}) {
    rocksdb::IngestExternalFileArg arg;
    arg.column_family = state_.database->family(family);
    arg.options.move_files = true;
    arg.options.write_global_seqno = false;
    arg.options.fail_if_not_bottommost_level = family == Family::kBlocks;
    for (const auto& [of, path] : files_) {
      if (of == family) arg.external_files.push_back(path);
    }
    if (!arg.external_files.empty()) families.push_back(std::move(arg));
  }
  return FromRocks(IngestFiles(state_.database->db(), families), "ingesting an import");
}

}  // namespace engram::storage

#include "storage/salvage.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/salvage_walk.h"

namespace engram::storage {

absl::StatusOr<std::unique_ptr<Salvage>> Salvage::Open(const std::string& damaged,
                                                       const std::string& scratch,
                                                       const StoreMeta& told) {
  std::unique_ptr<Salvage> salvage(new Salvage());
  ENGRAM_ASSIGN_OR_RETURN(salvage->files_, SalvageFiles::Open(damaged, scratch, &salvage->losses_));
  ENGRAM_RETURN_IF_ERROR(salvage->ReadMeta(told));
  for (const std::string& table : salvage->files_->tables()) {
    const absl::Status status = salvage->columns_.AddFile(table);
    if (!status.ok()) salvage->losses_.Add(std::string(status.message()));
  }
  salvage->ReadCatalog();
  salvage->ReadIds();
  salvage->ReadEdgeBlocks();
  salvage->ReadTail();
  salvage->ReadBlocks();
  salvage->ReadKeys();
  salvage->ListIds();
  return salvage;
}

absl::Status Salvage::ReadMeta(const StoreMeta& told) {
  std::string value;
  const rocksdb::Status status = files_->Get(Family::kDefault, kMetaKey, &value);
  if (!status.ok())
    return TakeTold(status.IsNotFound() ? "it is missing" : status.ToString(), told);
  const auto meta = DecodeStoreMeta(value);
  if (!meta.ok()) return TakeTold(std::string(meta.status().message()), told);
  meta_ = *meta;
  ENGRAM_RETURN_IF_ERROR(CheckFormatVersion("the damaged store", meta_.format_version));
  const auto differs = [](std::string_view what, std::uint32_t has, std::uint32_t said) {
    if (said == 0 || said == has) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrFormat("the store has %s %d, and %d was said", what, has, said));
  };
  ENGRAM_RETURN_IF_ERROR(differs("dimension", meta_.dimension, told.dimension));
  return differs("metric (1 cosine, 2 dot, 3 l2)", meta_.metric, told.metric);
}

absl::Status Salvage::TakeTold(const std::string& why, const StoreMeta& told) {
  if (told.dimension == 0 || told.metric == 0) {
    return absl::DataLossError(absl::StrFormat(
        "the description of the store cannot be read, so that its dimension and metric have to be "
        "said: %s",
        why));
  }
  meta_ = told;
  losses_.Add(absl::StrFormat("the description of the store is lost: %s", why));
  return absl::OkStatus();
}

void Salvage::Walk(Family family, std::string_view prefix,
                   absl::FunctionRef<void(std::string_view, std::string_view)> visit) {
  WalkSound(files_->db(), files_->family(family), prefix, visit, [&](const std::string& why) {
    losses_.Add(absl::StrFormat("family %s: entries are lost: %s", FamilyName(family), why));
  });
}

void Salvage::ReadCatalog() {
  const std::uint64_t losses = losses_.total();
  const std::string files(1, kFilePrefix);
  Walk(Family::kCatalog, files, [&](std::string_view, std::string_view value) {
    const auto entry = DecodeFileEntry(value);
    if (!entry.ok()) return losses_.Add(std::string(entry.status().message()));
    for (const BlockExtent& extent : entry->blocks) {
      extents_[{entry->generation, extent.first_row}] = extent;
    }
  });
  catalog_whole_ = losses_.total() == losses;
}

bool Salvage::IsNamed(const SalvagedBlock& block) const {
  if (!files_->Names(Family::kBlocks, columns_.files()[block.file])) return false;
  if (!catalog_whole_) return true;
  const BlockHeader& header = block.Find(ColumnKind::kEmbedding)->header;
  const auto extent = extents_.find({block.generation, block.first});
  return extent != extents_.end() && extent->second.rows == header.rows &&
         extent->second.span == header.span;
}

void Salvage::ReadBlocks() {
  std::vector<const SalvagedBlock*> unnamed;
  for (const auto& [key, block] : columns_.blocks()) {
    if (block.Find(ColumnKind::kEmbedding) == nullptr) continue;
    if (IsNamed(block)) {
      ReadBlock(block, /*named=*/true);
    } else {
      unnamed.push_back(&block);
    }
  }
  for (const SalvagedBlock* block : unnamed) ReadBlock(*block, /*named=*/false);
  for (const auto& damaged : columns_.damaged()) {
    const BlockHeader& header = damaged.header;
    losses_.Add(absl::StrFormat("block at row %d: column %s is damaged in %s", header.first_row,
                                ColumnName(header.column), damaged.file));
  }
}

void Salvage::ReadBlock(const SalvagedBlock& block, bool named) {
  const BlockColumn& embeddings = *block.Find(ColumnKind::kEmbedding);
  const BlockHeader& header = embeddings.header;
  if (header.bytes_per_row != meta_.dimension * sizeof(float)) return;
  const auto column = [&](ColumnKind kind) -> const char* {
    const BlockColumn* found = block.Find(kind);
    const bool fits = found != nullptr && found->header.rows == header.rows &&
                      found->header.bytes_per_row == BytesPerRow(kind, meta_.dimension);
    return fits ? found->payload.data() : nullptr;
  };
  const auto* offsets = reinterpret_cast<const std::uint32_t*>(column(ColumnKind::kRowOffset));
  const auto* ids = reinterpret_cast<const std::uint64_t*>(column(ColumnKind::kId));
  const auto* nodes = reinterpret_cast<const std::uint32_t*>(column(ColumnKind::kNode));
  if (header.rows != header.span && offsets == nullptr) {
    return losses_.Add(
        absl::StrFormat("block at row %d: which rows it holds is lost", block.first));
  }
  // Rows that do not say whose they are are taken by what heads say, which speak of named blocks:
  // of others only where a gap of the log or a manifest made anew may be why they are not named.
  const bool in_manifest = files_->Names(Family::kBlocks, columns_.files()[block.file]);
  if (ids == nullptr && !named && (files_->whole() || !in_manifest)) return;
  // An id that has no head where none is lost was never the store's.
  const bool heads_know_all = !named && heads_whole_;
  for (std::uint32_t i = 0; i < header.rows; ++i) {
    Row row;
    row.embedding = reinterpret_cast<const float*>(embeddings.payload.data()) +
                    std::size_t{i} * meta_.dimension;
    row.file = block.file;
    row.named = named;
    row.has_id = ids != nullptr;
    if (row.has_id) row.id = ids[i];
    if (heads_know_all && !heads_.contains(row.id)) continue;
    if (row.has_id && nodes != nullptr && !heads_know_all) nodes_.try_emplace(nodes[i], row.id);
    AddRow(block.first + (offsets == nullptr ? i : offsets[i]), row);
  }
}

void Salvage::AddRow(std::uint64_t number, const Row& row) {
  const auto [first, fresh] = rows_.try_emplace(number, row);
  const auto same = [&](const Row& there) {
    return there.has_id == row.has_id && there.id == row.id;
  };
  if (fresh || same(first->second)) return;
  std::vector<Row>& others = other_rows_[number];
  if (std::none_of(others.begin(), others.end(), same)) others.push_back(row);
}

void Salvage::ReadTail() {
  Walk(Family::kTail, "", [&](std::string_view key, std::string_view value) {
    if (key == kSealedKey) return;
    if (!key.empty() && key[0] == kEventPrefix) return ReadEvents(key, value);
    const auto number = DecodeRowKey(key);
    const auto row = DecodeTailRow(value, meta_.dimension);
    if (!number.has_value() || !row.ok()) return losses_.Add("a row of the tail is damaged");
    std::vector<float>& embedding = tail_.emplace_back(meta_.dimension);
    std::memcpy(embedding.data(), row->embedding.data(), row->embedding.size());
    AddRow(*number, {.embedding = embedding.data(), .id = row->id, .has_id = true});
    nodes_.try_emplace(row->node, row->id);
  });
  Walk(Family::kTombstones, "", [&](std::string_view key, std::string_view) {
    const auto row = DecodeRowKey(key);
    if (row.has_value()) tombstones_.insert(*row);
  });
}

void Salvage::ReadIds() {
  const std::string heads(1, kHeadPrefix), nodes(1, kNodePrefix), types(1, kTypePrefix);
  const std::uint64_t losses = losses_.total();
  bool sound = true;
  Walk(Family::kIds, heads, [&](std::string_view key, std::string_view value) {
    const auto id = DecodeHeadKey(key);
    const auto head = DecodeMemoryHead(value);
    sound = sound && id.has_value() && head.ok();
    if (!id.has_value() || !head.ok()) return;
    heads_[*id] = *head;
    nodes_[head->node] = *id;
  });
  heads_whole_ = files_->whole() && sound && losses_.total() == losses;
  Walk(Family::kIds, nodes, [&](std::string_view key, std::string_view value) {
    const auto node = DecodeNodeKey(key);
    const auto id = DecodeId(value);
    if (node.has_value() && id.ok()) nodes_.try_emplace(*node, *id);
  });
  Walk(Family::kCatalog, types, [&](std::string_view key, std::string_view value) {
    if (DecodeEdgeType(value).ok()) types_.emplace_back(key, value);
  });
}

void Salvage::ReadKeys() {
  const std::string keys(1, kKeyPrefix), by_id(1, kIdKeysPrefix);
  Walk(Family::kIds, keys, [&](std::string_view key, std::string_view value) {
    const auto id = DecodeId(value);
    if (id.ok()) keys_[*id].emplace_back(key.substr(1));
  });
  Walk(Family::kIds, by_id, [&](std::string_view key, std::string_view) {
    const auto entry = DecodeIdKeysKey(key);
    if (!entry.has_value()) return;
    std::string value;
    const rocksdb::Status named = files_->Get(Family::kIds, TextKey(entry->key), &value);
    if (named.ok() || named.IsNotFound()) return;  // what it names, if anything, was read above
    keys_[entry->id].emplace_back(entry->key);
  });
}

void Salvage::ListIds() {
  std::set<std::uint64_t> ids;
  for (const auto& [id, head] : heads_) {
    if (head.live) ids.insert(id);
  }
  for (const auto& [node, id] : nodes_) {
    if (!heads_.contains(id)) ids.insert(id);
  }
  for (const auto& [number, first] : rows_) {
    const Row* row = &first;
    const auto others = other_rows_.find(number);
    // Of those that say whose they are, the first is to be believed.
    if (!row->has_id && others != other_rows_.end()) row = &others->second.front();
    if (!row->has_id || heads_.contains(row->id) || tombstones_.contains(number)) continue;
    ids.insert(row->id);
    std::uint64_t& newest = newest_rows_.try_emplace(row->id, number).first->second;
    newest = std::max(newest, number);
  }
  ids_.assign(ids.begin(), ids.end());
}

const Salvage::Row* Salvage::FindRow(std::uint64_t number, std::uint64_t id, bool must_say) const {
  const auto may_be = [&](const Row& row) { return row.has_id ? row.id == id : !must_say; };
  const auto first = rows_.find(number);
  if (number == kNoRow || first == rows_.end()) return nullptr;
  if (may_be(first->second)) return &first->second;
  const auto others = other_rows_.find(number);
  if (others == other_rows_.end()) return nullptr;
  const auto found = std::find_if(others->second.begin(), others->second.end(), may_be);
  return found == others->second.end() ? nullptr : &*found;
}

std::string Salvage::WhyNoRow(std::uint64_t number) const {
  for (const auto& damaged : columns_.damaged()) {
    const BlockHeader& header = damaged.header;
    if (header.column != ColumnKind::kEmbedding || number < header.first_row) continue;
    if (number - header.first_row >= header.span) continue;
    return absl::StrFormat("block at row %d, column %s, in %s is damaged", header.first_row,
                           ColumnName(header.column), damaged.file);
  }
  const auto other = rows_.find(number);
  if (other == rows_.end()) return "no sound block and no tail holds it";
  if (!other->second.has_id) return "what has that number does not say whose it is";
  return absl::StrFormat("what has that number is of id %d", other->second.id);
}

std::string Salvage::ReadRecord(std::uint64_t id, RecordKind kind, std::string_view what) {
  std::string value;
  const rocksdb::Status status = files_->Get(Family::kRecords, RecordKey(id, kind), &value);
  const bool whole =
      kind == RecordKind::kPayload ? DecodePayload(value).ok() : DecodeStrength(value).ok();
  if (status.ok() && whole) return value;
  if (status.IsNotFound() && kind == RecordKind::kStrength) return "";
  losses_.Add(absl::StrFormat("id %d: its %s is lost: %s", id, what,
                              status.ok() ? "its record is damaged" : status.ToString()));
  return "";
}

std::string Salvage::Record(std::uint64_t id, RecordKind kind) const {
  std::string value;
  const rocksdb::Status status = files_->Get(Family::kRecords, RecordKey(id, kind), &value);
  const bool whole =
      kind == RecordKind::kPayload ? DecodePayload(value).ok() : DecodeStrength(value).ok();
  return status.ok() && whole ? value : "";
}

SalvagedMemory Salvage::Read(std::uint64_t id) {
  SalvagedMemory memory;
  const auto head = heads_.find(id);
  const auto newest = newest_rows_.find(id);
  std::uint64_t number = kNoRow;
  if (head != heads_.end()) {
    number = head->second.row;
  } else {
    if (newest != newest_rows_.end()) number = newest->second;
    losses_.Add(absl::StrFormat("id %d: its head is lost", id));
  }
  const Row* row = FindRow(number, id, /*must_say=*/head == heads_.end());
  if (row != nullptr) {
    memory.vector = absl::MakeConstSpan(row->embedding, meta_.dimension);
    if (!row->named && unnamed_files_.insert(row->file).second) {
      losses_.Add(absl::StrFormat(
          "embeddings were taken from %s, which the store does not name: some may be of before",
          columns_.files()[row->file]));
    }
  } else if (number != kNoRow) {
    memory.embedding_lost = true;
    losses_.Add(
        absl::StrFormat("id %d: its embedding, row %d, is lost: %s", id, number, WhyNoRow(number)));
  }
  memory.payload = ReadRecord(id, RecordKind::kPayload, "payload");
  memory.payload_lost = memory.payload.empty();  // one that was put empty has its time
  memory.strength = ReadRecord(id, RecordKind::kStrength, "strength");
  memory.lost = memory.vector.empty() && memory.payload.empty();
  const auto keys = keys_.find(id);
  if (keys != keys_.end()) memory.keys = keys->second;
  return memory;
}

}  // namespace engram::storage

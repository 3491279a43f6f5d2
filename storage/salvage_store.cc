#include "storage/salvage_store.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "rocksdb/write_batch.h"
#include "storage/base/status.h"
#include "storage/salvage.h"
#include "storage/store_directory.h"
#include "storage/target_directory.h"

namespace engram::storage {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBatchBytes = std::size_t{4} << 20;

class Builder {
 public:
  Builder(Salvage& salvage, std::string path, const ProgressFunction& progress, NormFunction norm)
      : salvage_(salvage), path_(std::move(path)), progress_(progress), norm_(norm) {}

  absl::StatusOr<SalvageReport> Run() {
    FilesOptions options;
    options.create_if_missing = true;
    options.error_if_exists = true;
    options.dimension = salvage_.meta().dimension;
    options.metric = salvage_.meta().metric;
    options.rows_per_block = salvage_.meta().rows_per_block;
    ENGRAM_ASSIGN_OR_RETURN(const auto store, StoreFiles::Open(options, path_));
    ENGRAM_RETURN_IF_ERROR(PutMemories(*store));
    ENGRAM_RETURN_IF_ERROR(PutEdges(*store));
    ENGRAM_RETURN_IF_ERROR(store->Seal());
    ENGRAM_RETURN_IF_ERROR(store->Close());
    ENGRAM_RETURN_IF_ERROR(PutRecords());
    report_.memories = kept_.size();
    report_.losses = salvage_.losses().total();
    report_.findings = salvage_.losses().Findings();
    return std::move(report_);
  }

 private:
  absl::Status PutMemories(StoreFiles& store) {
    std::size_t next = 0;
    SalvagedMemory memory;
    const auto source = [&](ImportedMemory* out) -> absl::StatusOr<bool> {
      for (; next < salvage_.ids().size(); ++next) {
        const std::uint64_t id = salvage_.ids()[next];
        memory = salvage_.Read(id);
        float norm = 0.0f;
        if (!memory.vector.empty()) {
          const auto checked = norm_(salvage_.meta(), id, memory.vector);
          if (checked.ok()) norm = *checked;
          if (!checked.ok()) {
            salvage_.losses().Add(std::string(checked.status().message()));
            memory.vector = {};
            memory.embedding_lost = true;
            memory.lost = memory.payload.empty();
          }
        }
        if (memory.lost) {
          ++report_.lost_memories;
          continue;
        }
        if (memory.embedding_lost) ++report_.lost_embeddings;
        if (memory.payload_lost) ++report_.lost_payloads;
        kept_.push_back(id);
        report_.keys += memory.keys.size();
        *out = {
            .id = id, .vector = memory.vector, .norm = norm, .payload = {}, .keys = memory.keys};
        ++next;
        return true;
      }
      return false;
    };
    return store.Import({.durability = Durability::kNone}, salvage_.ids().size(), progress_, source)
        .status();
  }

  absl::Status PutEdges(StoreFiles& store) {
    const std::vector<EdgePut> edges = salvage_.Edges(kept_);
    std::size_t next = 0;
    const auto source = [&](EdgePut* edge) -> absl::StatusOr<bool> {
      if (next == edges.size()) return false;
      *edge = edges[next++];
      return true;
    };
    ENGRAM_ASSIGN_OR_RETURN(const LinkCounts counts, store.Link({.durability = Durability::kNone},
                                                                edges.size(), nullptr, source));
    report_.edges = counts.edges;
    return absl::OkStatus();
  }

  // As they were, so that last uses and strengths are the same to the bit.
  absl::Status PutRecords() {
    ENGRAM_ASSIGN_OR_RETURN(const auto database, Database::Open({}, path_));
    rocksdb::WriteBatch batch;
    rocksdb::Status status;
    const auto put = [&](Family family, const std::string& key, const std::string& value) {
      if (status.ok() && !value.empty()) status = batch.Put(database->family(family), key, value);
    };
    const auto write = [&] {
      if (status.ok()) status = database->db().Write(rocksdb::WriteOptions(), &batch);
      batch.Clear();
      return FromRocks(status, "writing the records of " + path_);
    };
    for (const auto& [key, value] : salvage_.edge_types()) put(Family::kCatalog, key, value);
    for (const std::uint64_t id : kept_) {
      put(Family::kRecords, RecordKey(id, RecordKind::kPayload),
          salvage_.Record(id, RecordKind::kPayload));
      put(Family::kRecords, RecordKey(id, RecordKind::kStrength),
          salvage_.Record(id, RecordKind::kStrength));
      if (batch.GetDataSize() >= kBatchBytes) ENGRAM_RETURN_IF_ERROR(write());
    }
    ENGRAM_RETURN_IF_ERROR(write());
    return database->FlushFamilies();
  }

  Salvage& salvage_;
  const std::string path_;
  const ProgressFunction& progress_;
  const NormFunction norm_;
  std::vector<std::uint64_t> kept_;
  SalvageReport report_;
};

absl::StatusOr<SalvageReport> Build(const std::string& damaged, const std::string& work,
                                    const StoreMeta& told, const ProgressFunction& progress,
                                    NormFunction norm) {
  for (const char* folder : {"/copies", "/store"}) {
    ENGRAM_RETURN_IF_ERROR(MakeDirectoryLike(work + folder, damaged));
  }
  ENGRAM_ASSIGN_OR_RETURN(const auto salvage, Salvage::Open(damaged, work + "/copies", told));
  return Builder(*salvage, work + "/store", progress, norm).Run();
}

absl::Status IsAbsent(const std::string& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrFormat("%s exists already", path));
}

}  // namespace

absl::StatusOr<SalvageReport> SalvageStore(const std::string& damaged, const std::string& into,
                                           const StoreMeta& told, const ProgressFunction& progress,
                                           NormFunction norm) {
  fs::path target(into);
  if (!target.has_filename()) target = target.parent_path();  // a slash at the end
  const std::string work = target.string() + ".repair";
  std::error_code error;
  if (!fs::is_directory(damaged, error)) {
    return absl::NotFoundError(
        absl::StrFormat("there is no store in %s: no directory is there", damaged));
  }
  ENGRAM_RETURN_IF_ERROR(IsAbsent(target.string()));
  ENGRAM_RETURN_IF_ERROR(IsAbsent(work));
  if (LiesIn(into, damaged)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "nothing is written into the damaged store, and %s is in %s", into, damaged));
  }
  ENGRAM_RETURN_IF_ERROR(DirectoryLock::NotHeld(damaged));
  ENGRAM_RETURN_IF_ERROR(MakeDirectory(fs::absolute(work, error).parent_path()));
  ENGRAM_RETURN_IF_ERROR(Annotate(MakeDirectoryLike(work, damaged), "repairing " + damaged));
  auto report = Build(damaged, work, told, progress, norm);
  absl::Status status = report.status();
  if (status.ok()) {
    status = FromRocks(rocksdb::Env::Default()->RenameFile(work + "/store", target.string()),
                       "repairing into " + into);
  }
  if (status.ok()) status = SyncEntry(target.string());
  fs::remove_all(work, error);  // what stays only costs space
  if (!status.ok()) return Annotate(status, "repairing " + damaged);
  return report;
}

}  // namespace engram::storage

// The seal of edges: Maintenance's part that folds their changes into columns.
//
// The protocol is that of blocks (maintenance.h): new columns are ingested, named by
// nobody, and one synced batch switches the catalog to them and takes the changes away.
#include <utility>

#include "storage/base/status.h"
#include "storage/committer.h"
#include "storage/maintenance.h"
#include "storage/table_check.h"

namespace engram::storage {

absl::Status Maintenance::SealEdges(bool only_if_due) {
  FairMutexLock lock(&mutex_);
  std::shared_ptr<const MappedEdges> base;
  EdgeLogView log;
  std::uint32_t nodes = 0;
  bool wanted = false;
  ENGRAM_RETURN_IF_ERROR(queue_.RunAlone([&] {
    base = state_.edges;
    log = state_.edge_log.View();
    nodes = state_.commit.next_node;
    wanted = !log.empty() && (!only_if_due || state_.edge_backlog.IsDue(base->catalog().edges()));
    return state_.broken;
  }));
  if (!wanted) return absl::OkStatus();
  EdgeFile file;
  {
    // Damage must not be copied under a fresh checksum, and may have come since the last look.
    ENGRAM_RETURN_IF_ERROR(base->CheckAgain());
    ENGRAM_ASSIGN_OR_RETURN(const auto graph, state_.graphs->Get(base, log, /*verify=*/true));
    EdgeFileWriter writer(*state_.database, *graph, nodes, log.end());
    ENGRAM_ASSIGN_OR_RETURN(file, writer.Write());
  }
  return CarryEdges(std::move(file));
}

absl::Status Maintenance::CarryEdges(EdgeFile file) {
  std::vector<std::string> paths;
  if (!file.path.empty()) paths.push_back(file.path);
  absl::Status status = Ingest(Family::kEdges, paths);
  std::shared_ptr<const MappedEdges> edges;
  if (status.ok()) {
    auto mapped = MappedEdges::Map(state_.database, file.catalog,
                                   /*nodes=*/static_cast<std::uint32_t>(file.catalog.nodes()),
                                   /*previous=*/nullptr);
    status = mapped.status();
    if (status.ok()) edges = *std::move(mapped);
  }
  // Read back while what they replace is still there.
  if (status.ok()) status = NotWritten(edges->Check(/*verify=*/true));
  if (status.ok()) {
    status = queue_.RunAlone([&] { return CommitEdges(file.catalog, std::move(edges)); });
  }
  if (status.ok()) {
    ENGRAM_RETURN_IF_ERROR(DropReplaced(Family::kEdges).status());
    return RepinEdges();
  }
  return Abandon(status, Family::kEdges, paths);
}

absl::Status Maintenance::RepinEdges() {
  const EdgeCatalog catalog = state_.edges->catalog();
  ENGRAM_ASSIGN_OR_RETURN(
      auto edges,
      MappedEdges::Map(state_.database, catalog,
                       /*nodes=*/static_cast<std::uint32_t>(catalog.nodes()), state_.edges.get()));
  return queue_.RunAlone([&] {
    state_.edges = std::move(edges);
    state_.graphs->Clear(catalog.next_event);  // graphs pin as well
    publisher_.Publish(state_);
    return absl::OkStatus();
  });
}

absl::Status Maintenance::CommitEdges(const EdgeCatalog& catalog,
                                      std::shared_ptr<const MappedEdges> edges) {
  rocksdb::WriteBatch batch;
  const Database& database = *state_.database;
  const EdgeLogView& log = state_.edge_log.View();
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(batch.Put(database.family(Family::kCatalog),
                          rocksdb::Slice(kEdgeCatalogKey.data(), kEdgeCatalogKey.size()),
                          EncodeEdgeCatalog(catalog)),
                "building a batch"));
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(DeleteFromTail(EdgeEventKey(log.first()), EdgeEventKey(catalog.next_event), batch),
                "building a batch"));
  ENGRAM_RETURN_IF_ERROR(WriteCommit(state_, Durability::kPower, state_.commit, batch));
  state_.edge_log.DropBefore(catalog.next_event);
  state_.edges = std::move(edges);
  state_.edge_backlog.Reset(*state_.edges, state_.edge_log.View());
  state_.graphs->Clear(catalog.next_event);
  publisher_.Publish(state_);
  return absl::OkStatus();
}

}  // namespace engram::storage

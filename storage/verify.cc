#include "storage/verify.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::storage {
namespace {

constexpr std::size_t kMaxFindings = 1000;

class Verifier {
 public:
  Verifier(const View& view, bool read_every_block, const ProgressFunction& progress)
      : view_(view),
        read_every_block_(read_every_block),
        progress_(progress),
        live_nodes_(view.commit().next_node) {}

  absl::StatusOr<FilesReport> Run() {
    ENGRAM_RETURN_IF_ERROR(CheckBlocks());
    ENGRAM_RETURN_IF_ERROR(CheckHeads());
    ENGRAM_RETURN_IF_ERROR(CheckKeys());
    CheckEdges();
    CheckCounters();
    if (left_off_ > 0) {
      report_.findings.back() = absl::StrFormat("and %d more findings", left_off_ + 1);
    }
    return std::move(report_);
  }

 private:
  void Find(std::string finding) {
    if (report_.findings.size() < kMaxFindings) {
      report_.findings.push_back(std::move(finding));
    } else {
      ++left_off_;
    }
  }

  absl::Status CheckBlocks() {
    const auto& blocks = view_.blocks().blocks();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (progress_ && !progress_(i, blocks.size())) {
        return absl::CancelledError(
            absl::StrFormat("verification was cancelled after %d of %d blocks", i, blocks.size()));
      }
      const absl::Status status = read_every_block_ ? blocks[i].CheckAgain() : blocks[i].usable();
      if (read_every_block_) report_.bytes += blocks[i].mapped_bytes();
      ++report_.blocks;
      if (status.ok()) continue;
      ++report_.corrupt_blocks;
      Find(std::string(status.message()));
    }
    if (progress_) progress_(blocks.size(), blocks.size());
    return absl::OkStatus();
  }

  absl::Status CheckHeads() {
    const std::unique_ptr<rocksdb::Iterator> it = view_.NewFamilyIterator(Family::kIds, true);
    const std::string prefix(1, kHeadPrefix);
    for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
      const auto id = DecodeHeadKey(it->key().ToStringView());
      const auto head = DecodeMemoryHead(it->value().ToStringView());
      if (!id.has_value() || !head.ok()) {
        Find(absl::StrFormat("a memory head is damaged: %s", std::string(head.status().message())));
        continue;
      }
      if (!head->live) continue;
      ++report_.memories;
      if (head->node < live_nodes_.size()) live_nodes_[head->node] = true;
      CheckMemory(*id, *head);
    }
    if (!it->status().ok()) Find("the family ids is damaged: " + it->status().ToString());
    return absl::OkStatus();
  }

  void CheckMemory(std::uint64_t id, const MemoryHead& head) {
    const auto payload = view_.ReadPayload(id, true);
    if (!payload.ok()) Find(std::string(payload.status().message()));
    if (head.row == kNoRow) return;
    ++live_rows_;
    if (view_.IsDead(head.row)) {
      Find(absl::StrFormat("id %d lives in row %d, which is dead", id, head.row));
    }
    // The payload of its block was checked above; here it only has to be there.
    const auto embedding = view_.FindEmbedding(head.row, /*verify=*/false);
    if (!embedding.ok()) {
      Find(absl::StrFormat("id %d: %s", id, std::string(embedding.status().message())));
    }
  }

  absl::Status CheckKeys() {
    const std::unique_ptr<rocksdb::Iterator> it = view_.NewFamilyIterator(Family::kIds, true);
    const std::string prefix(1, kKeyPrefix);
    for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
      const auto id = DecodeId(it->value().ToStringView());
      if (id.ok() && view_.FindHead(*id, true).ok()) continue;
      Find(absl::StrFormat("key \"%s\" names a memory that does not exist",
                           it->key().ToStringView().substr(1)));
    }
    return absl::OkStatus();
  }

  void CheckEdges() {
    const MappedEdges& sealed = view_.sealed_edges();
    const absl::Status whole = read_every_block_ ? sealed.CheckAgain() : sealed.Check(false);
    if (read_every_block_) report_.bytes += sealed.mapped_bytes();
    report_.blocks += sealed.runs().size();
    const auto graph = whole.ok() ? view_.Edges(/*verify=*/false) : whole;
    if (!graph.ok()) {
      ++report_.corrupt_blocks;
      return Find(std::string(graph.status().message()));
    }
    for (std::uint32_t node = 0; node < live_nodes_.size(); ++node) CheckEdgesOf(**graph, node);
    std::uint64_t sources = 0, pairs = 0;
    for (const EdgeRun& run : sealed.runs()) {
      CheckSourcesOf(run);
      sources += run.block.sources;
      for (std::uint32_t i = 0; i < run.block.nodes; ++i) {
        pairs += CountTargets(run.Out(run.block.first_node + i));
      }
    }
    if (sources == pairs) return;
    Find(absl::StrFormat("%d pairs of nodes have an edge, and %d sources are named", pairs,
                         sources));
  }

  static std::uint64_t CountTargets(const EdgeSpan& edges) {
    std::vector<std::uint32_t> targets(edges.targets, edges.targets + edges.size);
    std::sort(targets.begin(), targets.end());
    return static_cast<std::uint64_t>(std::unique(targets.begin(), targets.end()) -
                                      targets.begin());
  }

  void CheckEdgesOf(const EdgeGraph& graph, std::uint32_t node) {
    const EdgeSpan edges = graph.Out(node);
    report_.edges += edges.size;
    for (std::uint32_t i = 0; i < edges.size; ++i) {
      if (i > 0 && std::pair(edges.type(i - 1), edges.targets[i - 1]) >=
                       std::pair(edges.type(i), edges.targets[i])) {
        Find(absl::StrFormat("the edges of node %d are not in order", node));
      }
      if (live_nodes_[node] && live_nodes_[edges.targets[i]]) continue;
      ++report_.dangling_edges;
      Find(absl::StrFormat("the edge from node %d to node %d is of a memory that does not exist",
                           node, edges.targets[i]));
    }
    if (edges.size > 0 && edges.sum != SumOfWeights({edges.weights, edges.size})) {
      Find(absl::StrFormat("the weights of the edges of node %d do not add up to their sum", node));
    }
  }

  // That every pair has its source is counted below.
  void CheckSourcesOf(const EdgeRun& run) {
    for (std::uint32_t i = 0; i < run.block.nodes; ++i) {
      const std::uint32_t node = run.block.first_node + i;
      for (const std::uint32_t source : run.Sources(node)) {
        const EdgeRun* from = view_.sealed_edges().Find(source);
        if (from != nullptr && HasEdge(from->Out(source), node)) continue;
        Find(absl::StrFormat("node %d is named a source of node %d, and has no edge to it", source,
                             node));
      }
    }
  }

  static bool HasEdge(const EdgeSpan& edges, std::uint32_t target) {
    for (std::uint32_t begin = 0; begin < edges.size; begin = edges.EndOfType(begin)) {
      if (edges.Find(edges.type(begin), target) < edges.size) return true;
    }
    return false;
  }

  void CheckCounters() {
    if (report_.memories != view_.memories()) {
      Find(absl::StrFormat("%d memories exist, and %d were counted when they were written",
                           report_.memories, view_.memories()));
    }
    if (live_rows_ != view_.live_rows()) {
      Find(absl::StrFormat("%d rows live, and %d were counted when they were written", live_rows_,
                           view_.live_rows()));
    }
  }

  const View& view_;
  const bool read_every_block_;
  const ProgressFunction& progress_;
  FilesReport report_;
  std::vector<bool> live_nodes_;
  std::uint64_t live_rows_ = 0;
  std::uint64_t left_off_ = 0;
};

}  // namespace

absl::StatusOr<FilesReport> VerifyView(const View& view, bool read_every_block,
                                       const ProgressFunction& progress) {
  return Verifier(view, read_every_block, progress).Run();
}

}  // namespace engram::storage

#include "storage/verify.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"
#include "storage/table_check.h"
#include "storage/verify_codes.h"
#include "storage/verify_ids.h"

namespace engram::storage {
namespace {

constexpr std::size_t kMaxFindings = 1000;

// Norms are summed in f32, in the order of some kernel.
constexpr double kNormTolerance = 1e-3;

class Verifier {
 public:
  Verifier(const View& view, bool read_every_block, const ProgressFunction& progress)
      : view_(view),
        read_every_block_(read_every_block),
        progress_(progress),
        codes_(view.dimension()) {}

  absl::StatusOr<FilesReport> Run() {
    ENGRAM_RETURN_IF_ERROR(CheckBlocks());
    nodes_ = IdsVerifier(view_, [this](std::string finding) { Find(std::move(finding)); }).Run();
    CheckMemories();
    CheckRows();
    CheckEdges();
    if (read_every_block_) CheckTables();
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

  absl::Status CheckBlock(const MappedBlock& block) {
    ENGRAM_RETURN_IF_ERROR(block.usable());
    if (!read_every_block_) return block.codes_usable();
    ENGRAM_RETURN_IF_ERROR(block.CheckAgain());
    return codes_.Check(block);
  }

  absl::Status CheckBlocks() {
    const auto& blocks = view_.blocks().blocks();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (progress_ && !progress_(i, blocks.size())) {
        return absl::CancelledError(
            absl::StrFormat("verification was cancelled after %d of %d blocks", i, blocks.size()));
      }
      const absl::Status status = CheckBlock(blocks[i]);
      if (read_every_block_) report_.bytes += blocks[i].mapped_bytes();
      ++report_.blocks;
      if (status.ok()) continue;
      ++report_.corrupt_blocks;
      corrupt_.insert(i);
      Find(std::string(status.message()));
    }
    if (progress_) progress_(blocks.size(), blocks.size());
    return absl::OkStatus();
  }

  void CheckMemories() {
    for (const auto& [number, node] : nodes_) {
      if (!node.live) continue;
      ++report_.memories;
      const absl::Status read = view_.ReadStrength(node.id).status();
      if (!read.ok()) Find(std::string(read.message()));
      if (node.row != kNoRow) CheckRowOf(node);
    }
  }

  void CheckRowOf(const NodeHead& node) {
    ++live_rows_;
    if (view_.IsDead(node.row)) {
      Find(absl::StrFormat("id %d lives in row %d, which is dead", node.id, node.row));
    }
    // The payload of its block was checked above; here it only has to be there.
    const auto embedding = view_.FindEmbedding(node.row, /*verify=*/false);
    if (!embedding.ok()) {
      Find(absl::StrFormat("id %d: %s", node.id, std::string(embedding.status().message())));
    }
  }

  // A search believes the rows and never asks the heads.
  void CheckRows() {
    for (std::size_t i = 0; i < view_.slice_count(); ++i) {
      if (!view_.ReadySlice(i, /*verify=*/false).ok() || corrupt_.contains(i)) continue;
      const RowSlice slice = view_.slice(i);
      for (std::uint32_t r = 0; r < slice.count; ++r) {
        if (!view_.IsDead(slice.row(r))) CheckRow(slice, r);
      }
    }
  }

  void CheckRow(const RowSlice& slice, std::uint32_t r) {
    const std::uint64_t row = slice.row(r);
    const std::uint32_t node = slice.nodes[r];
    const auto memory = nodes_.find(node);
    if (memory == nodes_.end() || !memory->second.live || memory->second.row != row) {
      return Find(
          absl::StrFormat("row %d lives and is of node %d, and no memory names it", row, node));
    }
    if (slice.ids[r] != memory->second.id) {
      Find(absl::StrFormat("row %d says id %d, and its memory is id %d", row, slice.ids[r],
                           memory->second.id));
    }
    if (!read_every_block_) return;
    double square = 0.0;
    const float* embedding = slice.embeddings + std::size_t{r} * view_.dimension();
    for (std::uint32_t i = 0; i < view_.dimension(); ++i) {
      square += double{embedding[i]} * double{embedding[i]};
    }
    const double norm = std::sqrt(square);
    if (std::abs(norm - double{slice.norms[r]}) <= kNormTolerance * norm) return;
    Find(absl::StrFormat("row %d has norm %g, and says %g", row, norm, slice.norms[r]));
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
    const auto sealed_nodes = static_cast<std::uint32_t>(sealed.nodes());
    for (std::uint32_t node = 0; node < sealed_nodes; ++node) CheckEdgesOf(**graph, node);
    (*graph)->overlay().lists.ForEachNode([&](std::uint32_t node) {
      if (node >= sealed_nodes) CheckEdgesOf(**graph, node);
    });
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

  bool Lives(std::uint32_t node) const {
    const auto memory = nodes_.find(node);
    return memory != nodes_.end() && memory->second.live;
  }

  void CheckEdgesOf(const EdgeGraph& graph, std::uint32_t node) {
    const EdgeSpan edges = graph.Out(node);
    report_.edges += edges.size;
    for (std::uint32_t i = 0; i < edges.size; ++i) {
      if (i > 0 && std::pair(edges.type(i - 1), edges.targets[i - 1]) >=
                       std::pair(edges.type(i), edges.targets[i])) {
        Find(absl::StrFormat("the edges of node %d are not in order", node));
      }
      if (Lives(node) && Lives(edges.targets[i])) continue;
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
      const absl::Span<const std::uint32_t> sources = run.Sources(node);
      if (std::adjacent_find(sources.begin(), sources.end(), std::greater_equal<>()) !=
          sources.end()) {
        Find(absl::StrFormat("the sources of node %d are not in order", node));
      }
      for (const std::uint32_t source : sources) {
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

  // What was read above of records and keys may have come from a cache, and of the tables of blocks
  // the columns alone were read.
  void CheckTables() {
    for (std::size_t i = 0; i < kFamilyCount; ++i) {
      const auto family = static_cast<Family>(i);
      const bool columns = family == Family::kBlocks || family == Family::kEdges;
      if (columns && report_.corrupt_blocks > 0) continue;  // that was said, and where
      for (const absl::Status& damage : CheckAllTables(view_.database(), family)) {
        Find(std::string(damage.message()));
      }
    }
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
  CodesVerifier codes_;
  FilesReport report_;
  NodeHeads nodes_;
  std::set<std::size_t> corrupt_;  // slices
  std::uint64_t live_rows_ = 0;
  std::uint64_t left_off_ = 0;
};

}  // namespace

absl::StatusOr<FilesReport> VerifyView(const View& view, bool read_every_block,
                                       const ProgressFunction& progress) {
  return Verifier(view, read_every_block, progress).Run();
}

}  // namespace engram::storage

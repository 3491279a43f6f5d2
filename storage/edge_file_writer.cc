#include "storage/edge_file_writer.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/block_file_writer.h"

namespace engram::storage {
namespace {

// A block is a run of nodes with about this many edges, and sources, at most.
constexpr std::uint64_t kEdgesPerBlock = std::uint64_t{1} << 22;

// Calls `use(source, target)` once for every pair of nodes with an edge, by source.
template <typename Use>
void ForEachPair(const std::vector<EdgeSpan>& out, Use use) {
  constexpr std::uint32_t kNobody = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> last_source;
  for (std::uint32_t source = 0; source < out.size(); ++source) {
    const EdgeSpan& edges = out[source];
    // Within one type no target comes twice.
    const bool unique = edges.size == 0 || edges.type(0) == edges.type(edges.size - 1);
    if (!unique && last_source.empty()) last_source.assign(out.size(), kNobody);
    for (std::uint32_t i = 0; i < edges.size; ++i) {
      const std::uint32_t target = edges.targets[i];
      if (!unique && std::exchange(last_source[target], source) == source) continue;
      use(source, target);
    }
  }
}

template <typename T>
std::string_view BytesOf(const T* values, std::size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

void AppendType(std::uint32_t type, std::uint32_t bytes, std::string* out) {
  for (std::uint32_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(type >> (8 * i)));
}

std::uint32_t BytesOfType(std::uint32_t largest) {
  return largest <= 0xff ? 1 : largest <= 0xffff ? 2 : 4;
}

}  // namespace

EdgeFileWriter::EdgeFileWriter(const Database& database, const EdgeGraph& graph,
                               std::uint32_t nodes, std::uint64_t next_event)
    : database_(database), graph_(graph), nodes_(nodes) {
  file_.catalog.generation = graph.base().catalog().generation + 1;
  file_.catalog.next_event = next_event;
}

EdgeFileWriter::~EdgeFileWriter() {
  std::error_code ignored;  // RemoveLeftovers gets what stays
  writer_.reset();
  if (!file_.path.empty()) std::filesystem::remove(file_.path, ignored);
}

void EdgeFileWriter::TurnAround() {
  out_.reserve(nodes_);
  for (std::uint32_t node = 0; node < nodes_; ++node) out_.push_back(graph_.Out(node));
  in_offsets_.assign(std::size_t{nodes_} + 1, 0);
  ForEachPair(out_, [&](std::uint32_t, std::uint32_t target) { ++in_offsets_[target + 1]; });
  for (std::size_t i = 0; i < nodes_; ++i) in_offsets_[i + 1] += in_offsets_[i];
  in_sources_.resize(in_offsets_[nodes_]);
  std::vector<std::uint64_t> next(in_offsets_.begin(), in_offsets_.end() - 1);
  ForEachPair(out_, [&](std::uint32_t source, std::uint32_t target) {
    in_sources_[next[target]++] = source;
  });
}

std::uint32_t EdgeFileWriter::EndOfBlock(std::uint32_t first) const {
  std::uint64_t edges = 0, sources = 0;
  for (std::uint32_t node = first; node < nodes_; ++node) {
    edges += out_[node].size;
    sources += in_offsets_[node + 1] - in_offsets_[node];
    const bool full = std::max(edges, sources) > kEdgesPerBlock || node - first >= kEdgesPerBlock;
    if (full && node > first) return node;
  }
  return nodes_;
}

absl::Status EdgeFileWriter::PutColumn(const EdgeBlock& block, ColumnKind column,
                                       std::uint32_t rows, std::uint32_t bytes_per_row,
                                       std::string_view payload) {
  const BlockHeader header{.first_row = block.first_node,
                           .rows = rows,
                           .span = rows,
                           .column = column,
                           .bytes_per_row = bytes_per_row,
                           .generation = file_.catalog.generation,
                           .payload_hash = 0};
  const std::string value = EncodeBlockColumn(header, payload);
  // What we cannot read back must not become the only copy.
  const auto decoded = DecodeBlockColumn(value);
  if (!decoded.ok() || decoded->payload != payload) {
    return absl::InternalError(
        absl::StrFormat("column %s of the edges of node %d does not read "
                        "back",
                        ColumnName(column), block.first_node));
  }
  const std::string key = EncodeBlockKey(
      {.generation = file_.catalog.generation, .first_row = block.first_node, .column = column});
  return FromRocks(writer_->Put(key, value), "writing " + file_.path);
}

absl::Status EdgeFileWriter::WriteSources(EdgeBlock& block) {
  const std::uint64_t begin = in_offsets_[block.first_node];
  std::vector<std::uint32_t> offsets;
  offsets.reserve(std::size_t{block.nodes} + 1);
  for (std::uint32_t i = 0; i <= block.nodes; ++i) {
    offsets.push_back(static_cast<std::uint32_t>(in_offsets_[block.first_node + i] - begin));
  }
  block.sources = offsets.back();
  ENGRAM_RETURN_IF_ERROR(PutColumn(block, ColumnKind::kInOffset, block.nodes + 1, 4,
                                   BytesOf(offsets.data(), offsets.size())));
  return PutColumn(block, ColumnKind::kInSource, block.sources, 4,
                   BytesOf(in_sources_.data() + begin, block.sources));
}

absl::Status EdgeFileWriter::WriteBlock(std::uint32_t first, std::uint32_t end) {
  EdgeBlock block{.first_node = first, .nodes = end - first};
  std::vector<std::uint32_t> offsets{0}, targets, types;
  std::vector<float> weights, sums;
  for (std::uint32_t node = first; node < end; ++node) {
    const EdgeSpan& out = out_[node];
    targets.insert(targets.end(), out.targets, out.targets + out.size);
    weights.insert(weights.end(), out.weights, out.weights + out.size);
    for (std::uint32_t i = 0; i < out.size; ++i) types.push_back(out.type(i));
    sums.push_back(out.sum);
    if (targets.size() > std::numeric_limits<std::uint32_t>::max()) {
      return absl::ResourceExhaustedError(
          absl::StrFormat("node %d has more edges than a block can hold", node));
    }
    offsets.push_back(static_cast<std::uint32_t>(targets.size()));
  }
  block.edges = offsets.back();
  const std::uint32_t largest = types.empty() ? 0 : *std::max_element(types.begin(), types.end());
  block.typed = largest > 0;
  ENGRAM_RETURN_IF_ERROR(PutColumn(block, ColumnKind::kEdgeOffset, block.nodes + 1, 4,
                                   BytesOf(offsets.data(), offsets.size())));
  ENGRAM_RETURN_IF_ERROR(PutColumn(block, ColumnKind::kEdgeTarget, block.edges, 4,
                                   BytesOf(targets.data(), targets.size())));
  ENGRAM_RETURN_IF_ERROR(PutColumn(block, ColumnKind::kEdgeWeight, block.edges, 4,
                                   BytesOf(weights.data(), weights.size())));
  if (block.typed) {
    const std::uint32_t bytes = BytesOfType(largest);
    std::string column;
    for (const std::uint32_t type : types) AppendType(type, bytes, &column);
    ENGRAM_RETURN_IF_ERROR(PutColumn(block, ColumnKind::kEdgeType, block.edges, bytes, column));
  }
  ENGRAM_RETURN_IF_ERROR(
      PutColumn(block, ColumnKind::kEdgeSum, block.nodes, 4, BytesOf(sums.data(), sums.size())));
  ENGRAM_RETURN_IF_ERROR(WriteSources(block));
  file_.catalog.blocks.push_back(block);
  return absl::OkStatus();
}

absl::StatusOr<EdgeFile> EdgeFileWriter::Write() {
  if (graph_.edges() == 0) return std::exchange(file_, {});
  TurnAround();
  const rocksdb::Options options(OpenOptions(/*read_only=*/false),
                                 FamilyOptions(Family::kEdges, nullptr));
  // The pages stay cached: these are the very ones that spreading will map.
  writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options,
                                                     /*column_family=*/nullptr,
                                                     /*invalidate_page_cache=*/false);
  file_.path = IngestPath(database_, "edges");
  ENGRAM_RETURN_IF_ERROR(FromRocks(writer_->Open(file_.path), "creating " + file_.path));
  for (std::uint32_t first = 0; first < nodes_;) {
    const std::uint32_t end = EndOfBlock(first);
    ENGRAM_RETURN_IF_ERROR(WriteBlock(first, end));
    first = end;
  }
  ENGRAM_RETURN_IF_ERROR(FromRocks(writer_->Finish(), "finishing " + file_.path));
  writer_.reset();
  return std::exchange(file_, {});
}

}  // namespace engram::storage

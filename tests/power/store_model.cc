#include "tests/power/store_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace engram::power {
namespace {

double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

absl::Status ReadStrengths(const Store& store, const ReadOptions& at, Model& model) {
  std::vector<MemoryId> ids;
  for (const auto& [id, memory] : model.memories) ids.push_back(id);
  if (ids.empty()) return absl::OkStatus();
  RecallOptions options;
  options.seeds.snapshot = at.snapshot;
  options.named = ids;
  options.include_bare = true;
  options.spread.max_hops = 0;
  options.k = static_cast<std::uint32_t>(ids.size());
  options.strength.decay = Decay::kNone;
  const auto found = store.Recall(options, {});
  if (!found.ok()) return found.status();
  if (found->hits.size() != ids.size()) return absl::DataLossError("a recall misses memories");
  for (const Recalled& hit : found->hits) model.memories.at(hit.id).strength = hit.strength;
  return absl::OkStatus();
}

absl::Status ReadEdges(const Store& store, const ReadOptions& at, Model& model) {
  std::size_t in = 0;
  for (const auto& [id, memory] : model.memories) {
    const auto out = store.Neighbors(at, id, Direction::kOut);
    if (!out.ok()) return out.status();
    for (const Edge& edge : *out) {
      if (!model.memories.contains(edge.to)) return absl::DataLossError("an edge to nowhere");
      model.PutEdge(edge);
    }
    const auto back = store.Neighbors(at, id, Direction::kIn);
    if (!back.ok()) return back.status();
    in += back->size();
  }
  if (in != model.edges.size()) return absl::DataLossError("edges out and in differ");
  const auto types = store.EdgeTypes(at);
  if (!types.ok()) return types.status();
  model.types.insert(types->begin(), types->end());
  return absl::OkStatus();
}

void CheckSearch(const Store& store, const Model& model, const std::vector<float>& query) {
  SearchOptions options;
  options.k = 10;
  const auto found = store.Search(options, query);
  ASSERT_TRUE(found.ok()) << found.status();
  std::vector<std::pair<double, MemoryId>> expected;
  for (const auto& [id, memory] : model.memories) {
    if (!memory.vector.empty()) expected.emplace_back(-Cosine(query, memory.vector), id);
  }
  std::sort(expected.begin(), expected.end());
  ASSERT_EQ(found->hits.size(), std::min<std::size_t>(options.k, expected.size()));
  EXPECT_TRUE(found->info.exact);
  for (std::size_t i = 0; i < found->hits.size(); ++i) {
    EXPECT_EQ(found->hits[i].id, expected[i].second) << "rank " << i;
    EXPECT_NEAR(found->hits[i].score, -expected[i].first, 1e-5);
  }
}

}  // namespace

void Model::Put(MemoryId id, const std::vector<float>& vector, const std::string& payload) {
  memories[id].vector = vector;  // keys and strength stay
  memories[id].payload = payload;
}

void Model::SetKey(const std::string& key, MemoryId id) {
  for (auto& [owner, memory] : memories) memory.keys.erase(key);
  memories.at(id).keys.insert(key);
}

void Model::Delete(MemoryId id) {
  memories.erase(id);
  std::erase_if(edges, [id](const auto& edge) {
    return std::get<0>(edge.first) == id || std::get<2>(edge.first) == id;
  });
}

bool Model::Apply(const WriteBatch& batch) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const WriteBatch::Op op = batch.op(i);
    const bool to_needed = op.kind == WriteBatch::OpKind::kPutEdge;
    if (op.kind != WriteBatch::OpKind::kPut && op.kind != WriteBatch::OpKind::kDeleteEdge &&
        !memories.contains(op.id)) {
      return false;
    }
    if (to_needed && !memories.contains(op.to)) return false;
    switch (op.kind) {
      case WriteBatch::OpKind::kPut:
        Put(op.id, {op.vector.begin(), op.vector.end()}, std::string(op.bytes));
        break;
      case WriteBatch::OpKind::kDelete: Delete(op.id); break;
      case WriteBatch::OpKind::kSetKey: SetKey(std::string(op.bytes), op.id); break;
      case WriteBatch::OpKind::kPutEdge:
        PutEdge({.from = op.id, .to = op.to, .weight = op.weight, .type = op.type});
        break;
      case WriteBatch::OpKind::kDeleteEdge: edges.erase({op.id, op.type, op.to}); break;
      case WriteBatch::OpKind::kReinforce: memories.at(op.id).strength += op.weight;
    }
  }
  return true;
}

std::string Model::Summary() const {
  if (!exists) return "no store";
  std::size_t bytes = 0, keys = 0;
  double strengths = 0;
  for (const auto& [id, memory] : memories) {
    bytes += memory.payload.size();
    keys += memory.keys.size();
    strengths += memory.strength;
  }
  return std::to_string(memories.size()) + " memories up to " +
         (memories.empty() ? "none" : std::to_string(memories.rbegin()->first)) + ", " +
         std::to_string(bytes) + " bytes, " + std::to_string(keys) + " keys, " +
         std::to_string(edges.size()) + " edges, " + std::to_string(types.size()) +
         " types, strengths " + std::to_string(strengths);
}

std::vector<float> VectorOf(MemoryId id, unsigned version) {
  std::mt19937 random(static_cast<unsigned>(id * 31 + version));
  std::normal_distribution<float> normal;
  std::vector<float> vector(kDimension);
  for (float& value : vector) value = normal(random);
  return vector;
}

std::string PayloadOf(MemoryId id, unsigned version, std::size_t bytes) {
  std::string payload = "memory " + std::to_string(id) + " as of " + std::to_string(version);
  if (payload.size() < bytes) payload.resize(bytes, static_cast<char>('a' + id % 26));
  return payload;
}

absl::StatusOr<Model> ReadAll(const Store& store, const ReadOptions& at) {
  Model model;
  model.exists = true;
  const auto it = store.NewIterator(at);
  for (; it->Valid(); it->Next()) {
    ModelMemory& memory = model.memories[it->id()];
    memory.vector.assign(it->vector().begin(), it->vector().end());
    memory.payload = it->payload();
    memory.keys.insert(it->keys().begin(), it->keys().end());
    for (const std::string& key : memory.keys) {
      const auto named = store.IdForKey(at, key);
      if (!named.ok()) return named.status();
      if (*named != it->id()) return absl::DataLossError("key " + key + " names another memory");
    }
  }
  if (!it->status().ok()) return it->status();
  absl::Status status = ReadStrengths(store, at, model);
  if (status.ok()) status = ReadEdges(store, at, model);
  if (!status.ok()) return status;
  return model;
}

void CheckAnswers(const Store& store, const Model& model) {
  for (const MemoryId id : {1, 100, 777}) CheckSearch(store, model, VectorOf(id));
  const auto report = store.Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
  EXPECT_EQ(report->dangling_edges, 0u);
  EXPECT_EQ(report->edges, model.edges.size());
  EXPECT_EQ(report->memories, model.memories.size());
  EXPECT_EQ(store.Stats().memories, model.memories.size());
}

}  // namespace engram::power

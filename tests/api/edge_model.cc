#include "tests/api/edge_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace engram::testing {
namespace {

constexpr std::uint32_t kTypes[] = {0, 1, 7, 300, 70000};
constexpr double kSteps = 1048576.0;

}  // namespace

void ModelState::Put(MemoryId id, const std::vector<float>& vector, std::int64_t now) {
  Memory& memory = memories[id];
  memory.vector = vector;
  memory.put_at = now;
}

void ModelState::Delete(MemoryId id) {
  memories.erase(id);
  std::erase_if(edges, [&](const auto& edge) {
    return std::get<0>(edge.first) == id || std::get<2>(edge.first) == id;
  });
}

void ModelState::Reinforce(MemoryId id, float amount, std::int64_t now) {
  Memory& memory = memories.at(id);
  memory.added += static_cast<std::uint64_t>(std::llround(double{amount} * kSteps));
  memory.reinforced_at = std::max(memory.reinforced_at.value_or(now), now);
}

void ModelState::SetKey(const std::string& key, MemoryId id) {
  for (auto& [owner, memory] : memories) memory.keys.erase(key);
  memories.at(id).keys.insert(key);
}

double ModelState::StrengthOf(MemoryId id, const StrengthOptions& options) const {
  const Memory& memory = memories.at(id);
  const double value =
      std::min(1.0 + static_cast<double>(memory.added) / kSteps, double{kMaxStrength});
  const std::int64_t used = std::max(memory.put_at, memory.reinforced_at.value_or(memory.put_at));
  const double age = std::max(0.0, static_cast<double>(*options.now_unix_seconds - used));
  if (options.decay == Decay::kHalfLife) return value * std::exp2(-age / options.half_life_seconds);
  if (options.decay == Decay::kNone) return value;
  return value * std::pow(1.0 + age / options.half_life_seconds, -options.power_law_exponent);
}

std::map<MemoryId, PlainMemory> ModelState::PlainMemories(const StrengthOptions& options) const {
  std::map<MemoryId, PlainMemory> plain;
  for (const auto& [id, memory] : memories) {
    plain[id] = {.vector = memory.vector, .strength = StrengthOf(id, options)};
  }
  return plain;
}

std::vector<float> EdgeModelWriter::Vector() {
  std::normal_distribution<float> normal;
  std::vector<float> vector(kEdgeModelDimension);
  for (float& value : vector) value = normal(random_);
  return vector;
}

Edge EdgeModelWriter::RandomEdge() {
  const MemoryId hub = Random(4) == 0 ? 3 : Random(kEdgeModelIds);
  Edge edge{.from = Random(kEdgeModelIds), .to = hub, .type = kTypes[Random(5)]};
  if (Random(8) == 0) std::swap(edge.from, edge.to);
  if (Random(12) == 0) edge.to = edge.from;
  edge.weight = Random(10) == 0 ? 0.0f : static_cast<float>(1 + Random(1000)) / 500.0f;
  return edge;
}

MemoryId EdgeModelWriter::Pick(const ModelState& model) {
  const auto it = model.memories.lower_bound(Random(kEdgeModelIds));
  return it == model.memories.end() ? model.memories.begin()->first : it->first;
}

void EdgeModelWriter::PutEdge(Edge& edge, ModelState& next, bool create_missing, std::int64_t now) {
  for (MemoryId* end : {&edge.from, &edge.to}) {
    if (next.memories.contains(*end)) continue;
    if (create_missing) {
      next.Put(*end, {}, now);
    } else {
      *end = Pick(next);
    }
  }
  next.edges[{edge.from, edge.type, edge.to}] = edge.weight;
}

void EdgeModelWriter::AddChange(WriteBatch& batch, ModelState& next, bool create_missing) {
  const std::uint64_t kind = next.memories.empty() ? 0 : Random(20);
  if (kind < 4) {
    const MemoryId id = Random(kEdgeModelIds);
    const std::vector<float> vector = Random(4) == 0 ? std::vector<float>() : Vector();
    batch.Put(id, vector, "payload");
    next.Put(id, vector, now_);
  } else if (kind == 4) {
    const MemoryId id = Pick(next);
    batch.Delete(id);
    next.Delete(id);
  } else if (kind == 5) {
    const std::string key = "Name " + std::to_string(Random(20));
    const MemoryId id = Pick(next);
    batch.SetKey(key, id);
    next.SetKey(key, id);
  } else if (kind == 6) {
    const MemoryId id = Pick(next);
    const float amount = Random(20) == 0 ? kMaxStrength : static_cast<float>(1 + Random(64)) / 16;
    batch.Reinforce(id, amount);
    next.Reinforce(id, amount, now_);
  } else if (kind < 10) {
    Edge edge = RandomEdge();
    if (Random(2) == 0 && !next.edges.empty()) {
      auto it = next.edges.lower_bound({edge.from, edge.type, edge.to});
      if (it == next.edges.end()) it = next.edges.begin();
      std::tie(edge.from, edge.type, edge.to) = it->first;
    }
    batch.DeleteEdge(edge.from, edge.to, edge.type);
    next.edges.erase({edge.from, edge.type, edge.to});
  } else {
    Edge edge = RandomEdge();
    PutEdge(edge, next, create_missing, now_);
    batch.PutEdge(edge);
  }
}

void EdgeModelWriter::WriteBatchOfAll(Store& store, ModelState& model) {
  now_ += static_cast<std::int64_t>(Random(50));
  WriteBatch batch;
  ModelState next = model;
  WriteOptions options;
  options.durability = static_cast<Durability>(Random(3));
  options.create_missing = Random(4) == 0;
  options.now_unix_seconds = now_;
  for (std::uint64_t i = Random(40); i > 0; --i) AddChange(batch, next, options.create_missing);
  const bool fails = Random(6) == 0;
  if (fails) batch.Delete(100000);
  const absl::Status status = store.Write(options, batch);
  EXPECT_EQ(status.ok(), !fails) << status;
  if (!fails) model = std::move(next);
}

void EdgeModelWriter::LinkSome(Store& store, ModelState& model) {
  if (model.memories.empty()) return;
  LinkOptions options;
  options.create_missing = Random(3) == 0;
  ModelState next = model;
  const std::uint64_t count = Random(30), missing = Random(4) == 0 ? count / 2 : count;
  const bool fails = !options.create_missing && missing < count;
  std::uint64_t at = 0;
  const auto report = store.Link(options, [&](Edge* edge) -> absl::StatusOr<bool> {
    if (at == count) return false;
    *edge = RandomEdge();
    // Link() takes the system's clock, at which nothing of this model has aged.
    constexpr std::int64_t kLater = std::numeric_limits<std::int64_t>::max() / 4;
    PutEdge(*edge, next, options.create_missing, kLater);
    if (at++ == missing && fails) edge->to = 100000;
    return true;
  });
  ASSERT_EQ(report.ok(), !fails) << report.status();
  if (fails) return;
  EXPECT_EQ(report->edges, count);
  EXPECT_EQ(report->created, next.memories.size() - model.memories.size());
  model = std::move(next);
}

void EdgeModelWriter::ForgetSome(Store& store, ModelState& model) {
  ForgetOptions options;
  options.strength.decay = static_cast<Decay>(Random(3));
  options.strength.half_life_seconds = 200.0;
  options.strength.now_unix_seconds = now_ + static_cast<std::int64_t>(Random(100));
  options.strength_below = static_cast<float>(Random(100)) / 200.0f;
  std::vector<MemoryId> faded;
  for (const auto& [id, memory] : model.memories) {
    const double strength = model.StrengthOf(id, options.strength);
    // No rounding decides: at a bound that is met, all of it is moved below.
    if (std::abs(strength - options.strength_below) < 1e-5) options.strength_below -= 1e-4f;
  }
  for (const auto& [id, memory] : model.memories) {
    if (model.StrengthOf(id, options.strength) < options.strength_below) faded.push_back(id);
  }
  const auto counted = store.Forget(options);
  ASSERT_TRUE(counted.ok()) << counted.status();
  EXPECT_EQ(counted->forgotten, faded.size());
  EXPECT_EQ(counted->memories, model.memories.size());
  EXPECT_EQ(store.Stats().memories, model.memories.size());
  if (faded.size() > model.memories.size() / 3) return;  // or little would be left to test
  options.dry_run = false;
  const auto report = store.Forget(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->forgotten, faded.size());
  for (const MemoryId id : faded) model.Delete(id);
}

}  // namespace engram::testing

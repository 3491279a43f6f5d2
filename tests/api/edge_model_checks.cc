// The half of edge_model.h that compares.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/api/edge_model.h"

namespace engram::testing {
namespace {

// Closer than this to a line, rounding may fall on the other side.
constexpr double kMargin = 1e-4;

void CheckNeighbors(const Store& store, const ReadOptions& options, const ModelState& model) {
  std::map<MemoryId, std::vector<Edge>> out, in;
  for (const auto& [edge, weight] : model.edges) {
    const auto& [from, type, to] = edge;
    out[from].push_back({.from = from, .to = to, .weight = weight, .type = type});
    in[to].push_back({.from = from, .to = to, .weight = weight, .type = type});
  }
  for (auto& [to, edges] : in) {
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
      return std::pair(a.type, a.from) < std::pair(b.type, b.from);
    });
  }
  for (MemoryId id = 0; id < kEdgeModelIds; ++id) {
    for (const Direction direction : {Direction::kOut, Direction::kIn}) {
      const auto found = store.Neighbors(options, id, direction);
      ASSERT_EQ(found.ok(), model.memories.contains(id)) << found.status();
      if (!found.ok()) continue;
      const auto& expected = direction == Direction::kOut ? out[id] : in[id];
      ASSERT_EQ(found->size(), expected.size())
          << "id " << id << (direction == Direction::kOut ? " out" : " in");
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ((*found)[i].from, expected[i].from);
        EXPECT_EQ((*found)[i].to, expected[i].to);
        EXPECT_EQ((*found)[i].type, expected[i].type);
        EXPECT_EQ((*found)[i].weight, expected[i].weight);
      }
    }
  }
}

void CheckStrengths(const Store& store, const ReadOptions& options, const ModelState& model,
                    std::int64_t now) {
  RecallOptions recall;
  recall.seeds.snapshot = options.snapshot;
  recall.spread.max_hops = 0;
  recall.include_bare = true;
  recall.k = 1000;
  recall.strength.now_unix_seconds = now + 100;
  recall.strength.half_life_seconds = 300;
  std::vector<MemoryId> all;
  for (const auto& [id, memory] : model.memories) all.push_back(id);
  recall.named = all;
  for (const Decay decay : {Decay::kNone, Decay::kHalfLife, Decay::kPowerLaw}) {
    recall.strength.decay = decay;
    const auto found = store.Recall(recall, {});
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->hits.size(), all.size());
    for (const Recalled& hit : found->hits) {
      const double expected = model.StrengthOf(hit.id, recall.strength);
      EXPECT_NEAR(hit.strength, expected, 1e-6 * expected) << "id " << hit.id;
    }
  }
}

void CheckNames(const Store& store, const ReadOptions& options, const ModelState& model) {
  std::map<std::string, MemoryId> owners;
  for (const auto& [id, memory] : model.memories) {
    for (const std::string& key : memory.keys) owners[key] = id;
  }
  std::string text;
  std::vector<std::pair<std::string, MemoryId>> expected;
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    text += "Of NAME " + number + "'s and nameless, ";
    const auto owner = owners.find("Name " + number);
    if (owner != owners.end()) expected.emplace_back(owner->first, owner->second);
  }
  const auto found = store.FindNamed(options, text);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((*found)[i].key, expected[i].first);
    EXPECT_EQ((*found)[i].id, expected[i].second);
    EXPECT_EQ(text.substr((*found)[i].begin, 5), "NAME ");
  }
}

SpreadOptions RandomSpread(EdgeModelWriter& random) {
  static constexpr std::uint32_t kSomeTypes[] = {7, 0, 70000};
  SpreadOptions options;
  options.max_hops = static_cast<std::uint32_t>(random.Random(8));
  options.restart = random.Random(3) == 0 ? 0.0f : static_cast<float>(random.Random(11)) / 10.0f;
  options.hop_decay = static_cast<float>(random.Random(11)) / 10.0f;
  options.normalisation = static_cast<Normalisation>(random.Random(3));
  if (random.Random(3) == 0) options.edge_types = {kSomeTypes, 1 + random.Random(3)};
  if (random.Random(2) == 0) options.threshold = 0.0f;
  if (random.Random(4) == 0) options.max_active = 1 + static_cast<std::uint32_t>(random.Random(30));
  options.explain = true;
  return options;
}

// Each edge must be there, and what it leads to be reached in the first step in which its
// source passed something on.
void CheckPath(const Recalled& memory, const ModelState& model, const PlainSpread& plain) {
  if (memory.path.empty()) {
    EXPECT_FALSE(plain.hops.contains(memory.id)) << "id " << memory.id;
    return;
  }
  EXPECT_EQ(memory.path.back().id, memory.id);
  EXPECT_EQ(plain.hops.at(memory.path[0].id), 0u);
  for (std::size_t i = 1; i < memory.path.size(); ++i) {
    const PathStep &from = memory.path[i - 1], &to = memory.path[i];
    EXPECT_EQ(plain.first_passed.at(from.id), plain.hops.at(to.id));
    const auto edge = model.edges.find({from.id, to.type, to.id});
    ASSERT_NE(edge, model.edges.end());
    EXPECT_EQ(edge->second, to.weight);
  }
}

void CheckVia(const Recalled& memory, const PlainSpread& plain) {
  const auto gifts = plain.gifts.find(memory.id);
  double most = 0.0;
  if (gifts != plain.gifts.end()) {
    for (const auto& [source, gift] : gifts->second) most = std::max(most, gift);
  }
  if (most > 0.0) {
    ASSERT_TRUE(gifts->second.contains(memory.via)) << memory.id << " via " << memory.via;
    EXPECT_NEAR(gifts->second.at(memory.via), most, 1e-4 * most);
  } else {
    EXPECT_EQ(memory.via, memory.id);
  }
}

}  // namespace

void CheckEdgeState(const Store& store, const ReadOptions& options, const ModelState& model,
                    std::int64_t now) {
  CheckNeighbors(store, options, model);
  if (!model.memories.empty()) CheckStrengths(store, options, model, now);
  CheckNames(store, options, model);
}

void CheckSpread(const Store& store, const ReadOptions& read, const ModelState& model,
                 EdgeModelWriter& random) {
  if (model.memories.empty()) return;
  SpreadOptions options = RandomSpread(random);
  options.snapshot = read.snapshot;
  std::vector<Seed> seeds;
  std::vector<std::pair<MemoryId, double>> plain_seeds;
  for (std::uint64_t i = random.Random(5); i > 0; --i) {
    auto it = model.memories.lower_bound(random.Random(kEdgeModelIds));
    if (it == model.memories.end()) it = model.memories.begin();
    seeds.push_back({it->first, static_cast<float>(random.Random(5))});
    plain_seeds.emplace_back(seeds.back().id, double{seeds.back().activation});
  }
  PlainSpread plain = SpreadPlainly(model.edges, options, plain_seeds);
  while (plain.margin < kMargin) {  // a line that nothing comes near
    options.threshold = options.threshold * 1.1f + 1e-3f;
    options.max_active = 100000;
    plain = SpreadPlainly(model.edges, options, plain_seeds);
  }
  const auto found = store.Spread(options, seeds);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->info.steps, plain.steps);
  EXPECT_EQ(found->info.edges_followed, plain.edges_followed);
  EXPECT_EQ(found->info.memories, plain.activation.size());
  ASSERT_EQ(found->memories.size(), plain.activation.size());
  const double bound = SpreadBound(model.edges, plain.steps);
  float before = std::numeric_limits<float>::infinity();
  for (const Recalled& memory : found->memories) {
    ASSERT_TRUE(plain.activation.contains(memory.id)) << memory.id;
    const double expected = plain.activation.at(memory.id);
    EXPECT_NEAR(memory.activation, expected, bound * expected) << memory.id;
    EXPECT_LE(memory.activation, before);
    before = memory.activation;
    EXPECT_EQ(memory.hops, plain.hops.at(memory.id)) << memory.id;
    CheckVia(memory, plain);
    CheckPath(memory, model, plain);
  }
}

void CheckRecall(const Store& store, const ReadOptions& read, const ModelState& model,
                 Metric metric, EdgeModelWriter& random) {
  if (model.memories.empty()) return;
  RecallOptions options;
  options.spread = RandomSpread(random);
  // Without one of these activations grow without bound, and the tolerance below with them.
  if (options.spread.normalisation == Normalisation::kNone) options.spread.restart = 0.0f;
  options.seeds.snapshot = read.snapshot;
  options.seeds.k = 1 + static_cast<std::uint32_t>(random.Random(6));
  options.seed_sharpness = static_cast<float>(random.Random(5));
  options.k = 1 + static_cast<std::uint32_t>(random.Random(20));
  options.include_bare = random.Random(3) == 0;
  options.activation_weight = static_cast<float>(random.Random(5)) - 1.0f;
  if (random.Random(3) == 0) options.strength_weight = random.Random(2) == 0 ? 0.5f : -0.25f;
  options.strength.now_unix_seconds = random.now() + 60;
  options.strength.half_life_seconds = 500;
  std::vector<MemoryId> named;
  for (std::uint64_t i = random.Random(4); i > 0; --i) {
    const auto it = model.memories.lower_bound(random.Random(kEdgeModelIds));
    if (it != model.memories.end()) named.push_back(it->first);
  }
  options.named = named;
  const std::vector<float> cue = random.Random(4) == 0 ? std::vector<float>() : random.Vector();
  const auto memories = model.PlainMemories(options.strength);
  PlainRecall plain = RecallPlainly(memories, model.edges, metric, options, cue);
  for (int i = 0; plain.margin < kMargin; ++i) {
    ASSERT_LT(i, 100);
    options.spread.threshold = options.spread.threshold * 1.1f + 1e-3f;
    options.spread.max_active = 100000;
    options.seeds.k += i % 2;
    options.k += (i + 1) % 2;
    plain = RecallPlainly(memories, model.edges, metric, options, cue);
  }
  const auto found = store.Recall(options, cue);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), std::min<std::size_t>(options.k, plain.hits.size()));
  std::map<MemoryId, PlainHit> by_id;
  for (const PlainHit& hit : plain.hits) by_id[hit.id] = hit;
  for (std::size_t i = 0; i < found->hits.size(); ++i) {
    const Recalled& hit = found->hits[i];
    ASSERT_TRUE(by_id.contains(hit.id)) << hit.id;
    const PlainHit& expected = by_id[hit.id];
    const double near = 1e-4 * (4.0 + std::abs(expected.score));
    EXPECT_NEAR(hit.score, expected.score, near) << "rank " << i << ", id " << hit.id;
    EXPECT_NEAR(hit.score, plain.hits[i].score, near) << "rank " << i;
    EXPECT_EQ(std::isnan(hit.similarity), std::isnan(expected.similarity));
    if (!std::isnan(hit.similarity)) {
      EXPECT_NEAR(hit.similarity, expected.similarity, 1e-4);
    }
    EXPECT_NEAR(hit.activation, expected.activation, 1e-4 * (1.0 + expected.activation));
    if (!memories.at(hit.id).vector.empty()) {
      EXPECT_LE(hit.activation, 1.0f);
    }
    EXPECT_NEAR(hit.strength, expected.strength, 1e-6 * expected.strength);
    CheckPath(hit, model, plain.spread);
  }
}

namespace {

void AppendBits(const Recalled& memory, std::string& bits) {
  const auto add = [&](auto value) {
    bits.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  add(memory.id);
  add(std::bit_cast<std::uint32_t>(memory.score));
  add(std::bit_cast<std::uint32_t>(memory.similarity));
  add(std::bit_cast<std::uint32_t>(memory.activation));
  add(std::bit_cast<std::uint32_t>(memory.strength));
  add(memory.hops);
  add(memory.via);
  for (const PathStep& step : memory.path) {
    add(step.id);
    add(step.weight);
    add(step.type);
  }
}

}  // namespace

std::string AnswerBits(const Store& store, const ReadOptions& read, const ModelState& model) {
  EdgeModelWriter random(static_cast<unsigned>(model.edges.size()));
  std::string bits;
  for (int i = 0; i < 6; ++i) {
    RecallOptions options;
    options.spread = RandomSpread(random);
    options.spread.snapshot = options.seeds.snapshot = read.snapshot;
    options.include_bare = i % 2 == 0;
    options.k = 20;
    options.strength.now_unix_seconds = 5000;
    std::vector<Seed> seeds;
    std::vector<MemoryId> named;
    for (const auto& [id, memory] : model.memories) {
      if (id % 9 == static_cast<MemoryId>(i)) seeds.push_back({.id = id});
      if (id % 17 == static_cast<MemoryId>(i)) named.push_back(id);
    }
    options.named = named;
    const auto spread = store.Spread(options.spread, seeds);
    const auto recall = store.Recall(options, random.Vector());
    EXPECT_TRUE(spread.ok() && recall.ok()) << spread.status() << recall.status();
    if (!spread.ok() || !recall.ok()) return bits;
    for (const Recalled& memory : spread->memories) AppendBits(memory, bits);
    for (const Recalled& memory : recall->hits) AppendBits(memory, bits);
    bits += std::to_string(spread->info.edges_followed) + " ";
  }
  return bits;
}

}  // namespace engram::testing

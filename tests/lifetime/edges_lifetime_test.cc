// Readers hold graphs, snapshots and their answers while edges are sealed, compacted and
// dropped under them, and read every byte again and again. Meant for the builds with
// sanitizers. ENGRAM_LIFETIME_ROUNDS=5000 makes it long.
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cstdio>
#include <deque>
#include <random>
#include <thread>

#include "engram/engram.h"
#include "storage/store_files.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr MemoryId kIds = 300;
constexpr unsigned kSeed = 61;

std::uint64_t Rounds() { return testing::FromEnvironment("ENGRAM_LIFETIME_ROUNDS", 150); }

// Not fatal: readers are to be joined first.
void Expect(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

// Every edge proves itself: its weight follows from its ends and type.
float WeightOf(std::uint64_t from, std::uint32_t type, std::uint64_t to) {
  return static_cast<float>((from * 31 + type * 17 + to * 7) % 251) + 1.0f;
}

// Reads all edges of a graph where they lie. Returns: a hash of them.
std::uint64_t ReadGraph(const storage::View& view, const storage::EdgeGraph& graph) {
  std::uint64_t hash = 0, edges = 0;
  for (std::uint32_t node = 0; node < view.commit().next_node; ++node) {
    const storage::EdgeSpan out = graph.Out(node);
    edges += out.size;
    for (std::uint32_t i = 0; i < out.size; ++i) {
      // Nodes are given in the order of ids here, so that they are the ids.
      EXPECT_EQ(out.weights[i], WeightOf(node, out.type(i), out.targets[i]));
      hash = hash * 1099511628211u + out.targets[i] * 31 + out.type(i);
    }
    for (const std::uint32_t source : graph.Sources(node)) hash = hash * 1099511628211u + source;
  }
  EXPECT_EQ(edges, graph.edges());
  return hash;
}

TEST(EdgesLifetime, GraphsKeepEveryByteWhileColumnsComeAndGo) {
  std::printf("seed %u\n", kSeed);
  testing::TempDir dir;
  storage::FilesOptions options;
  options.dimension = 4;
  options.create_if_missing = true;
  auto files = storage::StoreFiles::Open(options, dir / "s");
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<storage::Change> all;
  for (MemoryId id = 0; id < kIds; ++id) all.emplace_back().id = id;
  ASSERT_TRUE((*files)->Write({}, all).ok());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> checked{0};
  struct Held {
    std::shared_ptr<const storage::View> view;
    std::shared_ptr<const storage::EdgeGraph> graph;
    std::uint64_t hash = 0;
  };
  const auto read = [&](std::size_t held_at_once) {
    std::deque<Held> held;
    while (!stop && !::testing::Test::HasFailure()) {
      Held now{.view = (*files)->CurrentView(), .graph = nullptr};
      const auto graph = now.view->Edges(/*verify=*/true);
      ASSERT_TRUE(graph.ok()) << graph.status();
      now.graph = *graph;
      now.hash = ReadGraph(*now.view, *now.graph);
      held.push_back(std::move(now));
      if (held.size() > held_at_once) held.pop_front();
      for (const Held& one : held) {  // the oldest has seen many columns go
        ASSERT_EQ(ReadGraph(*one.view, *one.graph), one.hash);
        ++checked;
      }
    }
  };
  std::thread few(read, 1), many(read, 8);
  std::mt19937_64 random(kSeed);
  for (std::uint64_t round = 0; round < Rounds() && !::testing::Test::HasFailure(); ++round) {
    std::vector<storage::Change> changes;
    for (int i = 0; i < 60; ++i) {
      storage::Change& change = changes.emplace_back();
      change.id = random() % kIds;
      const std::uint64_t kind = random() % 12;
      change.kind = kind == 0   ? storage::Change::Kind::kDelete
                    : kind == 1 ? storage::Change::Kind::kDeleteEdge
                                : storage::Change::Kind::kPutEdge;
      change.to = random() % kIds;
      change.type = static_cast<std::uint32_t>(random() % 3 * 200);
      change.weight = WeightOf(change.id, change.type, change.to);
      if (kind != 0) continue;
      const MemoryId deleted = change.id;
      changes.emplace_back().id = deleted;  // and put again
    }
    Expect((*files)->Write({.durability = storage::Durability::kNone}, changes));
    if (round % 2 == 1) Expect((*files)->Seal());
    if (round % 5 == 4) Expect((*files)->Compact(0.0, nullptr));
  }
  stop = true;
  few.join();
  many.join();
  EXPECT_GT(checked, 10u);
  const auto last = (*files)->CurrentView();
  const auto graph = last->Edges(true);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const std::uint64_t hash = ReadGraph(*last, **graph);
  EXPECT_TRUE((*files)->Close().ok());
  files->reset();
  EXPECT_EQ(ReadGraph(*last, **graph), hash);  // a view outlives its store
}

std::string BitsOf(const std::vector<Recalled>& memories) {
  std::string bits;
  for (const Recalled& memory : memories) {
    bits += std::to_string(memory.id) + " " +
            std::to_string(std::bit_cast<std::uint32_t>(memory.score)) + " " +
            std::to_string(memory.via) + " " + std::to_string(memory.path.size()) + "\n";
  }
  return bits;
}

// Spreads and recalls in one snapshot.
std::string Answers(const Store& store, std::shared_ptr<const Snapshot> snapshot) {
  SpreadOptions spread;
  spread.snapshot = snapshot;
  spread.explain = true;
  const Seed seeds[] = {{.id = kIds}, {.id = kIds + 1, .activation = 2}};
  RecallOptions recall;
  recall.seeds.snapshot = std::move(snapshot);
  recall.spread.explain = true;
  recall.strength.now_unix_seconds = 0;
  const auto spread_to = store.Spread(spread, seeds);
  const auto recalled = store.Recall(recall, std::vector<float>{1, 2, 3, 4});
  EXPECT_TRUE(spread_to.ok()) << spread_to.status();
  EXPECT_TRUE(recalled.ok()) << recalled.status();
  if (!spread_to.ok() || !recalled.ok()) return "";
  return BitsOf(spread_to->memories) + BitsOf(recalled->hits);
}

TEST(EdgesLifetime, SnapshotsAnswerTheSameWhileColumnsComeAndGo) {
  std::printf("seed %u\n", kSeed);
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = 4;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  auto store = Store::Open(options, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Put({}, kIds, std::vector<float>{1, 1, 1, 1}).ok());
  ASSERT_TRUE((*store)->Put({}, kIds + 1, std::vector<float>{1, 1, 1, 2}).ok());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> checked{0};
  const auto read = [&](std::size_t held_at_once) {
    std::deque<std::pair<std::shared_ptr<const Snapshot>, std::string>> held;
    while (!stop && !::testing::Test::HasFailure()) {
      auto snapshot = (*store)->GetSnapshot();
      std::string answers = Answers(**store, snapshot);
      held.emplace_back(std::move(snapshot), std::move(answers));
      if (held.size() > held_at_once) held.pop_front();
      for (const auto& [then, answer] : held) {
        ASSERT_EQ(Answers(**store, then), answer);
        ++checked;
      }
    }
  };
  std::thread few(read, 1), many(read, 8);
  std::mt19937_64 random(kSeed);
  for (std::uint64_t round = 0; round < Rounds() && !::testing::Test::HasFailure(); ++round) {
    WriteBatch batch;
    for (int i = 0; i < 40; ++i) {
      const MemoryId id = random() % kIds;
      batch.Put(id, std::vector<float>{1, static_cast<float>(random() % 9), 2, 3});
      if (random() % 3 == 0) batch.Delete(id);
    }
    for (int i = 0; i < 60; ++i) {
      const MemoryId from = random() % 5 == 0 ? kIds + random() % 2 : random() % kIds;
      batch.PutEdge({.from = from, .to = random() % kIds, .type = static_cast<uint32_t>(i % 3)});
    }
    WriteOptions quick;
    quick.durability = Durability::kNone;
    quick.create_missing = true;
    Expect((*store)->Write(quick, batch));
    if (round % 2 == 1) Expect((*store)->Seal());
    if (round % 5 == 4) Expect((*store)->Compact({}));
  }
  stop = true;
  few.join();
  many.join();
  EXPECT_GT(checked, 10u);
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
}

// Opens for reading and moves on with Refresh() while another seals and compacts.
TEST(EdgesLifetime, ReadersBesideAWriterSeeWholeStates) {
  std::printf("seed %u\n", kSeed);
  testing::TempDir dir;
  const std::string path = dir / "s";
  StoreOptions options;
  options.dimension = 4;
  options.create_if_missing = true;
  auto store = Store::Open(options, path);
  ASSERT_TRUE(store.ok()) << store.status();
  WriteBatch first;
  for (MemoryId id = 0; id < kIds + 2; ++id) first.Put(id, std::vector<float>{1, 2, 3, 4});
  ASSERT_TRUE((*store)->Write({}, first).ok());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> checked{0};
  const auto read = [&](bool refresh) {
    StoreOptions read_only;
    read_only.read_only = true;
    std::unique_ptr<Store> reader;
    while (!stop && !::testing::Test::HasFailure()) {
      if (reader == nullptr || !refresh) {
        reader.reset();
        auto opened = Store::Open(read_only, path);
        ASSERT_TRUE(opened.ok()) << opened.status();
        reader = *std::move(opened);
      } else {
        const absl::Status moved = reader->Refresh();
        ASSERT_TRUE(moved.ok()) << moved;
      }
      EXPECT_FALSE(Answers(*reader, nullptr).empty());
      const auto report = reader->Verify({});
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_TRUE(report->findings.empty()) << report->findings[0];
      // Each batch moves one edge from one memory to the next: there is one, always.
      std::size_t movers = 0;
      const auto in = reader->Neighbors({}, kIds, Direction::kIn);
      ASSERT_TRUE(in.ok()) << in.status();
      for (const Edge& edge : *in) movers += edge.type == 9;
      EXPECT_LE(movers, 1u);
      EXPECT_TRUE(movers == 1 || report->edges == 0) << report->edges;
      ++checked;
    }
  };
  std::thread opens(read, false), refreshes(read, true);
  std::mt19937_64 random(kSeed);
  // On a machine that is busy, or with a sanitizer, until there was something to be read beside.
  const auto is_enough = [&](std::uint64_t round) { return round >= Rounds() && checked > 4; };
  for (std::uint64_t round = 0; !is_enough(round) && !::testing::Test::HasFailure(); ++round) {
    WriteBatch batch;
    if (round > 0) batch.DeleteEdge((round - 1) % kIds, kIds, 9);
    batch.PutEdge({.from = round % kIds, .to = kIds, .type = 9});
    for (int i = 0; i < 60; ++i) batch.PutEdge({.from = random() % kIds, .to = random() % kIds});
    Expect((*store)->Write({}, batch));
    if (round % 2 == 1) Expect((*store)->Seal());
    if (round % 5 == 4) Expect((*store)->Compact({}));
  }
  stop = true;
  opens.join();
  refreshes.join();
  EXPECT_GT(checked, 4u);
}

}  // namespace
}  // namespace engram

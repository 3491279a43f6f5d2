// Graphs that are made from one another against graphs made from nothing: the same lists, whatever
// was asked for before, by how many threads, and whatever older graph is still held.
#include "storage/edge_graph.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <string>
#include <thread>

#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

constexpr std::uint32_t kNodes = 3000;

class EdgeGraphsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = Database::Open({.create_if_missing = true}, dir_ / "d");
    ASSERT_TRUE(database.ok()) << database.status();
    auto base = MappedEdges::Map(*std::move(database), EdgeCatalog{}, kNodes, nullptr);
    ASSERT_TRUE(base.ok()) << base.status();
    base_ = *std::move(base);
    log_.Reset(0);
  }

  void AppendRandom(std::mt19937& random, int count) {
    for (int i = 0; i < count; ++i) {
      const auto below = [&](std::uint32_t end) {
        return static_cast<std::uint32_t>(random() % end);
      };
      const std::uint32_t kind = below(40);
      EdgeEvent event;
      event.kind = kind == 0  ? EdgeEvent::Kind::kForget
                   : kind < 8 ? EdgeEvent::Kind::kDelete
                              : EdgeEvent::Kind::kPut;
      event.from = below(below(5) == 0 ? 7 : kNodes);
      event.to = event.kind == EdgeEvent::Kind::kForget ? event.from : below(60);
      event.type = below(3);
      event.weight = static_cast<float>(below(100));
      log_.Append(event);
    }
  }

  std::shared_ptr<const EdgeGraph> Get(EdgeGraphs& graphs, const EdgeLogView& log) const {
    const auto graph = graphs.Get(base_, log, /*verify=*/true);
    EXPECT_TRUE(graph.ok()) << graph.status();
    return graph.ok() ? *graph : nullptr;
  }

  static std::string All(const EdgeGraph& graph) {
    std::string all = std::to_string(graph.edges()) + "\n";
    for (std::uint32_t node = 0; node < kNodes; ++node) {
      const EdgeSpan out = graph.Out(node);
      for (std::uint32_t i = 0; i < out.size; ++i) {
        all += std::to_string(node) + " " + std::to_string(out.type(i)) + " " +
               std::to_string(out.targets[i]) + " " + std::to_string(out.weights[i]) + "\n";
      }
      for (const std::uint32_t source : graph.Sources(node)) all += std::to_string(source) + ",";
    }
    return all;
  }
  std::string FromNothing(const EdgeLogView& log) const {
    EdgeGraphs fresh;
    return All(*Get(fresh, log));
  }

  testing::TempDir dir_;
  std::shared_ptr<const MappedEdges> base_;
  EdgeLog log_;
};

TEST_F(EdgeGraphsTest, OlderViewsStartFromWhatIsKept) {
  std::mt19937 random(5);
  std::vector<EdgeLogView> views;
  for (int i = 0; i < 8; ++i) {
    AppendRandom(random, i == 0 ? 5000 : 10);
    views.push_back(log_.View());
  }
  AppendRandom(random, 5000);
  EdgeGraphs graphs;
  Get(graphs, log_.View());
  EXPECT_EQ(graphs.applied(), log_.end());
  Get(graphs, views[0]);
  EXPECT_EQ(graphs.applied(), log_.end() + 5000);
  // Each of the others lacks 10 events of the one before, and asking again nothing.
  for (std::size_t i = 1; i < views.size(); ++i) {
    for (int again = 0; again < 2; ++again) Get(graphs, views[i]);
    EXPECT_EQ(graphs.applied(), log_.end() + 5000 + 10 * i);
  }
  Get(graphs, log_.View());
  EXPECT_EQ(graphs.applied(), log_.end() + 5000 + 70);
}

TEST_F(EdgeGraphsTest, ListsAreThoseOfAGraphMadeFromNothing) {
  constexpr unsigned kSeed = 11;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  std::vector<EdgeLogView> views;
  std::vector<std::string> expected;
  for (int i = 0; i < 30; ++i) {
    AppendRandom(random, 1 + static_cast<int>(random() % 400));
    views.push_back(log_.View());
    expected.push_back(FromNothing(views.back()));
  }
  EdgeGraphs graphs;
  std::vector<std::pair<std::size_t, std::shared_ptr<const EdgeGraph>>> held;
  for (int i = 0; i < 60; ++i) {
    const std::size_t at = random() % views.size();
    auto graph = Get(graphs, views[at]);
    ASSERT_EQ(All(*graph), expected[at]);
    if (random() % 4 == 0) held.emplace_back(at, std::move(graph));
  }
  for (const auto& [at, graph] : held) EXPECT_EQ(All(*graph), expected[at]);
}

TEST_F(EdgeGraphsTest, ThreadsThatAskForDifferentViewsGetTheirs) {
  std::mt19937 random(13);
  std::vector<EdgeLogView> views;
  std::vector<std::string> expected;
  for (int i = 0; i < 12; ++i) {
    AppendRandom(random, 200);
    views.push_back(log_.View());
    expected.push_back(FromNothing(views.back()));
  }
  EdgeGraphs graphs;
  const auto read = [&](unsigned seed) {
    std::mt19937 mine(seed);
    for (int i = 0; i < 40; ++i) {
      const std::size_t at = mine() % views.size();
      EXPECT_EQ(All(*Get(graphs, views[at])), expected[at]);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) threads.emplace_back(read, seed);
  for (std::thread& thread : threads) thread.join();
}

TEST_F(EdgeGraphsTest, WhatGraphsHoldIsCountedAsLongAsSomeoneHasIt) {
  std::mt19937 random(17);
  AppendRandom(random, 20000);
  EdgeGraphs graphs;
  EXPECT_EQ(graphs.heap_bytes(), 0u);
  auto graph = Get(graphs, log_.View());
  const std::uint64_t bytes = graphs.heap_bytes();
  EXPECT_GT(bytes, graph->edges() * 12);
  EXPECT_LT(bytes, 20000 * 300);
  graphs.Clear(0);
  EXPECT_EQ(graphs.heap_bytes(), bytes);
  graph.reset();
  EXPECT_EQ(graphs.heap_bytes(), 0u);
}

}  // namespace
}  // namespace engram::storage

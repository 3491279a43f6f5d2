// Spreading and decay of every table against plain double, and of all tables
// against each other: these kernels owe equal bits everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/dispatch.h"

namespace engram::kernels {
namespace {

struct Graph {
  std::uint32_t nodes = 0;
  std::vector<std::uint32_t> offsets, targets;
  std::vector<float> weights;

  engram_edges Run(std::uint32_t first, std::uint32_t count) const {
    return {offsets.data() + first, targets.data(), weights.data(), first, count};
  }
  engram_edges All() const { return Run(0, nodes); }

  Graph Transpose() const {
    std::vector<std::vector<std::pair<std::uint32_t, float>>> in(nodes);
    for (std::uint32_t s = 0; s < nodes; ++s) {
      for (std::uint32_t e = offsets[s]; e < offsets[s + 1]; ++e) {
        in[targets[e]].push_back({s, weights[e]});
      }
    }
    return FromLists(in);
  }

  static Graph FromLists(const std::vector<std::vector<std::pair<std::uint32_t, float>>>& lists) {
    Graph graph;
    graph.nodes = static_cast<std::uint32_t>(lists.size());
    graph.offsets.push_back(0);
    for (const auto& list : lists) {
      for (const auto& [target, weight] : list) {
        graph.targets.push_back(target);
        graph.weights.push_back(weight);
      }
      graph.offsets.push_back(static_cast<std::uint32_t>(graph.targets.size()));
    }
    return graph;
  }
};

// Degrees from none to far more than an unrolled step, self-loops and repeats included.
Graph RandomGraph(std::uint32_t nodes, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<std::pair<std::uint32_t, float>>> lists(nodes);
  for (auto& list : lists) {
    const unsigned degree =
        static_cast<unsigned>(random() % 8 == 0 ? random() % 120 : random() % 6);
    for (unsigned i = 0; i < degree; ++i) {
      list.push_back({static_cast<std::uint32_t>(random() % nodes),
                      static_cast<float>(random() % 1000) / 1000.0f});
    }
  }
  return Graph::FromLists(lists);
}

std::vector<float> SomeActive(std::uint32_t nodes, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> activation(nodes, 0.0f);
  for (float& value : activation) {
    if (random() % 3 == 0) value = static_cast<float>(random() % 4096) / 4096.0f;
  }
  return activation;
}

std::vector<double> Plain(const Graph& graph, const std::vector<float>& activation) {
  std::vector<double> next(graph.nodes, 0.0);
  for (std::uint32_t s = 0; s < graph.nodes; ++s) {
    for (std::uint32_t e = graph.offsets[s]; e < graph.offsets[s + 1]; ++e) {
      next[graph.targets[e]] += static_cast<double>(activation[s]) * graph.weights[e];
    }
  }
  return next;
}

class SpreadingTest : public ::testing::TestWithParam<const engram_kernels*> {};

TEST_P(SpreadingTest, EveryFormAgreesWithDouble) {
  for (const std::uint32_t nodes : {1u, 2u, 17u, 1000u}) {
    const Graph graph = RandomGraph(nodes, nodes);
    const std::vector<float> activation = SomeActive(nodes, nodes + 1);
    const std::vector<double> expected = Plain(graph, activation);
    std::vector<float> pushed(nodes, 0.0f), pulled(nodes, 0.0f);
    const engram_edges out = graph.All();
    GetParam()->push(&out, activation.data(), pushed.data());
    const Graph transpose = graph.Transpose();
    const engram_edges in = transpose.All();
    GetParam()->pull(&in, activation.data(), pulled.data());
    for (std::uint32_t node = 0; node < nodes; ++node) {
      const double bound = 1e-5 * (1.0 + expected[node]);
      EXPECT_NEAR(pushed[node], expected[node], bound) << node;
      EXPECT_NEAR(pulled[node], expected[node], bound) << node;
    }
  }
}

TEST_P(SpreadingTest, FrontierGivesThePushsBitsAndNamesEachTargetOnce) {
  constexpr std::uint32_t kNodes = 500;
  const Graph graph = RandomGraph(kNodes, 3);
  const std::vector<float> activation = SomeActive(kNodes, 4);
  std::vector<float> pushed(kNodes, 0.0f), next(kNodes, 0.0f);
  const engram_edges out = graph.All();
  GetParam()->push(&out, activation.data(), pushed.data());
  std::vector<std::uint32_t> active, touched(kNodes + 1), expected;
  for (std::uint32_t node = 0; node < kNodes; ++node) {
    if (activation[node] != 0.0f) active.push_back(node);
  }
  std::vector<std::uint8_t> seen(kNodes, 0);
  const std::size_t count =
      GetParam()->frontier(&out, active.data(), active.size(), activation.data(), next.data(),
                           seen.data(), touched.data(), 0);
  EXPECT_EQ(next, pushed);
  ASSERT_LE(count, kNodes);
  touched.resize(count);
  std::sort(touched.begin(), touched.end());
  for (std::uint32_t node = 0; node < kNodes; ++node) {
    if (seen[node]) expected.push_back(node);
  }
  EXPECT_EQ(touched, expected);
  for (const std::uint32_t s : active) {
    for (std::uint32_t e = graph.offsets[s]; e < graph.offsets[s + 1]; ++e) {
      EXPECT_EQ(seen[graph.targets[e]], 1);
    }
  }
}

TEST_P(SpreadingTest, RunsOfNodesAddUpToTheWholeAndAllTablesAgree) {
  constexpr std::uint32_t kNodes = 700;
  const Graph graph = RandomGraph(kNodes, 8), transpose = graph.Transpose();
  const std::vector<float> activation = SomeActive(kNodes, 9);
  std::vector<float> whole(kNodes, 0.25f), parts = whole, pulled = whole, others = whole;
  const engram_edges all = graph.All(), low = graph.Run(0, 300), high = graph.Run(300, 400);
  GetParam()->push(&all, activation.data(), whole.data());
  GetParam()->push(&low, activation.data(), parts.data());
  GetParam()->push(&high, activation.data(), parts.data());
  EXPECT_EQ(whole, parts);

  const engram_kernels* baseline = FindKernels("cpp-baseline");
  ASSERT_NE(baseline, nullptr);
  parts.assign(kNodes, 0.25f);
  baseline->push(&all, activation.data(), parts.data());
  EXPECT_EQ(whole, parts);
  const engram_edges in = transpose.All();
  GetParam()->pull(&in, activation.data(), pulled.data());
  baseline->pull(&in, activation.data(), others.data());
  EXPECT_EQ(pulled, others);
}

// Ulps of the true value that `found` is away from it.
double Ulps(float found, double expected) {
  const float nearest = static_cast<float>(expected);
  const double ulp = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
  return std::abs(found - expected) / ulp;
}

TEST_P(SpreadingTest, DecayIsWithinFourUlpOfTheTrueValue) {
  std::mt19937 random(12);
  std::uniform_real_distribution<float> strengths(1e-6f, 8.0f), exponents(-12.0f, 6.9f);
  for (const std::size_t count : {1, 3, 16, 33, 5000}) {
    std::vector<float> strength(count), age(count), out(count), other(count);
    constexpr float kHalfLife = 86400.0f;
    for (std::size_t i = 0; i < count; ++i) {
      strength[i] = strengths(random);
      age[i] = std::exp2(exponents(random)) * kHalfLife;
    }
    GetParam()->decay(strength.data(), age.data(), count, kHalfLife, out.data());
    FindKernels("cpp-baseline")->decay(strength.data(), age.data(), count, kHalfLife, other.data());
    EXPECT_EQ(out, other);
    for (std::size_t i = 0; i < count; ++i) {
      const double t = age[i] / kHalfLife;
      const double expected = strength[i] * std::exp2(-t);
      if (expected < 0x1p-126) continue;
      EXPECT_LE(Ulps(out[i], expected), 4.0) << strength[i] << " aged " << t;
    }
    GetParam()->decay(strength.data(), age.data(), count, kHalfLife, strength.data());
    EXPECT_EQ(strength, out) << "in place";
  }
}

TEST_P(SpreadingTest, DecayDefinesItsEdges) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kMost = std::numeric_limits<float>::max();
  const float strength[] = {2.0f, 2.0f, 2.0f, 2.0f, 2.0f, kMost, kMost, kMost, 0.0f, 8.0f};
  const float age[] = {0.0f, -5.0f, kNan, kInf, -kInf, 0.0f, 1.0f, 200.0f, 3.0f, 3.0f};
  const float expected[] = {
      2.0f, 2.0f, 0.0f, 0.0f, 2.0f, kMost, kMost / 2, kMost * 0x1p-100f * 0x1p-100f, 0.0f, 1.0f};
  float out[10];
  GetParam()->decay(strength, age, 10, 1.0f, out);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(out[i], expected[i]) << i;
  const float old_age[] = {253.0f, 1e30f};
  GetParam()->decay(strength, old_age, 2, 1.0f, out);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[1], 0.0f);
}

std::vector<const engram_kernels*> Usable() {
  std::vector<const engram_kernels*> tables;
  for (const Choice& choice : AllKernels()) {
    if (choice.usable) tables.push_back(choice.table);
  }
  return tables;
}

INSTANTIATE_TEST_SUITE_P(All, SpreadingTest, ::testing::ValuesIn(Usable()), [](const auto& given) {
  std::string name = given.param->name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace engram::kernels

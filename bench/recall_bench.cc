// Spreading and recall on mapped edges, and how much recall finds that search
// does not. The WordNet and MuSiQue sets are wanted in the folder ENGRAM_DATA.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>

#include "absl/strings/str_format.h"
#include "bench/support.h"
#include "engram/engram.h"
#include "kernels/dispatch.h"
#include "recall/ranking.h"
#include "recall/spreading.h"
#include "storage/store_files.h"
#include "tests/support/musique.h"

namespace engram::bench {
namespace {

using testing::Musique;

// A store of bare memories and a seeded graph, opened anew after it was sealed.
struct GraphStore {
  TempDir folder;
  std::unique_ptr<Store> store;
  std::uint64_t edges = 0;
  double link_seconds = 0;
  double bytes_per_edge = 0;
};

constexpr std::uint32_t kNodes = 1'000'000;
constexpr std::uint64_t kEdges = 10'000'000;
constexpr std::uint32_t kDimension = 16;

std::vector<Edge> PowerLawEdges() {
  std::minstd_rand random(3);
  // Scattered, so that the memories with many edges do not lie together.
  const auto pick = [&] {
    const double x = static_cast<double>(random()) / static_cast<double>(1U << 31);
    return static_cast<std::uint64_t>(std::pow(x, 3) * kNodes) * 2654435761U % kNodes;
  };
  std::vector<Edge> edges(kEdges);
  for (Edge& edge : edges) {
    edge.from = pick();
    edge.to = pick();
    edge.weight = static_cast<float>(1 + random() % 1000) / 1000.0f;
  }
  return edges;
}

absl::Status Fill(GraphStore& graph, std::uint32_t memories, bool bare,
                  const std::vector<Edge>& edges) {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  auto store = Store::Open(options, graph.folder / "s");
  if (!store.ok()) return store.status();
  const std::vector<float> vectors = SeededFloats(std::size_t{kDimension} * 1000, 1);
  MemoryId next = 0;
  const auto imported = (*store)->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (next == memories) return false;
    row->id = next;
    if (!bare) {
      row->vector = absl::MakeConstSpan(vectors).subspan(next % 1000 * kDimension, kDimension);
    }
    ++next;
    return true;
  });
  if (!imported.ok()) return imported.status();
  const std::uint64_t before = (*store)->Stats().bytes_on_disk;
  const auto begin = std::chrono::steady_clock::now();
  std::size_t at = 0;
  const auto linked = (*store)->Link({}, [&](Edge* edge) -> absl::StatusOr<bool> {
    if (at == edges.size()) return false;
    *edge = edges[at++];
    return true;
  });
  if (!linked.ok()) return linked.status();
  if (const absl::Status sealed = (*store)->Seal(); !sealed.ok()) return sealed;
  graph.link_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (const absl::Status closed = (*store)->Close(); !closed.ok()) return closed;
  store = Store::Open({}, graph.folder / "s");
  if (!store.ok()) return store.status();
  graph.store = *std::move(store);
  graph.edges = graph.store->Stats().sealed_edges;
  graph.bytes_per_edge =
      (static_cast<double>(graph.store->Stats().bytes_on_disk) - static_cast<double>(before)) /
      static_cast<double>(graph.edges);
  return absl::OkStatus();
}

GraphStore* PowerLaw() {
  static GraphStore* graph = [] {
    auto made = std::make_unique<GraphStore>();
    const absl::Status status = Fill(*made, kNodes, /*bare=*/false, PowerLawEdges());
    if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    return status.ok() ? made.release() : nullptr;
  }();
  return graph;
}

GraphStore* WordNet() {
  static GraphStore* graph = []() -> GraphStore* {
    const std::string folder = testing::DataFolder("wordnet-minilm");
    if (folder.empty()) return nullptr;
    std::vector<Edge> edges;
    std::map<std::string, std::uint32_t> types;
    MemoryId most = 0;
    for (const auto& row : testing::ReadTable(folder + "/edges.tsv")) {
      const auto number = static_cast<std::uint32_t>(types.size());
      const Edge edge{.from = std::stoull(row[0]),
                      .to = std::stoull(row[1]),
                      .weight = 1.0f,
                      .type = types.emplace(row[2], number).first->second};
      most = std::max({most, edge.from, edge.to});
      edges.push_back(edge);
    }
    auto made = std::make_unique<GraphStore>();
    const absl::Status status =
        Fill(*made, static_cast<std::uint32_t>(most + 1), /*bare=*/true, edges);
    if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    return status.ok() ? made.release() : nullptr;
  }();
  return graph;
}

GraphStore* GraphNamed(const std::string& name) {
  return name == "wordnet" ? WordNet() : PowerLaw();
}

SpreadOptions Steps(std::uint32_t steps) {
  SpreadOptions options;
  options.max_hops = steps;
  options.threshold = 0.0f;
  options.max_active = ~0U;
  options.k = 1;
  return options;
}

// A step over all of the graph: what a spreading of 12 steps takes more than one of 2.
void DenseStep(benchmark::State& state, const std::string& name) {
  GraphStore* graph = GraphNamed(name);
  if (graph == nullptr) return state.SkipWithError("the set is not there: see ENGRAM_DATA");
  const std::uint64_t memories = graph->store->Stats().memories;
  std::vector<Seed> seeds;
  for (MemoryId id = 0; id < memories; ++id) seeds.push_back({.id = id});
  double seconds[2] = {};
  const std::uint32_t steps[2] = {2, 12};
  std::uint64_t followed[2] = {};
  for (auto _ : state) {
    for (const int i : {0, 1}) {
      const auto begin = std::chrono::steady_clock::now();
      const auto found = graph->store->Spread(Steps(steps[i]), seeds);
      seconds[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (!found.ok() || found->info.steps != steps[i]) return state.SkipWithError("wrong answer");
      followed[i] += found->info.edges_followed;
    }
  }
  const double each = (seconds[1] - seconds[0]) / 10 / static_cast<double>(state.iterations());
  state.counters["step_us"] = 1e6 * each;
  state.counters["Medges/s"] =
      1e-6 * static_cast<double>(followed[1] - followed[0]) / (seconds[1] - seconds[0]);
}

// Steps from 64 memories: of one, and of as many as bring it from few nodes to all.
void StepsFromFew(benchmark::State& state, const std::string& name, std::uint32_t steps) {
  GraphStore* graph = GraphNamed(name);
  if (graph == nullptr) return state.SkipWithError("the set is not there: see ENGRAM_DATA");
  const std::uint64_t memories = graph->store->Stats().memories;
  std::vector<Seed> seeds;
  for (std::uint64_t i = 0; i < 64; ++i) seeds.push_back({.id = i * (memories / 64)});
  std::uint64_t followed = 0;
  for (auto _ : state) {
    const auto found = graph->store->Spread(Steps(steps), seeds);
    if (!found.ok()) return state.SkipWithError("wrong answer");
    followed = found->info.edges_followed;
  }
  state.counters["edges"] = static_cast<double>(followed);
}

void LinkEdges(benchmark::State& state) {
  for (auto _ : state) {
    GraphStore* graph = PowerLaw();
    if (graph == nullptr) return state.SkipWithError("linking failed");
    state.SetIterationTime(graph->link_seconds);
    state.counters["edges/s"] = static_cast<double>(kEdges) / graph->link_seconds;
    state.counters["bytes/edge"] = graph->bytes_per_edge;
  }
}

// Three hops from ten seeds, each time others: what the slowest percent takes.
void RecallThreeHops(benchmark::State& state) {
  GraphStore* graph = PowerLaw();
  if (graph == nullptr) return state.SkipWithError("no graph");
  RecallOptions options;
  options.spread.max_hops = 3;
  options.seeds.k = 10;
  options.seeds.threads = 1;
  std::vector<double> times;
  std::minstd_rand random(9);
  std::vector<MemoryId> named(10);
  for (auto _ : state) {
    for (MemoryId& id : named) id = random() % kNodes;
    options.named = named;
    const auto begin = std::chrono::steady_clock::now();
    const auto found = graph->store->Recall(options, {});
    times.push_back(
        1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    if (!found.ok() || found->hits.empty()) return state.SkipWithError("wrong answer");
  }
  std::sort(times.begin(), times.end());
  state.counters["p50_ms"] = times[times.size() / 2];
  state.counters["p99_ms"] = times[times.size() * 99 / 100];
}

struct MusiqueStore {
  explicit MusiqueStore(const std::string& folder) : set(folder) {
    auto made = set.Create(dir / "s");
    if (made.ok()) store = *std::move(made);
  }
  TempDir dir;
  Musique set;
  std::unique_ptr<Store> store;
};

MusiqueStore* TheMusique() {
  static MusiqueStore* made = [] {
    const std::string folder = testing::DataFolder("musique");
    return folder.empty() ? nullptr : std::make_unique<MusiqueStore>(folder).release();
  }();
  return made;
}

// One recall of a question with its names; `spread_only`: its spreading alone.
void RecallQuestion(benchmark::State& state, bool spread_only) {
  MusiqueStore* musique = TheMusique();
  if (musique == nullptr || musique->store == nullptr) {
    return state.SkipWithError("the set is not there: see ENGRAM_DATA");
  }
  std::vector<std::vector<Seed>> seeds;
  for (std::size_t q = 0; q < musique->set.questions.size(); ++q) {
    SearchOptions search;
    search.k = 5;
    const auto similar = musique->store->Search(search, musique->set.query(q));
    for (const Hit& hit : similar->hits) seeds.resize(q + 1), seeds[q].push_back({.id = hit.id});
    for (const MemoryId id : musique->set.named[q]) seeds[q].push_back({.id = id});
  }
  SpreadOptions spread;
  spread.k = 1;
  std::size_t q = 0;
  std::uint64_t followed = 0, asked = 0;
  for (auto _ : state) {
    RecallOptions options;
    options.named = musique->set.named[q];
    options.seeds.threads = 1;
    if (spread_only) {
      const auto found = musique->store->Spread(spread, seeds[q]);
      if (!found.ok()) return state.SkipWithError("wrong answer");
      followed += found->info.edges_followed;
    } else {
      const auto found = musique->store->Recall(options, musique->set.query(q));
      if (!found.ok() || found->hits.size() != 10) return state.SkipWithError("wrong answer");
      followed += found->spread.edges_followed;
    }
    ++asked;
    q = (q + 1) % musique->set.questions.size();
  }
  state.counters["edges_followed"] = static_cast<double>(followed) / static_cast<double>(asked);
}

// The seeds that a recall of question `q` makes.
std::vector<recall::NodeSeed> SeedsOfRecall(MusiqueStore& musique, const storage::EdgeGraph& graph,
                                            std::size_t q) {
  RecallOptions options;
  SearchOptions search = options.seeds;
  search.k = options.k;
  const auto found = musique.store->Search(search, musique.set.query(q));
  std::vector<float> scores;
  std::vector<recall::NodeSeed> seeds;
  // Nodes are given in the order of ids here, so that they are the ids.
  for (const Hit& hit : absl::MakeConstSpan(found->hits).subspan(0, options.seeds.k)) {
    scores.push_back(hit.score);
    seeds.push_back({.node = static_cast<std::uint32_t>(hit.id)});
  }
  const auto activations = recall::SeedActivations(scores, options.seed_sharpness);
  for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i].activation = activations[i];
  std::vector<MemoryId> named = musique.set.named[q];
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  for (const MemoryId id : named) {
    const auto node = static_cast<std::uint32_t>(id);
    seeds.push_back(
        {.node = node, .activation = recall::NamedActivation(options, graph.Out(node).size)});
  }
  return seeds;
}

// The spreading of a recall by itself: nothing is looked up, and nothing answered.
void SpreadingOfRecall(benchmark::State& state) {
  MusiqueStore* musique = TheMusique();
  if (musique == nullptr || musique->store == nullptr) {
    return state.SkipWithError("the set is not there: see ENGRAM_DATA");
  }
  storage::FilesOptions read_only;
  read_only.read_only = true;
  const auto files = storage::StoreFiles::Open(read_only, musique->dir / "s");
  if (!files.ok()) return state.SkipWithError("the store does not open");
  const auto view = (*files)->CurrentView();
  const auto graph = view->Edges(/*verify=*/true);
  if (!graph.ok()) return state.SkipWithError("the edges are damaged");
  const engram_kernels& kernels = *kernels::FindKernels("");
  const RecallOptions options;
  recall::SpreadArraysPool arrays;
  std::vector<std::vector<recall::NodeSeed>> seeds;
  std::vector<std::uint64_t> expected;
  for (std::size_t q = 0; q < musique->set.questions.size(); ++q) {
    seeds.push_back(SeedsOfRecall(*musique, **graph, q));
    RecallOptions recall;
    recall.named = musique->set.named[q];
    expected.push_back(
        musique->store->Recall(recall, musique->set.query(q))->spread.edges_followed);
  }
  std::size_t q = 0;
  for (auto _ : state) {
    recall::Spreading spreading(**graph, kernels, options.spread, view->commit().next_node, arrays);
    spreading.Run(seeds[q], std::nullopt);
    if (spreading.info().edges_followed != expected[q]) return state.SkipWithError("wrong answer");
    q = (q + 1) % seeds.size();
  }
}

// The share of the passages needed among the first k, and of questions with all of them.
struct Quality {
  double at2 = 0, at5 = 0, at10 = 0, all5 = 0;

  void Add(const std::vector<MemoryId>& top, const std::vector<MemoryId>& gold, double weight) {
    const auto found = [&](std::size_t k) {
      double count = 0;
      for (const MemoryId id : gold) {
        const auto end = top.begin() + static_cast<std::ptrdiff_t>(std::min(k, top.size()));
        count += std::find(top.begin(), end, id) != end ? 1.0 : 0.0;
      }
      return weight * count / static_cast<double>(gold.size());
    };
    at2 += found(2);
    at5 += found(5);
    at10 += found(10);
    all5 += found(5) == weight ? weight : 0.0;
  }
};

void PrintQuality(const char* name, const Quality& quality) {
  std::printf("%-18s %6.1f %6.1f %6.1f %6.1f   %s\n", name, quality.at2, quality.at5, quality.at10,
              quality.all5, std::string(static_cast<std::size_t>(quality.at5 / 2), '#').c_str());
}

void ShowQuality() {
  MusiqueStore* musique = TheMusique();
  if (musique == nullptr || musique->store == nullptr) {
    std::puts("MuSiQue: skipped, ENGRAM_DATA names no folder with musique/");
    return;
  }
  Quality search, recall, by_text;
  const double weight = 100.0 / static_cast<double>(musique->set.questions.size());
  for (std::size_t q = 0; q < musique->set.questions.size(); ++q) {
    std::vector<MemoryId> top, names;
    const auto similar = musique->store->Search({}, musique->set.query(q));
    for (const Hit& hit : similar->hits) top.push_back(hit.id);
    search.Add(top, musique->set.gold[q], weight);
    const auto in_text = musique->store->FindNamed({}, musique->set.questions[q]);
    for (const NamedInText& name : *in_text) names.push_back(name.id);
    for (const bool text : {false, true}) {
      RecallOptions options;
      options.named = text ? names : musique->set.named[q];
      const auto recalled = musique->store->Recall(options, musique->set.query(q));
      top.clear();
      for (const Recalled& hit : recalled->hits) top.push_back(hit.id);
      (text ? by_text : recall).Add(top, musique->set.gold[q], weight);
    }
  }
  std::puts("MuSiQue, 100 questions      @2     @5    @10  all@5   recall@5");
  PrintQuality("search", search);
  PrintQuality("recall, given names", recall);
  PrintQuality("recall, --text", by_text);
}

void RegisterAll() {
  for (const char* name : {"wordnet", "1M-10M"}) {
    benchmark::RegisterBenchmark((std::string("spread/dense-step/") + name).c_str(), DenseStep,
                                 std::string(name))
        ->Iterations(3)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark((std::string("spread/frontier-64/") + name).c_str(), StepsFromFew,
                                 std::string(name), 1)
        ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark((std::string("spread/6-steps-from-64/") + name).c_str(),
                                 StepsFromFew, std::string(name), 6)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RegisterBenchmark("link/1M-10M", LinkEdges)->UseManualTime()->Iterations(1);
  benchmark::RegisterBenchmark("recall/3-hops/1M-10M", RecallThreeHops)
      ->Iterations(1000)
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("recall/musique", RecallQuestion, false)
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("recall/musique/spreading-of-it", SpreadingOfRecall)
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("recall/musique/spread-alone", RecallQuestion, true)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  engram::bench::DescribeMachine();
  engram::bench::ShowQuality();
  engram::bench::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

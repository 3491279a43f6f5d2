// Each table of kernels beside what bounds it: similarity beside a sum that only
// reads the same bytes, spreading beside the plain push loop. Every kernel's
// answer is checked against double before it is timed. The scan of codes stands beside a sum
// that only reads its superblocks.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/support.h"
#include "kernels/dispatch.h"

namespace engram::bench {
namespace {

constexpr std::size_t kInCache = std::size_t{256} << 10;
constexpr std::size_t kFromMemory = std::size_t{600} << 20;

// Reads every byte once, with as many independent sums as hide the latency.
__attribute__((target("avx2"))) float SumAvx2(const float* data, std::size_t count) {
  typedef float Vector __attribute__((vector_size(32)));
  Vector a = {}, b = {}, c = {}, d = {};
  for (std::size_t i = 0; i + 32 <= count; i += 32) {
    const auto* at = reinterpret_cast<const Vector*>(data + i);
    a += at[0];
    b += at[1];
    c += at[2];
    d += at[3];
  }
  a = (a + b) + (c + d);
  return a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

__attribute__((target("avx512f"))) float SumAvx512(const float* data, std::size_t count) {
  typedef float Vector __attribute__((vector_size(64)));
  Vector a = {}, b = {}, c = {}, d = {};
  for (std::size_t i = 0; i + 64 <= count; i += 64) {
    const auto* at = reinterpret_cast<const Vector*>(data + i);
    a += at[0];
    b += at[1];
    c += at[2];
    d += at[3];
  }
  a = (a + b) + (c + d);
  float sum = 0;
  for (int lane = 0; lane < 16; ++lane) sum += a[lane];
  return sum;
}

float SumSse2(const float* data, std::size_t count) {
  typedef float Vector __attribute__((vector_size(16)));
  Vector a = {}, b = {}, c = {}, d = {};
  for (std::size_t i = 0; i + 16 <= count; i += 16) {
    const auto* at = reinterpret_cast<const Vector*>(data + i);
    a += at[0];
    b += at[1];
    c += at[2];
    d += at[3];
  }
  a = (a + b) + (c + d);
  return a[0] + a[1] + a[2] + a[3];
}

// What a reader would write first; the compiler may do with it what it likes.
__attribute__((noinline)) void PlainDot(const float* query, const float* rows, std::size_t count,
                                        std::size_t dimension, std::size_t pitch, float* out) {
  for (std::size_t r = 0; r < count; ++r) {
    float sum = 0.0f;
    for (std::size_t i = 0; i < dimension; ++i) sum += query[i] * rows[r * pitch + i];
    out[r] = sum;
  }
}

struct Rows {
  Rows(std::size_t bytes, std::size_t dimension_in)
      : dimension(dimension_in),
        count(bytes / sizeof(float) / dimension),
        storage(SeededFloats(count * dimension + 16, 1)),
        query(SeededFloats(dimension, 2)) {
    auto address = reinterpret_cast<std::uintptr_t>(storage.data());
    data = storage.data() + (64 - address % 64) % 64 / sizeof(float);
  }
  std::size_t dimension, count;
  std::vector<float> storage, query;
  const float* data;
};

// The largest arrays are shared: making them takes longer than reading them.
const Rows& RowsOf(std::size_t bytes, std::size_t dimension) {
  static std::unique_ptr<Rows> last;
  if (last == nullptr || last->dimension != dimension || last->count != bytes / 4 / dimension) {
    last.reset();
    last = std::make_unique<Rows>(bytes, dimension);
  }
  return *last;
}

bool AgreesWithDouble(engram_dot_kernel* kernel, const Rows& rows) {
  const std::size_t count = std::min<std::size_t>(rows.count, 64);
  std::vector<float> scores(count);
  kernel(rows.query.data(), rows.data, count, rows.dimension, rows.dimension, scores.data());
  for (std::size_t r = 0; r < count; ++r) {
    double dot = 0;
    for (std::size_t i = 0; i < rows.dimension; ++i) {
      dot += double{rows.query[i]} * double{rows.data[r * rows.dimension + i]};
    }
    if (std::abs(dot - scores[r]) > 1e-4 * static_cast<double>(rows.dimension)) return false;
  }
  return true;
}

void TimeDot(benchmark::State& state, engram_dot_kernel* kernel, std::size_t bytes,
             std::size_t dimension) {
  const Rows& rows = RowsOf(bytes, dimension);
  if (!AgreesWithDouble(kernel, rows)) return state.SkipWithError("wrong scores");
  std::vector<float> scores(rows.count);
  for (auto _ : state) {
    kernel(rows.query.data(), rows.data, rows.count, dimension, dimension, scores.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * rows.count * dimension * sizeof(float)));
}

void TimeSum(benchmark::State& state, float (*sum)(const float*, std::size_t), std::size_t bytes,
             std::size_t dimension) {
  const Rows& rows = RowsOf(bytes, dimension);
  for (auto _ : state) benchmark::DoNotOptimize(sum(rows.data, rows.count * dimension));
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * rows.count * dimension * sizeof(float)));
}

// A seeded graph in compressed sparse rows. `skew` 1 draws both ends of an edge evenly; 3 gives
// few nodes most of the edges, as a power law does.
struct Graph {
  Graph(std::uint32_t nodes_in, std::size_t edges, int skew) : nodes(nodes_in) {
    std::minstd_rand random(3);
    std::vector<std::uint32_t> degrees(nodes, 0);
    const auto pick = [&] {
      const double x = static_cast<double>(random()) / static_cast<double>(1U << 31);
      // Scattered, so that the nodes with many edges do not lie together.
      return static_cast<std::uint32_t>(std::pow(x, skew) * nodes) * std::uint64_t{2654435761} %
             nodes;
    };
    for (std::size_t e = 0; e < edges; ++e) ++degrees[pick()];
    offsets.push_back(0);
    for (const std::uint32_t degree : degrees) offsets.push_back(offsets.back() + degree);
    for (std::size_t e = 0; e < edges; ++e) {
      targets.push_back(static_cast<std::uint32_t>(pick()));
      weights.push_back(static_cast<float>(random() % 1000) / 1000.0f);
    }
    activation = SeededFloats(nodes, 4);
  }
  engram_edges edges() const { return {offsets.data(), targets.data(), weights.data(), 0, nodes}; }

  std::uint32_t nodes;
  std::vector<std::uint32_t> offsets, targets;
  std::vector<float> weights, activation;
};

// By name: "1M-10M" has the shape of knowledge graphs, "16M-48M" has activations that exceed
// every cache.
const Graph& GraphOf(const std::string& name) {
  static std::unique_ptr<Graph> last;
  static std::string last_name;
  if (last_name != name) {
    last.reset();
    last = name == "1M-10M" ? std::make_unique<Graph>(1'000'000, 10'000'000, 3)
                            : std::make_unique<Graph>(16'000'000, 48'000'000, 1);
    last_name = name;
  }
  return *last;
}

__attribute__((noinline)) void PlainPush(const engram_edges* edges, const float* activation,
                                         float* next) {
  for (std::uint32_t s = 0; s < edges->count; ++s) {
    for (std::uint32_t e = edges->offsets[s]; e < edges->offsets[s + 1]; ++e) {
      next[edges->targets[e]] += activation[s] * edges->weights[e];
    }
  }
}

// Sums of the form against double, for the first nodes that have any.
bool SumAgrees(engram_push_kernel* kernel, bool pulls, const Graph& graph) {
  std::vector<float> next(graph.nodes, 0.0f);
  std::vector<double> expected(graph.nodes, 0.0);
  const engram_edges edges = graph.edges();
  kernel(&edges, graph.activation.data(), next.data());
  for (std::uint32_t s = 0; s < graph.nodes; ++s) {
    for (std::uint32_t e = graph.offsets[s]; e < graph.offsets[s + 1]; ++e) {
      const std::uint32_t from = pulls ? graph.targets[e] : s, to = pulls ? s : graph.targets[e];
      expected[to] += double{graph.activation[from]} * double{graph.weights[e]};
    }
  }
  for (std::uint32_t n = 0; n < graph.nodes; ++n) {
    if (std::abs(next[n] - expected[n]) > 1e-2 + 1e-4 * std::abs(expected[n])) return false;
  }
  return true;
}

void TimeSpread(benchmark::State& state, engram_push_kernel* kernel, bool pulls,
                const std::string& name) {
  const Graph& graph = GraphOf(name);
  if (!SumAgrees(kernel, pulls, graph)) return state.SkipWithError("wrong sums");
  std::vector<float> next(graph.nodes, 0.0f);
  const engram_edges edges = graph.edges();
  for (auto _ : state) {
    kernel(&edges, graph.activation.data(), next.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * graph.targets.size()));
}

void TimeFrontier(benchmark::State& state, const engram_kernels* table, const std::string& name) {
  const Graph& graph = GraphOf(name);
  std::vector<float> next(graph.nodes, 0.0f);
  std::vector<std::uint8_t> seen(graph.nodes, 0);
  std::vector<std::uint32_t> active, touched(graph.nodes + 1);
  for (std::uint32_t i = 0; i < 64; ++i) active.push_back(i * (graph.nodes / 64));
  const engram_edges edges = graph.edges();
  for (auto _ : state) {
    const std::size_t count =
        table->frontier(&edges, active.data(), active.size(), graph.activation.data(), next.data(),
                        seen.data(), touched.data(), 0);
    for (std::size_t i = 0; i < count; ++i) seen[touched[i]] = 0;
    benchmark::ClobberMemory();
  }
}

void TimeDecay(benchmark::State& state, const engram_kernels* table) {
  std::vector<float> strengths(kInCache / 4, 1.0f), ages = SeededFloats(kInCache / 4, 6), out(ages);
  for (auto _ : state) {
    table->decay(strengths.data(), ages.data(), ages.size(), 0.5f, out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * ages.size()));
}

// Superblocks of random codes.
struct Plane {
  Plane(std::size_t bytes, std::uint32_t groups_in)
      : groups(groups_in),
        pitch(groups_in * std::size_t{256} + 384),
        count(bytes / pitch),
        storage(count * pitch / sizeof(std::uint64_t) + 8),
        query(groups_in * 8) {
    std::mt19937_64 random(7);
    for (std::uint64_t& word : storage) word = random();
    const auto address = reinterpret_cast<std::uintptr_t>(storage.data());
    data = reinterpret_cast<std::uint8_t*>(storage.data()) + (64 - address % 64) % 64;
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<float> scales(ENGRAM_SUPERBLOCK_ROWS, 0.01f);
      std::memcpy(data + i * pitch + groups * 256, scales.data(), scales.size() * sizeof(float));
    }
    for (std::int8_t& code : query) code = static_cast<std::int8_t>(random() % 255 - 127);
  }
  engram_code_query Query(float threshold) const {
    int sum = 0;
    for (const std::int8_t code : query) sum += code;
    return {query.data(), groups, 15 * sum, 0.5f, 0.5f, 0.0f, threshold};
  }
  // The plain bound of a row.
  double Bound(std::size_t row) const {
    const std::uint8_t* at = data + row / 64 * pitch;
    const std::size_t r = row % 64;
    int sum = 0;
    for (std::uint32_t i = 0; i < groups * 8; ++i) {
      const int both = at[256 * (i / 8) + 4 * r + i % 4];
      sum += query[i] * (2 * (i % 8 < 4 ? both & 15 : both >> 4) - 15);
    }
    const std::uint8_t* trailer = at + groups * 256 + 256;
    return double{0.01f} * (sum + 0.5 * trailer[r] + 0.5 * trailer[64 + r]);
  }

  std::uint32_t groups;
  std::size_t pitch, count;
  std::vector<std::uint64_t> storage;
  std::uint8_t* data;
  std::vector<std::int8_t> query;
};

const Plane& PlaneOf(std::size_t bytes, std::uint32_t groups) {
  static std::unique_ptr<Plane> last;
  if (last == nullptr || last->groups != groups || last->count != bytes / last->pitch) {
    last.reset();
    last = std::make_unique<Plane>(bytes, groups);
  }
  return *last;
}

// The threshold that one row in a hundred reaches.
float Highest(const Plane& plane) {
  std::vector<double> bounds;
  for (std::size_t row = 0; row < std::min<std::size_t>(plane.count * 64, 20000); ++row) {
    bounds.push_back(plane.Bound(row));
  }
  const auto at = bounds.begin() + static_cast<std::ptrdiff_t>(bounds.size() / 100);
  std::nth_element(bounds.begin(), at, bounds.end(), std::greater<>());
  return static_cast<float>(*at);
}

bool ScanAgrees(engram_scan_kernel* kernel, const Plane& plane, float threshold) {
  const std::size_t count = std::min<std::size_t>(plane.count, 40);
  std::vector<std::uint32_t> rows(count * 64 + 16);
  std::vector<float> bounds(rows.size());
  const engram_code_query query = plane.Query(threshold);
  const std::size_t found =
      kernel(&query, plane.data, nullptr, count, rows.data(), bounds.data(), 0);
  std::size_t at = 0;
  for (std::size_t row = 0; row < count * 64; ++row) {
    const double bound = plane.Bound(row);
    const bool is_found = at < found && rows[at] == row;
    // Within rounding of the threshold either is right.
    if (is_found != (bound >= threshold) && std::abs(bound - threshold) > 1e-3) return false;
    if (is_found && std::abs(bounds[at++] - bound) > 1e-3) return false;
  }
  return at == found;
}

void TimeScan(benchmark::State& state, engram_scan_kernel* kernel, std::size_t bytes,
              std::uint32_t groups, bool hits) {
  const Plane& plane = PlaneOf(bytes, groups);
  const float threshold = hits ? Highest(plane) : std::numeric_limits<float>::infinity();
  if (!ScanAgrees(kernel, plane, threshold)) return state.SkipWithError("wrong rows");
  std::vector<std::uint32_t> rows(plane.count * 64 + 16);
  std::vector<float> bounds(rows.size());
  const engram_code_query query = plane.Query(threshold);
  std::size_t found = 0;
  for (auto _ : state) {
    found = kernel(&query, plane.data, nullptr, plane.count, rows.data(), bounds.data(), 0);
    benchmark::ClobberMemory();
  }
  state.counters["hits"] = static_cast<double>(found) / static_cast<double>(plane.count * 64);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * plane.count) *
                          static_cast<std::int64_t>(plane.pitch));
}

// The same bytes, only read; as floats they are nonsense, which costs nothing.
void TimePlane(benchmark::State& state, float (*sum)(const float*, std::size_t), std::size_t bytes,
               std::uint32_t groups) {
  const Plane& plane = PlaneOf(bytes, groups);
  const auto* floats = reinterpret_cast<const float*>(plane.data);
  for (auto _ : state) {
    benchmark::DoNotOptimize(sum(floats, plane.count * plane.pitch / sizeof(float)));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * plane.count) *
                          static_cast<std::int64_t>(plane.pitch));
}

// One row in a hundred of 100,000, in order, as a scan leaves them; other rows in every turn.
void TimeFine(benchmark::State& state, engram_fine_kernel* kernel, std::size_t dimension) {
  constexpr std::uint32_t kRows = 100'000;
  std::minstd_rand random(9);
  std::vector<std::int8_t> rows(kRows * dimension);
  for (std::int8_t& code : rows) code = static_cast<std::int8_t>(random());
  std::vector<std::int16_t> query(dimension);
  for (std::int16_t& code : query) code = static_cast<std::int16_t>(random() % 4001 - 2000);
  std::vector<std::uint32_t> which[64];
  std::size_t longest = 0;
  for (auto& some : which) {
    for (std::uint32_t i = 0; i < kRows; i += 1 + static_cast<std::uint32_t>(random() % 199)) {
      some.push_back(i);
    }
    longest = std::max(longest, some.size());
  }
  std::vector<std::int32_t> out(longest);
  kernel(query.data(), rows.data(), dimension, dimension, which[0].data(), which[0].size(),
         out.data());
  for (std::size_t i = 0; i < which[0].size(); ++i) {
    int sum = 0;
    for (std::size_t j = 0; j < dimension; ++j) sum += query[j] * rows[which[0][i] * dimension + j];
    if (sum != out[i]) return state.SkipWithError("wrong sums");
  }
  std::size_t turn = 0, items = 0;
  for (auto _ : state) {
    const std::vector<std::uint32_t>& some = which[++turn % 64];
    kernel(query.data(), rows.data(), dimension, dimension, some.data(), some.size(), out.data());
    items += some.size();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(items));
}

template <typename... Args>
void Register(const std::string& name, Args... args) {
  benchmark::RegisterBenchmark(name.c_str(), args...)->Unit(benchmark::kMillisecond);
}

void RegisterSimilarity(std::size_t bytes, std::size_t dimension) {
  const std::string where = absl::StrCat(bytes == kInCache ? "cache" : "memory", "/", dimension);
  Register(absl::StrCat("sum/", where, "/sse2"), TimeSum, SumSse2, bytes, dimension);
  if (__builtin_cpu_supports("avx2")) {
    Register(absl::StrCat("sum/", where, "/avx2"), TimeSum, SumAvx2, bytes, dimension);
  }
  if (__builtin_cpu_supports("avx512f")) {
    Register(absl::StrCat("sum/", where, "/avx512"), TimeSum, SumAvx512, bytes, dimension);
  }
  Register(absl::StrCat("dot/", where, "/plain-loop"), TimeDot, PlainDot, bytes, dimension);
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (!choice.usable) continue;
    Register(absl::StrCat("dot/", where, "/", choice.table->name), TimeDot, choice.table->dot,
             bytes, dimension);
  }
}

void RegisterSpreading(const std::string& graph) {
  const std::string where = absl::StrCat("spread/", graph, "/");
  Register(absl::StrCat(where, "push/plain-loop"), TimeSpread, PlainPush, false, graph);
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (!choice.usable) continue;
    const engram_kernels* table = choice.table;
    Register(absl::StrCat(where, "push/", table->name), TimeSpread, table->push, false, graph);
    Register(absl::StrCat(where, "pull/", table->name), TimeSpread, table->pull, true, graph);
    Register(absl::StrCat(where, "frontier-64/", table->name), TimeFrontier, table, graph);
  }
}

void RegisterCodes(const std::string& name, std::size_t bytes, std::uint32_t groups) {
  const std::string where = absl::StrCat("/", name, "/", groups, "/");
  Register(absl::StrCat("plane", where, "sse2"), TimePlane, SumSse2, bytes, groups);
  if (__builtin_cpu_supports("avx2")) {
    Register(absl::StrCat("plane", where, "avx2"), TimePlane, SumAvx2, bytes, groups);
  }
  if (__builtin_cpu_supports("avx512f")) {
    Register(absl::StrCat("plane", where, "avx512"), TimePlane, SumAvx512, bytes, groups);
  }
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (!choice.usable) continue;
    for (const bool hits : {false, true}) {
      Register(absl::StrCat("scan", where, hits ? "hits/" : "none/", choice.table->name), TimeScan,
               choice.table->scan, bytes, groups, hits);
    }
  }
}

void RegisterFine() {
  for (const std::size_t dimension : {100, 384, 768}) {
    for (const kernels::Choice& choice : kernels::AllKernels()) {
      if (!choice.usable) continue;
      Register(absl::StrCat("fine/", dimension, "/", choice.table->name), TimeFine,
               choice.table->fine, dimension);
    }
  }
}

void RegisterAll() {
  for (const std::size_t bytes : {kInCache, kFromMemory}) {
    for (const std::size_t dimension : {100, 384, 768}) RegisterSimilarity(bytes, dimension);
  }
  for (const std::uint32_t groups : {13, 33, 48}) {
    RegisterCodes("cache", std::size_t{512} << 10, groups);
    RegisterCodes("20MB", 20'000'000, groups);
    RegisterCodes("400MB", 400'000'000, groups);
  }
  RegisterFine();
  for (const char* graph : {"1M-10M", "16M-48M"}) RegisterSpreading(graph);
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (choice.usable)
      Register(absl::StrCat("decay/", choice.table->name), TimeDecay, choice.table);
  }
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  engram::bench::DescribeMachine();
  engram::bench::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

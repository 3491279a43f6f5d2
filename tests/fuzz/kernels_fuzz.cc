// Every table of kernels that this machine runs, against plain loops in double within the bounds
// of docs/kernels.md, and against the first one of its class bit for bit: Zig against C++ where
// both are built in.
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/dispatch.h"
#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {
namespace {

using kernels::AllKernels;

constexpr std::size_t kRows = ENGRAM_SUPERBLOCK_ROWS;

std::vector<const engram_kernels*> Usable() {
  std::vector<const engram_kernels*> tables;
  for (const kernels::Choice& choice : AllKernels()) {
    if (choice.usable) tables.push_back(choice.table);
  }
  return tables;
}

bool SameClass(const engram_kernels& a, const engram_kernels& b) {
  return a.lanes == b.lanes && a.accumulators == b.accumulators && a.fma == b.fma;
}

// As bits, but that one NaN is as good as another.
void ExpectSame(const std::vector<float>& mine, const std::vector<float>& other,
                const engram_kernels& table, const char* what) {
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (std::isnan(mine[i]) && std::isnan(other[i])) continue;
    Expect(std::memcmp(&mine[i], &other[i], sizeof(float)) == 0,
           std::string(what) + " has equal bits by " + table.name);
  }
}

// `wild`: any bits; else finite numbers whose products and their sums are normal, and zeros.
float TakeFloat(Input& input, bool wild) {
  const float value = input.Take<float>();
  if (wild) return value;
  if (!std::isfinite(value)) return 1.0f;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);
  return std::ldexp(fraction, exponent % 40);
}

std::vector<float> TakeFloats(Input& input, std::size_t count, bool wild) {
  std::vector<float> floats(count);
  for (float& value : floats) value = TakeFloat(input, wild);
  return floats;
}

void ExpectScores(const engram_kernels& table, const float* query, const float* row, std::size_t d,
                  float dot, float l2) {
  double exact_dot = 0, dots = 0, exact_l2 = 0;
  for (std::size_t i = 0; i < d; ++i) {
    const double q = query[i], x = row[i];
    exact_dot += q * x;
    dots += std::abs(q * x);
    exact_l2 += (q - x) * (q - x);
  }
  const double sums = table.lanes * table.accumulators;
  const double steps = static_cast<double>(d) / sums + std::log2(sums) + 2;
  Expect(std::abs(dot - exact_dot) <= steps * std::ldexp(dots, -23),
         std::string("dot is within its bound by ") + table.name);
  Expect(std::abs(l2 - exact_l2) <= (steps + 2) * std::ldexp(exact_l2, -23),
         std::string("l2 is within its bound by ") + table.name);
}

void TrySimilarity(Input& input) {
  const bool wild = input.Take<std::uint8_t>() % 2 == 1;
  const std::size_t d = 1 + input.Below(200), count = 1 + input.Below(6);
  const std::size_t pitch = d + input.Below(4);
  const std::vector<float> query = TakeFloats(input, d, wild);
  const std::vector<float> rows = TakeFloats(input, (count - 1) * pitch + d, wild);
  const auto tables = Usable();
  std::vector<std::vector<float>> all_dots, all_l2;
  for (const engram_kernels* table : tables) {
    std::vector<float> dots(count), l2(count);
    table->dot(query.data(), rows.data(), count, d, pitch, dots.data());
    table->l2_squared(query.data(), rows.data(), count, d, pitch, l2.data());
    for (std::size_t r = 0; r < count && !wild; ++r) {
      ExpectScores(*table, query.data(), rows.data() + r * pitch, d, dots[r], l2[r]);
    }
    for (std::size_t i = 0; i < all_dots.size(); ++i) {
      if (!SameClass(*tables[i], *table)) continue;
      ExpectSame(dots, all_dots[i], *table, "dot");
      ExpectSame(l2, all_l2[i], *table, "l2_squared");
    }
    all_dots.push_back(std::move(dots));
    all_l2.push_back(std::move(l2));
  }
}

struct Graph {
  std::vector<std::uint32_t> offsets, targets;
  std::vector<float> weights;

  engram_edges Edges() const {
    return {offsets.data(), targets.data(), weights.data(), 0,
            static_cast<std::uint32_t>(offsets.size() - 1)};
  }
};

Graph TakeGraph(Input& input, std::uint32_t nodes) {
  Graph graph;
  graph.offsets.push_back(0);
  for (std::uint32_t node = 0; node < nodes; ++node) {
    for (std::uint32_t e = input.Take<std::uint8_t>() % 20; e > 0; --e) {
      graph.targets.push_back(input.Take<std::uint16_t>() % nodes);
      graph.weights.push_back(std::abs(TakeFloat(input, false)));
    }
    graph.offsets.push_back(static_cast<std::uint32_t>(graph.targets.size()));
  }
  return graph;
}

void ExpectNear(const std::vector<float>& found, const std::vector<double>& exact,
                std::size_t edges, const engram_kernels& table, const char* what) {
  for (std::size_t node = 0; node < found.size(); ++node) {
    // All terms are positive: each rounding counts once.
    const double bound = static_cast<double>(edges + 4) * std::ldexp(exact[node], -23);
    Expect(std::abs(found[node] - exact[node]) <= bound,
           std::string(what) + " is within its bound by " + table.name);
  }
}

// One graph is taken as edges out for a push, and as edges in for a pull.
void TrySpreading(Input& input) {
  const std::uint32_t nodes = 1 + input.Below(100);
  const Graph graph = TakeGraph(input, nodes);
  std::vector<float> activation(nodes);
  for (float& value : activation) value = std::abs(TakeFloat(input, false));
  std::vector<double> pushed(nodes, 0.0), pulled(nodes, 0.0);
  std::vector<std::uint32_t> active;
  for (std::uint32_t s = 0; s < nodes; ++s) {
    if (activation[s] != 0.0f) active.push_back(s);
    for (std::uint32_t e = graph.offsets[s]; e < graph.offsets[s + 1]; ++e) {
      const double weight = graph.weights[e];
      pushed[graph.targets[e]] += activation[s] * weight;
      pulled[s] += activation[graph.targets[e]] * weight;
    }
  }
  const engram_edges edges = graph.Edges();
  std::vector<float> first_push, first_pull;
  for (const engram_kernels* table : Usable()) {
    std::vector<float> push(nodes), pull(nodes), front(nodes);
    std::vector<std::uint8_t> seen(nodes, 0);
    std::vector<std::uint32_t> touched(nodes + 1);
    table->push(&edges, activation.data(), push.data());
    table->pull(&edges, activation.data(), pull.data());
    const std::size_t reached =
        table->frontier(&edges, active.data(), active.size(), activation.data(), front.data(),
                        seen.data(), touched.data(), 0);
    Expect(reached == static_cast<std::size_t>(std::count(seen.begin(), seen.end(), 1)),
           std::string("a frontier names each target once by ") + table->name);
    ExpectNear(push, pushed, graph.targets.size(), *table, "push");
    ExpectNear(pull, pulled, graph.targets.size(), *table, "pull");
    ExpectSame(front, push, *table, "frontier");
    if (first_push.empty()) {
      first_push = push;
      first_pull = pull;
    }
    ExpectSame(push, first_push, *table, "push");
    ExpectSame(pull, first_pull, *table, "pull");
  }
}

void TryDecay(Input& input) {
  const std::size_t count = 1 + input.Below(70);
  float half_life = std::abs(TakeFloat(input, false));
  if (half_life == 0.0f) half_life = 1.0f;
  std::vector<float> strengths = TakeFloats(input, count, false);
  const std::vector<float> ages = TakeFloats(input, count, true);
  std::vector<float> first;
  for (const engram_kernels* table : Usable()) {
    std::vector<float> out(count);
    table->decay(strengths.data(), ages.data(), count, half_life, out.data());
    if (first.empty()) first = out;
    ExpectSame(out, first, *table, "decay");
    for (std::size_t i = 0; i < count; ++i) {
      const float t = std::isnan(ages[i]) ? 253.0f : std::max(ages[i], 0.0f) / half_life;
      const double exact = t > 252 ? 0.0 : strengths[i] * std::exp2(-double{t});
      if (exact != 0.0 && std::abs(exact) < 0x1p-126) continue;
      const float nearest = static_cast<float>(std::abs(exact));
      const double ulp = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
      Expect(exact == 0.0 ? out[i] == 0.0f : std::abs(out[i] - exact) <= 4 * ulp,
             std::string("decay is within 4 ulp by ") + table->name);
    }
  }
}

// In the order of the contract, each operation rounded by itself.
float Bound(const engram_code_query& query, const std::uint8_t* superblock, std::size_t r,
            const float* norms) {
  std::int64_t j = 0;
  for (std::size_t g = 0; g < query.groups; ++g) {
    for (std::size_t b = 0; b < 4; ++b) {
      const int codes = superblock[256 * g + 4 * r + b];
      j += query.query[8 * g + b] * (2 * (codes & 15) - 15);
      j += query.query[8 * g + 4 + b] * (2 * (codes >> 4) - 15);
    }
  }
  const std::uint8_t* trailer = superblock + 256 * std::size_t{query.groups};
  float scale;
  std::memcpy(&scale, trailer + 4 * r, sizeof scale);
  volatile float sum = static_cast<float>(j);
  volatile float term = static_cast<float>(trailer[256 + r]) * query.residual;
  sum = sum + term;
  term = static_cast<float>(trailer[320 + r]) * query.tail;
  sum = sum + term;
  volatile float bound = scale * sum;
  if (norms == nullptr) return bound;
  term = norms[r] * norms[r];
  term = term * query.norm;
  bound = bound - term;
  return bound;
}

struct Free {
  void operator()(void* at) const { std::free(at); }
};

void ExpectScan(const engram_kernels& table, const engram_code_query& query,
                const std::uint8_t* superblocks, const float* norms, std::size_t count,
                const std::vector<float>& bounds) {
  std::vector<std::uint32_t> rows(count * kRows + 16);
  std::vector<float> found(rows.size());
  const std::size_t end =
      table.scan(&query, superblocks, norms, count, rows.data(), found.data(), 0);
  std::size_t at = 0;
  for (std::size_t row = 0; row < bounds.size(); ++row) {
    if (!(bounds[row] >= query.threshold)) continue;
    Expect(at < end && rows[at] == row && std::memcmp(&found[at], &bounds[row], 4) == 0,
           std::string("a scan keeps what reaches the threshold by ") + table.name);
    ++at;
  }
  Expect(at == end, std::string("a scan keeps nothing else by ") + table.name);
}

void TryCodes(Input& input) {
  const std::uint32_t groups = 1 + input.Below(9);
  const std::size_t count = input.Below(3), pitch = groups * 256 + 384;
  std::vector<std::int8_t> codes(groups * 8);
  for (auto& code : codes) {
    code = static_cast<std::int8_t>(std::max<int>(input.Take<std::int8_t>(), -127));
  }
  const int sum = std::accumulate(codes.begin(), codes.end(), 0);
  engram_code_query query{codes.data(), groups, 15 * sum, 0, 0, 0, 0};
  query.residual = std::abs(TakeFloat(input, false));
  query.tail = std::abs(TakeFloat(input, false));
  query.norm = std::abs(TakeFloat(input, false));
  query.threshold = TakeFloat(input, true);
  const bool with_norms = input.Take<std::uint8_t>() % 2 == 1;
  const std::vector<float> norm_values = TakeFloats(input, with_norms ? count * kRows : 0, false);
  const float* norms = with_norms ? norm_values.data() : nullptr;
  const std::unique_ptr<std::uint8_t, Free> superblocks(
      static_cast<std::uint8_t*>(std::aligned_alloc(64, std::max<std::size_t>(pitch * count, 64))));
  for (std::size_t i = 0; i < pitch * count; ++i) {
    superblocks.get()[i] = input.Take<std::uint8_t>();
  }
  std::vector<float> expected;
  for (std::size_t row = 0; row < count * kRows; ++row) {
    const std::size_t block = row / kRows;
    expected.push_back(Bound(query, superblocks.get() + block * pitch, row % kRows,
                             norms == nullptr ? nullptr : norms + block * kRows));
  }
  for (const engram_kernels* table : Usable()) {
    std::vector<float> out(count * kRows);
    table->estimate(&query, superblocks.get(), norms, count, out.data());
    ExpectSame(out, expected, *table, "an estimate");
    ExpectScan(*table, query, superblocks.get(), norms, count, expected);
  }
}

void TryFine(Input& input) {
  const std::size_t d = 1 + input.Below(100), pitch = d + input.Below(5);
  const std::size_t rows = 1 + input.Below(8), count = input.Below(20);
  std::vector<std::int16_t> query(d);
  for (auto& code : query) code = static_cast<std::int16_t>(input.Take<std::int16_t>() % 4096);
  std::vector<std::int8_t> codes((rows - 1) * pitch + d);
  for (auto& code : codes) code = input.Take<std::int8_t>();
  std::vector<std::uint32_t> which(count);
  for (auto& row : which) row = input.Take<std::uint8_t>() % static_cast<std::uint32_t>(rows);
  for (const engram_kernels* table : Usable()) {
    std::vector<std::int32_t> out(count);
    table->fine(query.data(), codes.data(), pitch, d, which.data(), count, out.data());
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t sum = 0;
      for (std::size_t j = 0; j < d; ++j) sum += query[j] * codes[which[i] * pitch + j];
      Expect(out[i] == sum, std::string("a fine sum is exact by ") + table->name);
    }
  }
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engram::fuzz::Input input(data, size);
  switch (input.Take<std::uint8_t>() % 5) {
    case 0: engram::fuzz::TrySimilarity(input); break;
    case 1: engram::fuzz::TrySpreading(input); break;
    case 2: engram::fuzz::TryDecay(input); break;
    case 3: engram::fuzz::TryCodes(input); break;
    default: engram::fuzz::TryFine(input); break;
  }
  return 0;
}

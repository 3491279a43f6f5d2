// Keeps a store with a graph open for spread.py: spread_peer FROM TO WEIGHTS MEMORIES,
// the edges as raw arrays of u32, u32 and f32. Prints which kernels run; then answers each
// line of stdin: "top" with the ten most active memories after 30 steps from 64 of them,
// "time" with the seconds that each of the 100 steps after those takes, which go over
// all of the graph.
#include <chrono>
#include <cstdio>
#include <string>

#include "bench/support.h"
#include "engram/engram.h"
#include "tests/support/musique.h"

namespace engram::bench {
namespace {

SpreadOptions Steps(std::uint32_t steps) {
  SpreadOptions options;
  options.max_hops = steps;
  options.threshold = 0.0f;
  options.max_active = ~0U;
  options.k = 10;
  return options;
}

absl::StatusOr<std::unique_ptr<Store>> Make(const std::string& path, char** argv) {
  const auto from = testing::ReadArray<std::uint32_t>(argv[1]);
  const auto to = testing::ReadArray<std::uint32_t>(argv[2]);
  const auto weights = testing::ReadArray<float>(argv[3]);
  const MemoryId memories = std::stoull(argv[4]);
  StoreOptions options;
  options.dimension = 1;
  options.create_if_missing = true;
  auto store = Store::Open(options, path);
  if (!store.ok()) return store.status();
  MemoryId next = 0;
  const auto imported = (*store)->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    row->id = next;
    return next++ < memories;
  });
  if (!imported.ok()) return imported.status();
  std::size_t at = 0;
  const auto linked = (*store)->Link({}, [&](Edge* edge) -> absl::StatusOr<bool> {
    if (at == from.size()) return false;
    *edge = {.from = from[at], .to = to[at], .weight = weights[at], .type = 0};
    ++at;
    return true;
  });
  if (!linked.ok()) return linked.status();
  if (const absl::Status sealed = (*store)->Seal(); !sealed.ok()) return sealed;
  if (const absl::Status closed = (*store)->Close(); !closed.ok()) return closed;
  return Store::Open({}, path);
}

double SecondsOf(const Store& store, std::uint32_t steps, const std::vector<Seed>& seeds) {
  const auto begin = std::chrono::steady_clock::now();
  if (!store.Spread(Steps(steps), seeds).ok()) return -1;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int Run(char** argv) {
  const TempDir folder;
  const auto store = Make(folder / "s", argv);
  if (!store.ok()) return std::fprintf(stderr, "%s\n", store.status().ToString().c_str()), 1;
  std::printf("%s\n", (*store)->Stats().kernel.c_str());
  std::fflush(stdout);
  std::vector<Seed> seeds;
  const std::uint64_t memories = (*store)->Stats().memories;
  for (std::uint64_t i = 0; i < 64; ++i) seeds.push_back({.id = i * (memories / 64)});
  char line[16];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    if (std::string(line) == "top\n") {
      const auto found = (*store)->Spread(Steps(30), seeds);
      if (!found.ok()) return 1;
      for (const Recalled& memory : found->memories) {
        std::printf("%llu %.9g ", static_cast<unsigned long long>(memory.id),
                    static_cast<double>(memory.activation));
      }
    } else {
      // The seeds' look-up and the answer are in both.
      const double few = SecondsOf(**store, 30, seeds), many = SecondsOf(**store, 130, seeds);
      std::printf("%.9g", (many - few) / 100);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) { return argc == 5 ? engram::bench::Run(argv) : 2; }

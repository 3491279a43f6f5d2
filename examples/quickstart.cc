// The smallest whole program: open, put, search.
#include <cstdio>

#include "engram/engram.h"

int main(int argc, char** argv) {
  engram::StoreOptions options;
  options.dimension = 3;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, argc > 1 ? argv[1] : "memories.engram");
  if (!store.ok()) return std::fprintf(stderr, "%s\n", store.status().ToString().c_str()), 1;

  const float cat[] = {0.9f, 0.1f, 0.0f}, car[] = {0.0f, 0.2f, 0.9f};
  if (!(*store)->Put({}, 1, cat, "the cat sat").ok()) return 1;
  if (!(*store)->Put({}, 2, car, "the car stopped").ok()) return 1;

  const float query[] = {1.0f, 0.0f, 0.0f};
  auto found = (*store)->Search({}, query);
  if (!found.ok()) return 1;
  for (const engram::Hit& hit : found->hits) {
    auto memory = (*store)->Get({}, hit.id);
    if (memory.ok()) std::printf("%.4f  %s\n", hit.score, memory->payload.c_str());
  }
  return (*store)->Close().ok() ? 0 : 1;
}

// Puts two memories, finds the nearer one, and calls a kernel by itself: consumer STORE.
#include <cstdio>

#include "engram/engram.h"
#include "engram/kernels.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  engram::StoreOptions options;
  options.dimension = 3;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, argv[1]);
  if (!store.ok()) return std::fprintf(stderr, "%s\n", store.status().ToString().c_str()), 1;
  const float cat[] = {0.9f, 0.1f, 0.0f}, car[] = {0.0f, 0.2f, 0.9f}, query[] = {1.0f, 0.0f, 0.0f};
  engram::WriteBatch batch;
  batch.Put(1, cat, "cat");
  batch.Put(2, car, "car");
  if (!(*store)->Write({}, batch).ok() || !(*store)->Seal().ok()) return 1;
  auto found = (*store)->Search({}, query);
  if (!found.ok() || found->hits.empty()) return 1;
  float score = 0.0f;
  engram_vector_similarity(query, cat, &score, 3, 1);
  std::printf("%llu %s %s\n", static_cast<unsigned long long>(found->hits[0].id),
              (*store)->Stats().kernel.c_str(), score == found->hits[0].score ? "same" : "differs");
  return 0;
}

// Memories that belong together: edges, a recall along them, and the way it took.
//   associations STORE
#include <cstdio>
#include <vector>

#include "engram/engram.h"

namespace {

bool Failed(const absl::Status& status) {
  if (status.ok()) return false;
  std::fprintf(stderr, "associations: %s\n", status.ToString().c_str());
  return true;
}

absl::Status Fill(engram::Store& store) {
  const auto kind_of = store.EdgeType({}, "kind of");
  if (!kind_of.ok()) return kind_of.status();
  const float cat[] = {0.9f, 0.1f, 0.0f}, car[] = {0.0f, 0.2f, 0.9f}, fur[] = {0.1f, 0.9f, 0.1f};
  engram::WriteBatch batch;  // all of it, or nothing
  batch.Put(1, cat, "the cat sat on the mat");
  batch.Put(2, car, "the car would not start");
  batch.Put(3, fur, "animals with fur shed it in spring");
  batch.Put(4, {});  // a topic: no embedding, reached by its key and its edges alone
  batch.SetKey("cat", 1);
  batch.SetKey("shedding", 3);
  batch.SetKey("animal", 4);
  engram::Edge edge;
  edge.from = 1, edge.to = 4, edge.type = *kind_of;
  batch.PutEdge(edge);
  edge.from = 4, edge.to = 3, edge.type = 0;  // type 0 is called "link"
  batch.PutEdge(edge);
  return store.Write({}, batch);
}

// Prints "cat --kind of--> animal --link--> shedding".
absl::Status PrintPath(const engram::Store& store, const engram::Recalled& hit) {
  const auto types = store.EdgeTypes({});
  if (!types.ok()) return types.status();
  for (std::size_t i = 0; i < hit.path.size(); ++i) {
    for (const auto& [number, name] : *types) {
      if (i > 0 && number == hit.path[i].type) std::printf(" --%s--> ", name.c_str());
    }
    const auto memory = store.Get({}, hit.path[i].id);
    if (!memory.ok()) return memory.status();
    std::printf("%s", memory->keys.empty() ? memory->payload.c_str() : memory->keys[0].c_str());
  }
  std::printf("\n");
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  engram::StoreOptions options;
  options.dimension = 3;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, argc > 1 ? argv[1] : "associations.engram");
  if (Failed(store.status()) || Failed(Fill(**store))) return 1;

  const auto named = (*store)->FindNamed({}, "Why is there hair on the Cat's mat?");
  if (Failed(named.status())) return 1;
  std::vector<engram::MemoryId> ids;
  for (const engram::NamedInText& one : *named) ids.push_back(one.id);

  engram::RecallOptions recall;
  recall.named = ids;
  recall.k = 2;
  recall.spread.explain = true;
  const float cue[] = {0.8f, 0.1f, 0.3f};  // what a model makes of the question
  const auto found = (*store)->Recall(recall, cue);
  if (Failed(found.status())) return 1;
  for (const engram::Recalled& hit : found->hits) {
    const auto memory = (*store)->Get({}, hit.id);
    if (Failed(memory.status())) return 1;
    std::printf("%.2f  similarity %.2f, activation %.2f  %s\n      ", hit.score, hit.similarity,
                hit.activation, memory->payload.c_str());
    if (Failed(PrintPath(**store, hit))) return 1;
  }
  return Failed((*store)->Close()) ? 1 : 0;
}

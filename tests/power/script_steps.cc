#include <filesystem>
#include <utility>

#include "tests/power/script.h"

namespace engram::power {
namespace {

constexpr std::int64_t kLongAgo = 0;
constexpr std::int64_t kForgetAt = 1000;

Step Write(std::string name, Durability durability, WriteBatch batch,
           std::optional<std::int64_t> now = std::nullopt) {
  WriteOptions options;
  options.durability = durability;
  options.now_unix_seconds = now;
  return {.name = std::move(name),
          .makes_safe = durability,
          .run = [=](Site& site) { return site.store->Write(options, batch); },
          .apply = [=](Model& model) { return model.Apply(batch); }};
}

Step Put(MemoryId id, Durability durability, unsigned version = 0) {
  WriteBatch batch;
  batch.Put(id, VectorOf(id, version), PayloadOf(id, version));
  return Write("put " + std::to_string(id), durability, std::move(batch));
}

Step Import(std::string name, MemoryId first, MemoryId end, std::size_t payload_bytes,
            Durability makes_safe) {
  const auto key_of = [](MemoryId id) { return "imported " + std::to_string(id); };
  Step step{.name = std::move(name), .makes_safe = makes_safe, .run = {}, .apply = {}};
  step.run = [=](Site& site) {
    ImportOptions options;
    options.durability = Durability::kProcess;
    MemoryId id = first;
    std::vector<float> vector;
    std::string payload;
    std::vector<std::string> keys;
    return site.store
        ->Import(options,
                 [&](ImportRow* row) -> absl::StatusOr<bool> {
                   if (id == end) return false;
                   vector = VectorOf(id);
                   payload = PayloadOf(id, 0, payload_bytes);
                   keys.assign(id % 7 == 0 ? 1 : 0, key_of(id));
                   *row = {.id = id++, .vector = vector, .payload = payload, .keys = keys};
                   return true;
                 })
        .status();
  };
  step.apply = [=](Model& model) {
    for (MemoryId id = first; id < end; ++id) {
      model.Put(id, VectorOf(id), PayloadOf(id, 0, payload_bytes));
      if (id % 7 == 0) model.SetKey(key_of(id), id);
    }
    return true;
  };
  return step;
}

Step Link(std::string name, MemoryId first, MemoryId end) {
  std::vector<Edge> edges;
  for (MemoryId id = first; id < end; ++id) {
    edges.push_back({.from = id, .to = id + 1, .weight = static_cast<float>(id), .type = 0});
    edges.push_back({.from = 1, .to = id, .weight = 0.5f, .type = 3});
  }
  Step step{.name = std::move(name), .makes_safe = Durability::kProcess, .run = {}, .apply = {}};
  step.run = [=](Site& site) {
    std::size_t at = 0;
    return site.store
        ->Link({},
               [&](Edge* edge) -> absl::StatusOr<bool> {
                 if (at == edges.size()) return false;
                 *edge = edges[at++];
                 return true;
               })
        .status();
  };
  step.apply = [=](Model& model) {
    for (const Edge& edge : edges) {
      if (!model.memories.contains(edge.from) || !model.memories.contains(edge.to)) return false;
      model.PutEdge(edge);
    }
    return true;
  };
  return step;
}

// What `run` does changes nothing that is read.
Step Work(std::string name, std::function<absl::Status(Site&)> run,
          Durability makes_safe = Durability::kNone) {
  return {.name = std::move(name), .makes_safe = makes_safe, .run = std::move(run), .apply = {}};
}

WriteBatch FirstBatch() {
  WriteBatch batch;
  for (MemoryId id = 10; id < 20; ++id) {
    batch.Put(id, id == 15 ? std::vector<float>() : VectorOf(id), PayloadOf(id));
    batch.SetKey("key " + std::to_string(id), id);
    batch.PutEdge({.from = id, .to = 1, .weight = 2.0f, .type = 1});
    batch.PutEdge({.from = 1, .to = id, .weight = static_cast<float>(id), .type = 0});
    batch.Reinforce(id, 0.5f);
  }
  return batch;
}

WriteBatch SecondBatch() {
  WriteBatch batch;
  batch.Delete(11);
  batch.Put(12, VectorOf(12, 1), PayloadOf(12, 1));
  batch.SetKey("key 13", 14);
  batch.DeleteEdge(1, 16, 0);
  batch.PutEdge({.from = 18, .to = 19, .weight = 1.5f, .type = 2});
  batch.Reinforce(14, 0.25f);
  return batch;
}

WriteBatch DeleteRange(MemoryId first, MemoryId end) {
  WriteBatch batch;
  for (MemoryId id = first; id < end; ++id) batch.Delete(id);
  return batch;
}

Step Forget(std::vector<MemoryId> old) {
  // With nothing to forget it writes nothing, and so makes nothing safe.
  Step step{.name = "forget", .makes_safe = Durability::kNone, .run = {}, .apply = {}};
  step.run = [](Site& site) {
    ForgetOptions options;
    options.strength_below = 0.5f;
    options.strength.half_life_seconds = 100;
    options.strength.now_unix_seconds = kForgetAt;
    options.dry_run = false;
    return site.store->Forget(options).status();
  };
  step.apply = [old = std::move(old)](Model& model) {
    for (const MemoryId id : old) {
      if (model.memories.contains(id)) model.Delete(id);
    }
    return true;
  };
  return step;
}

absl::Status OpenSite(Site& site) {
  auto store = Store::Open(ScriptOptions(), site.path);
  if (store.ok()) site.store = *std::move(store);
  return store.status();
}

absl::Status CloseSite(Site& site) {
  const absl::Status closed = site.store->Close();
  site.store.reset();
  return closed;
}

Step EdgeTypeStep() {
  return {.name = "edge type",
          .makes_safe = Durability::kProcess,
          .run = [](Site& site) { return site.store->EdgeType({}, "follows").status(); },
          .apply = [](Model& model) { return (model.types[1] = "follows", true); }};
}

Step BackupStep() {
  Step step = Work("backup", [](Site& site) { return site.store->Backup({}, site.backup); });
  step.is_backup = true;
  return step;
}

}  // namespace

StoreOptions ScriptOptions(bool read_only) {
  StoreOptions options;
  if (read_only) {
    options.read_only = true;
    return options;
  }
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  options.search_threads = 1;
  options.block_cache_bytes = 1 << 20;
  return options;
}

std::vector<Step> Script() {
  const auto seal = [](Site& site) { return site.store->Seal(); };
  WriteBatch old;
  for (const MemoryId id : {30, 31}) old.Put(id, VectorOf(id), PayloadOf(id));
  WriteBatch reinforce;
  for (const MemoryId id : {1, 12, 102}) reinforce.Reinforce(id, 2.0f);
  WriteBatch large;
  large.Put(50, VectorOf(50), PayloadOf(50, 0, 40000));  // longer than a block of the log
  return {{.name = "create",
           .makes_safe = Durability::kPower,
           .run = OpenSite,
           .apply =
               [](Model& model) {
                 model.exists = true;
                 model.types[0] = "link";
                 return true;
               }},
          Put(1, Durability::kPower),
          Put(2, Durability::kProcess),
          Put(3, Durability::kNone),
          Write("batch", Durability::kProcess, FirstBatch()),
          Write("second batch", Durability::kPower, SecondBatch()),
          EdgeTypeStep(),
          Work("seal", seal),
          Put(20, Durability::kNone),
          Write("old", Durability::kProcess, old, kLongAgo),
          Import("bulk import", 100, 170, 16 * 1024, Durability::kPower),
          Put(2, Durability::kProcess, 1),
          Import("import", 200, 220, 0, Durability::kProcess),
          Link("link", 100, 130),
          Write("large", Durability::kProcess, large),
          Write("delete", Durability::kProcess, DeleteRange(110, 150)),
          Forget({30, 31}),
          Work("compact", [](Site& site) { return site.store->Compact({}); }),
          Put(21, Durability::kProcess),
          Work(
              "flush", [](Site& site) { return site.store->Flush(); }, Durability::kPower),
          Put(22, Durability::kNone),
          BackupStep(),
          Write("reinforce", Durability::kProcess, reinforce),
          Work("close", CloseSite, Durability::kPower),
          Put(23, Durability::kProcess),  // opens the store again
          Write("delete more", Durability::kNone, DeleteRange(200, 210)),
          Put(1, Durability::kPower, 2),
          Work("second seal", seal),
          Link("second link", 150, 160),
          Put(24, Durability::kProcess),
          Put(25, Durability::kNone)};
}

}  // namespace engram::power

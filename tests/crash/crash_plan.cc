#include "tests/crash/crash_plan.h"

#include <functional>
#include <sstream>
#include <string_view>
#include <utility>

namespace engram::crash {
namespace {

using power::PayloadOf;
using power::VectorOf;

constexpr MemoryId kSpan = 1'000'000'000;  // ids of a writer
constexpr std::uint64_t kRound = 16;       // commits of all kinds
constexpr std::uint64_t kKept = 3;         // rounds after which ids come again
constexpr MemoryId kPut = 100, kImported = 1000, kBare = 2000, kSmall = 3000, kOld = 4000;
constexpr MemoryId kBulk = 1'000'000;
constexpr std::uint64_t kBulkRows = 20;
constexpr std::int64_t kLongAgo = 0, kForgetAt = 1000;

// One round of a writer.
struct Round {
  Round(int writer, std::uint64_t number)
      : base(static_cast<MemoryId>(writer) * kSpan),
        round(number / kRound),
        step(number % kRound),
        version(static_cast<unsigned>(number)),
        name(std::to_string(writer)) {}

  // The i-th of a kind in the round that was `back` rounds ago.
  MemoryId Id(MemoryId kind, std::uint64_t i, std::uint64_t back = 0) const {
    return base + kind + (round + kKept - back) % kKept * 100 + i;
  }
  MemoryId BulkId(std::uint64_t i, std::uint64_t back = 0) const {
    return base + kBulk + (round - back) * kBulkRows + i;
  }
  std::string Key(const char* kind, std::uint64_t i) const {
    return name + "/" + kind + "/" + std::to_string(i);
  }
  // Every other round has files enough.
  bool HasBulk() const { return round % 2 == 0; }

  MemoryId base;
  std::uint64_t round, step;
  unsigned version;
  std::string name;
};

MemoryId DigestId(int writer) { return static_cast<MemoryId>(writer) * kSpan + 1; }

void Mix(std::uint64_t& hash, std::uint64_t with) {
  hash = (hash ^ with) * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 29;
}

void Mix(std::uint64_t& hash, std::string_view bytes) {
  Mix(hash, std::hash<std::string_view>()(bytes));
}

template <typename Number>
void MixBytes(std::uint64_t& hash, const Number* numbers, std::size_t count) {
  Mix(hash, std::string_view(reinterpret_cast<const char*>(numbers), count * sizeof(Number)));
}

// Of all but the digest.
std::uint64_t HashOf(int writer, const Model& part) {
  std::uint64_t hash = 0;
  for (const auto& [id, memory] : part.memories) {
    if (id == DigestId(writer)) continue;
    Mix(hash, id);
    MixBytes(hash, memory.vector.data(), memory.vector.size());
    Mix(hash, memory.payload);
    MixBytes(hash, &memory.strength, 1);
    for (const std::string& key : memory.keys) Mix(hash, key);
  }
  for (const auto& [edge, weight] : part.edges) {
    Mix(hash, std::get<0>(edge));
    Mix(hash, std::get<1>(edge));
    Mix(hash, std::get<2>(edge));
    MixBytes(hash, &weight, 1);
  }
  for (const auto& [number, name] : part.types) Mix(hash, name);
  return hash;
}

void PutNew(const Round& at, const Model& before, WriteBatch& batch) {
  for (std::uint64_t i = 0; i < 24; ++i) {
    const MemoryId id = at.Id(kPut, i);
    batch.Put(id, VectorOf(id, at.version), PayloadOf(id, at.version));
    batch.SetKey(at.Key("put", i), id);
    batch.Reinforce(id, 0.5f);
  }
  for (std::uint64_t i = 0; i < 24; ++i) {
    batch.PutEdge(
        {.from = at.Id(kPut, i), .to = at.Id(kPut, (i + 1) % 24), .weight = static_cast<float>(i)});
    const MemoryId last = at.Id(kPut, i, 1);
    if (before.memories.contains(last)) {
      batch.PutEdge({.from = at.Id(kPut, i), .to = last, .weight = 0.5f, .type = 2});
    }
  }
}

void Replace(const Round& at, WriteBatch& batch) {
  for (std::uint64_t i = 0; i < 6; ++i) {
    const MemoryId id = at.Id(kPut, i);
    batch.Put(id, i == 3 ? std::vector<float>() : VectorOf(id, at.version),
              PayloadOf(id, at.version));
    batch.DeleteEdge(id, at.Id(kPut, i + 1));
    batch.Reinforce(id, 0.25f);
  }
}

// Of the rounds before, so that a store does not grow.
void DeleteOld(const Round& at, const Model& before, WriteBatch& batch) {
  const auto drop = [&](MemoryId id) {
    if (before.memories.contains(id)) batch.Delete(id);
  };
  for (std::uint64_t i = 0; i < 24; ++i) drop(at.Id(kPut, i, 1 + i % 2));
  for (std::uint64_t i = 0; i < 12; ++i) drop(at.Id(kImported, i, 1));
  for (std::uint64_t i = 0; i < 5; ++i) drop(at.Id(kBare, i, 1));
  for (std::uint64_t i = 0; i < kBulkRows; ++i) {
    if (at.round > 0) drop(at.BulkId(i, 1));
  }
}

void PutSmall(const Round& at, std::size_t bytes, WriteBatch& batch) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    const MemoryId id = at.Id(kSmall, i + at.step);
    batch.Put(id, VectorOf(id, at.version), PayloadOf(id, at.version, bytes * i));
    batch.SetKey(at.Key("small", i), id);
  }
}

void ReinforceAll(const Model& before, WriteBatch& batch) {
  std::uint64_t i = 0;
  for (const auto& [id, memory] : before.memories) {
    if (++i % 5 == 0 && memory.strength < 100) batch.Reinforce(id, 0.125f);
  }
}

// What an even commit does, without its digest.
Commit Batch(int writer, std::uint64_t number, const Model& before) {
  const Round at(writer, number);
  Commit commit{.kind = Commit::Kind::kWrite};
  switch (at.step) {
    case 0: PutNew(at, before, commit.batch); break;
    case 2:
      Replace(at, commit.batch);
      commit.durability = Durability::kNone;
      break;
    case 4:
      for (std::uint64_t i = 0; i < 10; ++i) {
        commit.batch.PutEdge({.from = at.Id(kPut, i), .to = at.Id(kImported, i), .type = 1});
      }
      commit.durability = Durability::kPower;
      break;
    case 6: DeleteOld(at, before, commit.batch); break;
    case 8: PutSmall(at, 900, commit.batch); break;
    case 10:
      ReinforceAll(before, commit.batch);
      commit.durability = Durability::kNone;
      break;
    default:
      PutSmall(at, 50, commit.batch);
      commit.durability = at.step == 12 ? Durability::kNone : Durability::kProcess;
  }
  return commit;
}

Commit SmallImport(const Round& at) {
  Commit commit{.kind = Commit::Kind::kImport};
  for (std::uint64_t i = 0; i < 12; ++i) {
    const MemoryId id = at.Id(kImported, i);
    commit.rows.push_back(
        {id, VectorOf(id, at.version), PayloadOf(id, at.version), {at.Key("imported", i)}});
  }
  return commit;
}

// Large enough to be written as files.
Commit BulkImport(const Round& at) {
  Commit commit{.kind = Commit::Kind::kImport, .durability = Durability::kPower};
  for (std::uint64_t i = 0; i < kBulkRows; ++i) {
    const MemoryId id = at.BulkId(i);
    commit.rows.push_back({id,
                           VectorOf(id),
                           PayloadOf(id, 0, (std::size_t{1} << 20) / kBulkRows + 64),
                           {at.Key("bulk", id)}});
  }
  return commit;
}

Commit Links(const Round& at) {
  Commit commit{.kind = Commit::Kind::kLink};
  for (std::uint64_t i = 0; i < 12; ++i) {
    const MemoryId from = at.Id(kPut, i);
    commit.edges.push_back({.from = from, .to = at.Id(kImported, 11 - i), .weight = 3.0f});
    if (at.HasBulk()) commit.edges.push_back({.from = at.BulkId(i), .to = from, .type = 3});
    commit.edges.push_back({.from = at.Id(kBare, i % 5), .to = from, .weight = 0.25f});
  }
  return commit;
}

Commit OldOnes(const Round& at) {
  Commit commit{.kind = Commit::Kind::kWrite, .now = kLongAgo};
  for (MemoryId id = at.base + kOld; id < at.base + kOld + 9; ++id) {
    commit.batch.Put(id, VectorOf(id, at.version), PayloadOf(id, at.version));
  }
  return commit;
}

Commit Forgets(const Round& at) {
  Commit commit{.kind = Commit::Kind::kForget};
  for (MemoryId id = at.base + kOld; id < at.base + kOld + 9; ++id) commit.old.push_back(id);
  return commit;
}

// What an odd commit does.
Commit Other(int writer, std::uint64_t number) {
  const Round at(writer, number);
  switch (at.step) {
    case 1: return SmallImport(at);
    case 3: return at.HasBulk() ? BulkImport(at) : Commit();
    case 5: return Links(at);
    case 11:
      if (writer != 0) return {};
      return {.kind = Commit::Kind::kEdgeType, .type = "type " + std::to_string(at.round % 4)};
    // Forgetting looks at all memories, and the old ones are one writer's.
    case 13: return writer == 0 ? OldOnes(at) : Commit();
    case 15: return writer == 0 ? Forgets(at) : Commit();
    default: return {};
  }
}

}  // namespace

StoreOptions Options(bool read_only) {
  StoreOptions options;
  if (read_only) {
    options.read_only = true;
    return options;
  }
  options.dimension = power::kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  options.search_threads = 1;
  return options;
}

Commit CommitOf(int writer, std::uint64_t number, const Model& before) {
  if (number % 2 == 1) return Other(writer, number);
  Commit commit = Batch(writer, number, before);
  const Model after = After(commit, before);
  const Model next = After(Other(writer, number + 1), after);
  commit.batch.Put(DigestId(writer), VectorOf(DigestId(writer)),
                   std::to_string(number) + " " + std::to_string(HashOf(writer, after)) + " " +
                       std::to_string(HashOf(writer, next)));
  return commit;
}

Model After(const Commit& commit, Model before) {
  const auto bare = [&](MemoryId id) { before.memories.try_emplace(id); };
  switch (commit.kind) {
    case Commit::Kind::kNothing: break;
    case Commit::Kind::kWrite: before.Apply(commit.batch); break;
    case Commit::Kind::kImport:
      for (const Row& row : commit.rows) {
        before.Put(row.id, row.vector, row.payload);
        for (const std::string& key : row.keys) before.SetKey(key, row.id);
      }
      break;
    case Commit::Kind::kLink:
      for (const Edge& edge : commit.edges) {
        bare(edge.from);
        bare(edge.to);
        before.PutEdge(edge);
      }
      break;
    case Commit::Kind::kForget:
      for (const MemoryId id : commit.old) before.Delete(id);
      break;
    case Commit::Kind::kEdgeType: {
      for (const auto& [number, name] : before.types) {
        if (name == commit.type) return before;
      }
      const auto number = static_cast<std::uint32_t>(before.types.size());
      before.types[number] = commit.type;
    }
  }
  return before;
}

absl::Status Carry(Store& store, const Commit& commit) {
  std::size_t at = 0;
  switch (commit.kind) {
    case Commit::Kind::kNothing: return absl::OkStatus();
    case Commit::Kind::kWrite: {
      WriteOptions options;
      options.durability = commit.durability;
      options.now_unix_seconds = commit.now;
      return store.Write(options, commit.batch);
    }
    case Commit::Kind::kImport: {
      ImportOptions options;
      options.durability = commit.durability;
      const auto next = [&](ImportRow* row) -> absl::StatusOr<bool> {
        if (at == commit.rows.size()) return false;
        const Row& from = commit.rows[at++];
        *row = {from.id, from.vector, from.payload, from.keys};
        return true;
      };
      return store.Import(options, next).status();
    }
    case Commit::Kind::kLink: {
      LinkOptions options;
      options.create_missing = true;
      const auto next = [&](Edge* edge) -> absl::StatusOr<bool> {
        if (at == commit.edges.size()) return false;
        *edge = commit.edges[at++];
        return true;
      };
      return store.Link(options, next).status();
    }
    case Commit::Kind::kForget: {
      ForgetOptions options;
      options.strength_below = 0.5f;
      options.strength.half_life_seconds = 100;
      options.strength.now_unix_seconds = kForgetAt;
      options.dry_run = false;
      return store.Forget(options).status();
    }
    case Commit::Kind::kEdgeType: return store.EdgeType({}, commit.type).status();
  }
  return absl::InternalError("no such kind of commit");
}

Model PartOf(const Model& all, int writer) {
  const MemoryId begin = static_cast<MemoryId>(writer) * kSpan;
  Model part;
  part.exists = true;
  part.memories.insert(all.memories.lower_bound(begin), all.memories.lower_bound(begin + kSpan));
  part.edges.insert(all.edges.lower_bound({begin, 0, 0}),
                    all.edges.lower_bound({begin + kSpan, 0, 0}));
  if (writer == 0) part.types = all.types;
  return part;
}

std::array<Model, kWriters> Parts(const Model& all) {
  std::array<Model, kWriters> parts;
  for (int writer = 0; writer < kWriters; ++writer) {
    parts[static_cast<std::size_t>(writer)] = PartOf(all, writer);
  }
  return parts;
}

std::optional<std::uint64_t> LastCommit(int writer, const Model& part) {
  const auto digest = part.memories.find(DigestId(writer));
  const std::uint64_t hash = HashOf(writer, part);
  if (digest == part.memories.end()) {
    Model none;
    if (writer == 0) none.types[0] = "link";
    return hash == HashOf(writer, none) ? std::make_optional<std::uint64_t>(0) : std::nullopt;
  }
  std::istringstream in(digest->second.payload);
  std::uint64_t number = 0, after = 0, next = 0;
  in >> number >> after >> next;
  if (hash == next) return number + 1;
  return hash == after ? std::make_optional(number) : std::nullopt;
}

}  // namespace engram::crash

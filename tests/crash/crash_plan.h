// What each writer of the crash test commits, one commit after the other: a function of the
// number of the commit and of what the commits before left, so that the writer and whoever
// checks its store come to the same. And the digest in every store that tells a state of it
// from a mix of two.
#ifndef ENGRAM_TESTS_CRASH_CRASH_PLAN_H_
#define ENGRAM_TESTS_CRASH_CRASH_PLAN_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "tests/power/store_model.h"

namespace engram::crash {

using power::Model;

// Writers share a store and nothing in it: each has ids and keys of its own, edges between its
// own memories, and the first one has the edge types.
inline constexpr int kWriters = 2;

StoreOptions Options(bool read_only = false);

struct Row {
  MemoryId id;
  std::vector<float> vector;
  std::string payload;
  std::vector<std::string> keys;
};

struct Commit {
  enum class Kind : std::uint8_t {
    kNothing,  // the number is passed over
    kWrite,    // `batch`
    kImport,   // `rows`
    kLink,     // `edges`, which make memories that are missing
    kForget,   // what was last used before anything else: `old`, if it is still there
    kEdgeType,
  };
  Kind kind = Kind::kNothing;
  Durability durability = Durability::kProcess;
  std::optional<std::int64_t> now = std::nullopt;
  WriteBatch batch = {};
  std::vector<Row> rows = {};
  std::vector<Edge> edges = {};
  std::vector<MemoryId> old = {};
  std::string type = {};
};

// Commit `number` of `writer`, whose part of the store is `before`. Every even one is a batch.
Commit CommitOf(int writer, std::uint64_t number, const Model& before);

Model After(const Commit& commit, Model before);

absl::Status Carry(Store& store, const Commit& commit);

// What a writer says of each commit that was acknowledged, by the bytes of this on stdout.
struct Ack {
  std::uint64_t writer;
  std::uint64_t number;
};

// What there is of a writer.
Model PartOf(const Model& all, int writer);
std::array<Model, kWriters> Parts(const Model& all);

// Returns: by its digest, the number of the commit after which `part` was whole; nullopt: it
// is what no commit has left.
std::optional<std::uint64_t> LastCommit(int writer, const Model& part);

}  // namespace engram::crash

#endif  // ENGRAM_TESTS_CRASH_CRASH_PLAN_H_

// A plain model of what a store holds, and the reading of all of it from a store.
#ifndef ENGRAM_TESTS_POWER_STORE_MODEL_H_
#define ENGRAM_TESTS_POWER_STORE_MODEL_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "engram/engram.h"

namespace engram::power {

inline constexpr std::uint32_t kDimension = 8;

struct ModelMemory {
  std::vector<float> vector;
  std::string payload;
  std::set<std::string> keys;
  float strength = 1.0f;  // without decay

  bool operator==(const ModelMemory&) const = default;
};

struct Model {
  bool exists = false;  // the store does
  std::map<MemoryId, ModelMemory> memories;
  std::map<std::tuple<MemoryId, std::uint32_t, MemoryId>, float> edges;  // from, type, to
  std::map<std::uint32_t, std::string> types;

  bool operator==(const Model&) const = default;

  void Put(MemoryId id, const std::vector<float>& vector, const std::string& payload);
  void SetKey(const std::string& key, MemoryId id);
  void PutEdge(const Edge& edge) { edges[{edge.from, edge.type, edge.to}] = edge.weight; }
  void Delete(MemoryId id);
  // Applies all of `batch`. Returns: false where it must be refused; then the model is of no use.
  bool Apply(const WriteBatch& batch);

  // One word for how it is, for messages.
  std::string Summary() const;
};

// Embeddings and payloads differ from id to id and version to version.
std::vector<float> VectorOf(MemoryId id, unsigned version = 0);
std::string PayloadOf(MemoryId id, unsigned version = 0, std::size_t bytes = 0);

// All of `store`, or of a snapshot. Fails where a call of it does, or where two calls disagree;
// without a snapshot nobody may write meanwhile.
absl::StatusOr<Model> ReadAll(const Store& store, const ReadOptions& at = {});

// Expects what `store` finds for known vectors to be the brute force over `model`, and Verify
// to find nothing.
void CheckAnswers(const Store& store, const Model& model);

}  // namespace engram::power

#endif  // ENGRAM_TESTS_POWER_STORE_MODEL_H_

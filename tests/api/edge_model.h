// A store with edges as a naive model has it, and random changes of both together.
#ifndef ENGRAM_TESTS_API_EDGE_MODEL_H_
#define ENGRAM_TESTS_API_EDGE_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "tests/support/plain_recall.h"

namespace engram::testing {

inline constexpr std::uint32_t kEdgeModelDimension = 5;
inline constexpr MemoryId kEdgeModelIds = 70;

struct ModelState {
  struct Memory {
    std::vector<float> vector;
    std::int64_t put_at = 0;
    std::uint64_t added = 0;  // in steps of 2^-20
    std::optional<std::int64_t> reinforced_at;
    std::set<std::string> keys;
  };
  std::map<MemoryId, Memory> memories;
  PlainEdges edges;

  void Put(MemoryId id, const std::vector<float>& vector, std::int64_t now);
  void Delete(MemoryId id);
  void Reinforce(MemoryId id, float amount, std::int64_t now);
  void SetKey(const std::string& key, MemoryId id);
  double StrengthOf(MemoryId id, const StrengthOptions& options) const;
  // As RecallPlainly() takes them.
  std::map<MemoryId, PlainMemory> PlainMemories(const StrengthOptions& options) const;
};

// Makes the same random change of a store and of a model.
class EdgeModelWriter {
 public:
  explicit EdgeModelWriter(unsigned seed) : random_(seed) {}

  // Puts, deletes, edges, keys and reinforcements in one batch; one of six is refused whole.
  void WriteBatchOfAll(Store& store, ModelState& model);
  // Some edges through Link(), one of four times with an end that is missing.
  void LinkSome(Store& store, ModelState& model);
  void ForgetSome(Store& store, ModelState& model);

  std::vector<float> Vector();
  std::uint64_t Random(std::uint64_t below) { return random_() % below; }
  Edge RandomEdge();
  std::int64_t now() const { return now_; }

 private:
  MemoryId Pick(const ModelState& model);
  void AddChange(WriteBatch& batch, ModelState& next, bool create_missing);
  // Makes of `edge` one that the model allows, unless missing ends are made.
  void PutEdge(Edge& edge, ModelState& next, bool create_missing, std::int64_t now);

  std::mt19937_64 random_;
  std::int64_t now_ = 1000;
};

// Everything the store says of edges, strengths and names, against the model.
void CheckEdgeState(const Store& store, const ReadOptions& options, const ModelState& model,
                    std::int64_t now);
// One random spread and one random recall against the plain ones.
void CheckSpread(const Store& store, const ReadOptions& options, const ModelState& model,
                 EdgeModelWriter& random);
void CheckRecall(const Store& store, const ReadOptions& options, const ModelState& model,
                 Metric metric, EdgeModelWriter& random);

// Returns: all that a fixed set of spreads and recalls answers, bit by bit.
std::string AnswerBits(const Store& store, const ReadOptions& options, const ModelState& model);

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_API_EDGE_MODEL_H_

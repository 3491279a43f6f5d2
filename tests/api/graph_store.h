// A store with a random graph in it, for tests of spreading and recall.
#ifndef ENGRAM_TESTS_API_GRAPH_STORE_H_
#define ENGRAM_TESTS_API_GRAPH_STORE_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "tests/support/plain_recall.h"
#include "tests/support/temp_dir.h"

namespace engram::testing {

inline constexpr std::uint32_t kGraphDimension = 19;

inline std::vector<float> RandomVector(std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(kGraphDimension);
  for (float& value : vector) value = normal(random);
  return vector;
}

class GraphStore {
 public:
  explicit GraphStore(Metric metric = Metric::kCosine) : metric_(metric) { Open(); }

  void Open(const std::string& kernels = "", std::uint32_t threads = 0) {
    store_.reset();
    StoreOptions options;
    options.dimension = kGraphDimension;
    options.metric = metric_;
    options.create_if_missing = true;
    options.rows_per_block = 64;
    options.kernels = kernels;
    options.search_threads = threads;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }

  void Put(MemoryId id, const std::vector<float>& vector) {
    memories[id].vector = vector;
    const absl::Status status = store_->Put({}, id, vector);
    ASSERT_TRUE(status.ok()) << status;
  }

  void Link(const std::vector<Edge>& list) {
    std::size_t at = 0;
    const auto report = store_->Link({}, [&](Edge* edge) -> absl::StatusOr<bool> {
      if (at == list.size()) return false;
      *edge = list[at++];
      edges[{edge->from, edge->type, edge->to}] = edge->weight;
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
  }

  // Memories 0 to `count` - 1, every `bare`th without an embedding, each with 1 to 12 edges.
  void FillAtRandom(MemoryId count, unsigned seed, MemoryId bare = 5) {
    std::printf("seed %u\n", seed);
    std::mt19937 random(seed);
    for (MemoryId id = 0; id < count; ++id) {
      Put(id, id % bare == 0 ? std::vector<float>() : RandomVector(random));
    }
    std::vector<Edge> list;
    for (MemoryId id = 0; id < count; ++id) {
      for (std::uint64_t i = 1 + random() % 12; i > 0; --i) {
        list.push_back({.from = id,
                        .to = random() % count,
                        .weight = static_cast<float>(1 + random() % 1000) / 300.0f,
                        .type = static_cast<std::uint32_t>(random() % 3)});
      }
    }
    Link(list);
  }

  SpreadResults Spread(const SpreadOptions& options, const std::vector<Seed>& seeds) {
    auto found = store_->Spread(options, seeds);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : SpreadResults();
  }
  RecallResults Recall(const RecallOptions& options, const std::vector<float>& cue) {
    auto found = store_->Recall(options, cue);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : RecallResults();
  }

  std::map<MemoryId, PlainMemory> memories;
  PlainEdges edges;

 private:
  const Metric metric_;
  TempDir dir_;
  std::string path_ = dir_ / "s";
  std::unique_ptr<Store> store_;
};

// Returns: ids and the bits of every number, so that equal strings are equal answers.
inline std::string BitsOf(const std::vector<Recalled>& memories) {
  std::string bits;
  for (const Recalled& memory : memories) {
    bits += std::to_string(memory.id);
    for (const float value :
         {memory.score, memory.similarity, memory.activation, memory.strength}) {
      bits += " " + std::to_string(std::bit_cast<std::uint32_t>(value));
    }
    bits += " " + std::to_string(memory.hops) + " " + std::to_string(memory.via) + "\n";
  }
  return bits;
}

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_API_GRAPH_STORE_H_

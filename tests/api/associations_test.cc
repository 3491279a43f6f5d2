// Edges, spreading and recall through the public API: what each function promises,
// and what bad input gets.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using absl::StatusCode;

class AssociationsTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    StoreOptions options;
    options.dimension = 4;
    options.create_if_missing = true;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Put(MemoryId id, std::size_t axis) {
    std::vector<float> vector(4, 0.0f);
    vector[axis] = 1.0f;
    ASSERT_TRUE(store_->Put({}, id, vector, "memory " + std::to_string(id)).ok());
  }
  absl::Status PutEdge(MemoryId from, MemoryId to, float weight = 1.0f, std::uint32_t type = 0) {
    WriteBatch batch;
    batch.PutEdge({.from = from, .to = to, .weight = weight, .type = type});
    return store_->Write({}, batch);
  }
  std::vector<Edge> Edges(MemoryId id, Direction direction) {
    const auto edges = store_->Neighbors({}, id, direction);
    EXPECT_TRUE(edges.ok()) << edges.status();
    return edges.ok() ? *edges : std::vector<Edge>();
  }

  testing::TempDir dir_;
  std::string path_ = dir_ / "store";
  std::unique_ptr<Store> store_;
};

TEST_F(AssociationsTest, EdgesAreReadInBothDirectionsSealedOrNot) {
  for (MemoryId id = 1; id <= 3; ++id) Put(id, id);
  ASSERT_TRUE(PutEdge(1, 2, 0.5f).ok());
  ASSERT_TRUE(PutEdge(1, 3, 2.0f, 7).ok());
  ASSERT_TRUE(PutEdge(3, 2, 1.0f, 300).ok());
  for (const char* state : {"fresh", "sealed", "reopened"}) {
    SCOPED_TRACE(state);
    if (state == std::string("sealed")) {
      ASSERT_TRUE(store_->Seal().ok());
      EXPECT_EQ(store_->Stats().sealed_edges, 3u);
      EXPECT_EQ(store_->Stats().edge_changes, 0u);
    } else if (state == std::string("reopened")) {
      ASSERT_TRUE(store_->Close().ok());
      Open();
    }
    const auto out = Edges(1, Direction::kOut);
    ASSERT_EQ(out.size(), 2u);
    EXPECT_EQ(out[0].to, 2u);
    EXPECT_EQ(out[0].weight, 0.5f);
    EXPECT_EQ(out[1].to, 3u);
    EXPECT_EQ(out[1].type, 7u);
    const auto in = Edges(2, Direction::kIn);
    ASSERT_EQ(in.size(), 2u);
    EXPECT_EQ(in[0].from, 1u);
    EXPECT_EQ(in[1].from, 3u);
    EXPECT_EQ(in[1].type, 300u);
    const auto report = store_->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
    EXPECT_EQ(report->edges, 3u);
  }
}

TEST_F(AssociationsTest, ADeletedMemoryTakesItsEdgesAndReturnsWithoutThem) {
  for (MemoryId id = 1; id <= 3; ++id) Put(id, id);
  ASSERT_TRUE(PutEdge(1, 2).ok());
  ASSERT_TRUE(PutEdge(2, 3).ok());
  ASSERT_TRUE(PutEdge(3, 1).ok());
  ASSERT_TRUE(store_->Seal().ok());
  ASSERT_TRUE(store_->Delete({}, 2).ok());
  EXPECT_TRUE(Edges(1, Direction::kOut).empty());
  EXPECT_TRUE(Edges(3, Direction::kIn).empty());
  Put(2, 0);
  EXPECT_TRUE(Edges(2, Direction::kOut).empty());
  EXPECT_TRUE(Edges(2, Direction::kIn).empty());
  EXPECT_EQ(Edges(3, Direction::kOut).size(), 1u);
  ASSERT_TRUE(store_->Compact({}).ok());
  EXPECT_EQ(store_->Stats().sealed_edges, 1u);
}

TEST_F(AssociationsTest, ADeletionIsAChangeOfEdgesOnlyWhereThereMayBeSome) {
  for (MemoryId id = 1; id <= 9; ++id) Put(id, id % 4);
  ASSERT_TRUE(PutEdge(1, 2).ok());
  ASSERT_TRUE(store_->Seal().ok());
  ASSERT_TRUE(PutEdge(3, 4).ok());
  const auto changes_of = [&](const WriteBatch& batch) {
    const std::uint64_t before = store_->Stats().edge_changes;
    const absl::Status status = store_->Write({}, batch);
    EXPECT_TRUE(status.ok()) << status;
    return store_->Stats().edge_changes - before;
  };
  const auto changes_of_deletion = [&](MemoryId id) {
    WriteBatch batch;
    batch.Delete(id);
    return changes_of(batch);
  };
  EXPECT_EQ(changes_of_deletion(5), 0u);
  EXPECT_EQ(changes_of_deletion(2), 1u);  // sealed, coming in
  EXPECT_EQ(changes_of_deletion(3), 1u);  // not sealed, going out
  // One that this very batch has linked; one after a batch that was refused, and linked it.
  WriteBatch linked;
  linked.PutEdge({.from = 6, .to = 7});
  linked.Delete(7);
  EXPECT_EQ(changes_of(linked), 2u);
  WriteBatch refused;
  refused.PutEdge({.from = 8, .to = 9});
  refused.Delete(9);
  refused.Delete(100);
  EXPECT_FALSE(store_->Write({}, refused).ok());
  EXPECT_EQ(changes_of_deletion(9), 0u);
  for (const MemoryId id : {1, 4, 6}) {
    EXPECT_TRUE(Edges(id, Direction::kOut).empty());
    EXPECT_TRUE(Edges(id, Direction::kIn).empty());
  }
  ASSERT_TRUE(store_->Close().ok());
  Open();
  for (const MemoryId id : {2, 3, 5, 7, 9}) Put(id, 0);
  for (MemoryId id = 1; id <= 9; ++id) EXPECT_TRUE(Edges(id, Direction::kOut).empty()) << id;
  EXPECT_TRUE(store_->Verify({})->findings.empty());
}

TEST_F(AssociationsTest, StatsCountWhatReadersMakeInMemory) {
  for (MemoryId id = 0; id < 2000; ++id) Put(id, id % 4);
  ASSERT_TRUE(store_->Seal().ok());
  // Fewer than are sealed in the background.
  WriteBatch batch;
  for (MemoryId id = 0; id < 2000; ++id) {
    for (MemoryId i = 1; i <= 30; ++i) batch.PutEdge({.from = id, .to = (id + i) % 2000});
  }
  ASSERT_TRUE(store_->Write({}, batch).ok());
  const std::uint64_t before = store_->Stats().bytes_heap;
  const Seed seed{.id = 7};
  ASSERT_TRUE(store_->Spread({}, {&seed, 1}).ok());
  // 60,000 edges in lists, a row and the arrays of a spreading for each memory.
  const std::uint64_t made = store_->Stats().bytes_heap - before;
  EXPECT_GT(made, 60'000u * 12 + 2000u * (8 + 21));
  EXPECT_LT(made, 10'000'000u);  // with what RocksDB has read meanwhile
  ASSERT_TRUE(store_->Seal().ok());
  EXPECT_LT(store_->Stats().bytes_heap, before + 2'000'000);
}

TEST_F(AssociationsTest, SpreadFollowsTheDefinition) {
  for (MemoryId id = 1; id <= 3; ++id) Put(id, id);
  ASSERT_TRUE(PutEdge(1, 2, 3.0f).ok());
  ASSERT_TRUE(PutEdge(1, 3, 1.0f).ok());
  SpreadOptions options;
  options.max_hops = 1;
  options.restart = 0.5f;
  options.explain = true;
  const Seed seed{.id = 1, .activation = 8.0f};
  const auto found = store_->Spread(options, {&seed, 1});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->memories.size(), 3u);
  EXPECT_EQ(found->memories[0].id, 1u);
  EXPECT_FLOAT_EQ(found->memories[0].activation, 0.5f);
  EXPECT_EQ(found->memories[0].hops, 0u);
  EXPECT_EQ(found->memories[1].id, 2u);
  EXPECT_FLOAT_EQ(found->memories[1].activation, 0.375f);
  EXPECT_EQ(found->memories[1].hops, 1u);
  EXPECT_EQ(found->memories[1].via, 1u);
  ASSERT_EQ(found->memories[1].path.size(), 2u);
  EXPECT_EQ(found->memories[1].path[0].id, 1u);
  EXPECT_EQ(found->memories[1].path[1].weight, 3.0f);
  EXPECT_FLOAT_EQ(found->memories[2].activation, 0.125f);
}

TEST_F(AssociationsTest, RecallFindsWhatBelongsToTheCue) {
  for (MemoryId id = 1; id <= 4; ++id) Put(id, id - 1);
  ASSERT_TRUE(PutEdge(1, 3).ok());
  RecallOptions options;
  options.k = 2;
  options.seeds.k = 1;
  const std::vector<float> cue{1.0f, 0.1f, 0.0f, 0.0f};
  const auto found = store_->Recall(options, cue);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 2u);
  EXPECT_EQ(found->hits[0].id, 1u);
  EXPECT_EQ(found->hits[1].id, 3u);  // unlike the cue, and linked
  EXPECT_EQ(found->hits[1].via, 1u);
  EXPECT_EQ(found->hits[1].hops, 1u);
  EXPECT_FLOAT_EQ(found->hits[0].similarity, 1.0f / std::sqrt(1.01f));
}

TEST_F(AssociationsTest, ReinforcementAddsUpAndTimeTakesItAway) {
  WriteOptions then;
  then.now_unix_seconds = 1000;
  const std::vector<float> axis{1.0f, 0.0f, 0.0f, 0.0f};
  ASSERT_TRUE(store_->Put(then, 1, axis).ok());
  WriteBatch batch;
  batch.Reinforce(1, 2.0f);
  batch.Reinforce(1, 1.0f);
  then.now_unix_seconds = 2000;
  ASSERT_TRUE(store_->Write(then, batch).ok());
  RecallOptions options;
  options.strength.half_life_seconds = 100;
  options.strength.now_unix_seconds = 2200;
  const auto found = store_->Recall(options, axis);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 1u);
  EXPECT_FLOAT_EQ(found->hits[0].strength, 1.0f);  // 4 at 2000, two half-lives ago
}

TEST_F(AssociationsTest, ForgetDeletesWhatHasFaded) {
  WriteOptions then;
  for (MemoryId id = 1; id <= 4; ++id) {
    then.now_unix_seconds = static_cast<std::int64_t>(id) * 1000;
    ASSERT_TRUE(store_->Put(then, id, {}).ok());
  }
  ForgetOptions options;
  options.strength_below = 0.5f;
  options.strength.half_life_seconds = 1000;
  options.strength.now_unix_seconds = 4000;
  auto report = store_->Forget(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->forgotten, 2u);
  EXPECT_EQ(store_->Stats().memories, 4u);
  options.dry_run = false;
  report = store_->Forget(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->forgotten, 2u);
  EXPECT_EQ(store_->Stats().memories, 2u);
  EXPECT_EQ(store_->Get({}, 1).status().code(), StatusCode::kNotFound);
}

TEST_F(AssociationsTest, FindsNamesInText) {
  Put(1, 0);
  WriteBatch batch;
  batch.SetKey("New York", 1);
  batch.SetKey("york", 1);
  ASSERT_TRUE(store_->Write({}, batch).ok());
  const auto named = store_->FindNamed({}, "Who runs new york's trains?");
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_EQ(named->size(), 1u);
  EXPECT_EQ((*named)[0].key, "New York");
  ASSERT_TRUE(store_->Delete({}, 1).ok());
  EXPECT_TRUE(store_->FindNamed({}, "york")->empty());
}

TEST_F(AssociationsTest, EdgeTypesHaveNames) {
  EXPECT_EQ(*store_->EdgeType({}, "link"), 0u);
  EXPECT_EQ(*store_->EdgeType({}, "part of"), 1u);
  EXPECT_EQ(*store_->EdgeType({}, "kind of"), 2u);
  EXPECT_EQ(*store_->EdgeType({}, "part of"), 1u);
  EXPECT_EQ(store_->EdgeTypes({})->size(), 3u);
}

}  // namespace
}  // namespace engram

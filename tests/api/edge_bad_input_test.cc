// Edges, seeds and options that must be refused: by which code, naming what, and the store
// afterwards as it was before. And graphs that are odd but allowed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using absl::StatusCode;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

void ExpectStatus(const absl::Status& status, StatusCode code,
                  const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(std::string(status.message()).find(part), std::string::npos)
        << "no \"" << part << "\" in: " << status;
  }
}

class EdgeBadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.dimension = 2;
    options.create_if_missing = true;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    WriteBatch batch;
    for (MemoryId id = 1; id <= 3; ++id) batch.Put(id, std::vector<float>{1, 2});
    batch.PutEdge({.from = 1, .to = 2, .weight = 0.5f});
    ASSERT_TRUE(store_->Write({}, batch).ok());
  }

  void ExpectAsBefore() {
    EXPECT_EQ(store_->Stats().memories, 3u);
    std::size_t edges = 0;
    for (MemoryId id = 1; id <= 3; ++id) {
      const auto out = store_->Neighbors({}, id, Direction::kOut);
      ASSERT_TRUE(out.ok()) << out.status();
      edges += out->size();
    }
    EXPECT_EQ(edges, 1u);
    EXPECT_EQ((*store_->Neighbors({}, 1, Direction::kOut))[0].weight, 0.5f);
    EXPECT_TRUE(store_->Verify({})->findings.empty());
  }

  // Refused as the second entry of a batch and as the third edge of a Link().
  void ExpectEdgeRefused(const Edge& edge, StatusCode code, const std::vector<std::string>& parts) {
    WriteBatch batch;
    batch.PutEdge({.from = 1, .to = 2, .weight = 9.0f});
    batch.PutEdge(edge);
    batch.Delete(3);
    ExpectStatus(store_->Write({}, batch), code, parts);
    std::vector<std::string> linked = parts;
    linked.push_back("edge 2");
    if (code == StatusCode::kInvalidArgument) {
      ExpectStatus(store_->Write({}, batch), code, {"entry 1"});
    }
    ExpectStatus(Link({{.from = 1, .to = 2, .weight = 9.0f}, {.from = 2, .to = 3}, edge}).status(),
                 code, linked);
    ExpectAsBefore();
  }

  absl::StatusOr<LinkReport> Link(const std::vector<Edge>& edges, const LinkOptions& options = {}) {
    std::size_t at = 0;
    return store_->Link(options, [&](Edge* edge) -> absl::StatusOr<bool> {
      if (at == edges.size()) return false;
      *edge = edges[at++];
      return true;
    });
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::unique_ptr<Store> store_;
};

TEST_F(EdgeBadInput, EndsThatDoNotExistAreNamed) {
  ExpectEdgeRefused({.from = 1, .to = 77}, StatusCode::kNotFound, {"edge from 1 to 77", "id 77"});
  ExpectEdgeRefused({.from = 78, .to = 1}, StatusCode::kNotFound, {"edge from 78 to 1", "id 78"});
  ExpectEdgeRefused({.from = 79, .to = 79}, StatusCode::kNotFound, {"id 79"});
  // What a batch deletes is gone for what comes after it.
  WriteBatch batch;
  batch.Delete(2);
  batch.PutEdge({.from = 1, .to = 2});
  ExpectStatus(store_->Write({}, batch), StatusCode::kNotFound, {"edge from 1 to 2", "id 2"});
  for (const Direction direction : {Direction::kOut, Direction::kIn}) {
    ExpectStatus(store_->Neighbors({}, 77, direction).status(), StatusCode::kNotFound, {"id 77"});
  }
  WriteBatch harmless;
  harmless.DeleteEdge(77, 1);
  harmless.DeleteEdge(1, 77);
  harmless.DeleteEdge(1, 2, 5);
  EXPECT_TRUE(store_->Write({}, harmless).ok());
  ExpectAsBefore();
}

TEST_F(EdgeBadInput, WeightsAndAmountsOutOfRange) {
  for (const float weight : {kNan, -kNan, kInfinity, -kInfinity, -1.0f, -1e-45f}) {
    ExpectEdgeRefused({.from = 1, .to = 3, .weight = weight}, StatusCode::kInvalidArgument,
                      {"edge from 1 to 3", "the weight is", "finite and not negative"});
  }
  for (const float amount : {kNan, 0.0f, -1.0f, kInfinity, std::nextafter(kMaxStrength, 2e3f)}) {
    WriteBatch batch;
    batch.PutEdge({.from = 3, .to = 1});
    batch.Reinforce(1, amount);
    ExpectStatus(store_->Write({}, batch), StatusCode::kInvalidArgument,
                 {"entry 1, id 1", "the amount is", "1024"});
  }
  WriteBatch batch;
  batch.Reinforce(77, 1.0f);
  ExpectStatus(store_->Write({}, batch), StatusCode::kNotFound, {"id 77"});
  ExpectAsBefore();
}

TEST_F(EdgeBadInput, CreateMissingMakesBareMemoriesOrNothing) {
  WriteOptions options;
  options.create_missing = true;
  WriteBatch batch;
  batch.PutEdge({.from = 50, .to = 51});
  batch.PutEdge({.from = 51, .to = 51, .weight = kNan});
  ExpectStatus(store_->Write(options, batch), StatusCode::kInvalidArgument, {"entry 1"});
  batch.Clear();
  batch.PutEdge({.from = 50, .to = 51});
  batch.Delete(77);
  ExpectStatus(store_->Write(options, batch), StatusCode::kNotFound, {"id 77"});
  ExpectAsBefore();
  batch.Clear();
  batch.PutEdge({.from = 50, .to = 50});
  batch.PutEdge({.from = 1, .to = 51});
  ASSERT_TRUE(store_->Write(options, batch).ok());
  EXPECT_EQ(store_->Stats().memories, 5u);
  EXPECT_EQ(store_->Stats().rows, 3u);
  EXPECT_TRUE(store_->Get({}, 50)->vector.empty());
  EXPECT_TRUE(store_->Verify({})->findings.empty());
}

TEST_F(EdgeBadInput, OfEqualEdgesInABatchTheLastWins) {
  WriteBatch batch;
  batch.PutEdge({.from = 2, .to = 3, .weight = 1});
  batch.PutEdge({.from = 2, .to = 3, .weight = 4});
  batch.PutEdge({.from = 2, .to = 3, .weight = 7, .type = 1});
  batch.DeleteEdge(2, 3, 1);
  batch.PutEdge({.from = 2, .to = 3, .weight = 2});
  batch.DeleteEdge(1, 2);
  batch.PutEdge({.from = 1, .to = 2, .weight = 3});
  ASSERT_TRUE(store_->Write({}, batch).ok());
  for (const bool sealed : {false, true}) {
    if (sealed) {
      ASSERT_TRUE(store_->Seal().ok());
    }
    const auto in = store_->Neighbors({}, 3, Direction::kIn);
    ASSERT_EQ(in->size(), 1u);
    EXPECT_EQ((*in)[0].weight, 2.0f);
    EXPECT_EQ((*store_->Neighbors({}, 1, Direction::kOut))[0].weight, 3.0f);
    EXPECT_EQ(store_->Verify({})->edges, 2u);
  }
}

TEST_F(EdgeBadInput, SeedsAndNamesAreChecked) {
  const auto spread = [&](const Seed& seed) {
    const Seed seeds[] = {{.id = 1}, seed};
    return store_->Spread({}, seeds).status();
  };
  ExpectStatus(spread({.id = 77}), StatusCode::kNotFound, {"id 77"});
  ExpectStatus(spread({.id = 77, .activation = 0}), StatusCode::kNotFound, {"id 77"});
  for (const float activation : {kNan, -1.0f, kInfinity, -kInfinity}) {
    ExpectStatus(spread({.id = 2, .activation = activation}), StatusCode::kInvalidArgument,
                 {"seed 1, id 2", "activation", "finite and not negative"});
  }
  RecallOptions recall;
  const MemoryId named[] = {1, 77};
  recall.named = named;
  ExpectStatus(store_->Recall(recall, {}).status(), StatusCode::kNotFound, {"id 77"});
  ExpectStatus(store_->Recall({}, std::vector<float>{1, 2, 3}).status(),
               StatusCode::kInvalidArgument, {"the cue", "3 values", "dimension is 2"});
  ExpectStatus(store_->Recall({}, std::vector<float>{1, kNan}).status(),
               StatusCode::kInvalidArgument, {"the cue"});
  ExpectStatus(store_->Recall({}, std::vector<float>{0, 0}).status(), StatusCode::kInvalidArgument,
               {"the cue"});
}

TEST_F(EdgeBadInput, OptionsOfSpreadAndRecallAreNamed) {
  const auto refused = [&](std::vector<std::string> parts, auto change) {
    RecallOptions recall;
    change(recall);
    const std::vector<float> cue = {1, 2};
    ExpectStatus(store_->Recall(recall, cue).status(), StatusCode::kInvalidArgument, parts);
    return recall.spread;
  };
  const auto both = [&](std::vector<std::string> parts, auto change) {
    const SpreadOptions spread = refused(parts, [&](RecallOptions& o) { change(o.spread); });
    const Seed seed{.id = 1};
    ExpectStatus(store_->Spread(spread, {&seed, 1}).status(), StatusCode::kInvalidArgument, parts);
  };
  both({"max_hops is 1001", "0 to 1000"}, [](auto& o) { o.max_hops = 1001; });
  for (const float value : {-0.1f, 1.1f, kNan, kInfinity}) {
    both({"restart is", "0 to 1"}, [&](auto& o) { o.restart = value; });
    both({"hop_decay is", "0 to 1"}, [&](auto& o) { o.hop_decay = value; });
  }
  for (const float value : {-0.1f, kNan, kInfinity}) {
    both({"threshold is", "not negative"}, [&](auto& o) { o.threshold = value; });
    refused({"named_weight is", "not negative"}, [&](auto& o) { o.named_weight = value; });
    refused({"named_fan_exponent is"}, [&](auto& o) { o.named_fan_exponent = value; });
    refused({"half_life_seconds is"}, [&](auto& o) { o.strength.half_life_seconds = value; });
    refused({"power_law_exponent is"}, [&](auto& o) { o.strength.power_law_exponent = value; });
  }
  both({"max_active is 0"}, [](auto& o) { o.max_active = 0; });
  both({"normalisation is 3"}, [](auto& o) { o.normalisation = static_cast<Normalisation>(3); });
  refused({"seed_sharpness is 101", "0 to 100"}, [](auto& o) { o.seed_sharpness = 101; });
  refused({"k is 0"}, [](auto& o) { o.k = 0; });
  refused({"k is 0"}, [](auto& o) { o.seeds.k = 0; });
  refused({"activation_weight"}, [](auto& o) { o.activation_weight = kNan; });
  refused({"strength_weight"}, [](auto& o) { o.strength_weight = kInfinity; });
  refused({"decay is 3"}, [](auto& o) { o.strength.decay = static_cast<Decay>(3); });
  refused({"half_life_seconds is 0"}, [](auto& o) { o.strength.half_life_seconds = 0; });
  ForgetOptions forget;
  forget.strength_below = kNan;
  ExpectStatus(store_->Forget(forget).status(), StatusCode::kInvalidArgument, {"strength_below"});
  ExpectStatus(store_->EdgeType({}, "").status(), StatusCode::kInvalidArgument, {"0 bytes", "256"});
  ExpectStatus(store_->EdgeType({}, std::string(257, 'x')).status(), StatusCode::kInvalidArgument,
               {"257 bytes"});
  LinkOptions link;
  link.durability = static_cast<Durability>(7);
  ExpectStatus(Link({}, link).status(), StatusCode::kInvalidArgument, {"durability is 7"});
  ExpectAsBefore();
}

TEST_F(EdgeBadInput, ASourceThatFailsAndACancelledLinkSayWhy) {
  const auto failed = store_->Link(
      {}, [](Edge*) -> absl::StatusOr<bool> { return absl::OutOfRangeError("line 7 is no good"); });
  ExpectStatus(failed.status(), StatusCode::kOutOfRange, {"line 7"});
  LinkOptions options;
  options.progress = [](const Progress&) { return false; };
  ExpectStatus(Link({{.from = 1, .to = 2, .weight = 0.5f}}, options).status(),
               StatusCode::kCancelled, {"after 1 edges"});
  ExpectAsBefore();
}

TEST_F(EdgeBadInput, ReadOnlyAndClosedStoresTakeNoEdges) {
  ASSERT_TRUE(store_->Flush().ok());
  StoreOptions options;
  options.read_only = true;
  auto reader = Store::Open(options, path_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->Neighbors({}, 1, Direction::kOut)->size(), 1u);
  EXPECT_EQ((*reader)->Spread({}, {})->memories.size(), 0u);
  ASSERT_TRUE(store_->Close().ok());
  const Seed seed{.id = 1};
  for (Store* store : {reader->get(), store_.get()}) {
    WriteBatch batch;
    batch.PutEdge({.from = 1, .to = 2});
    const auto none = [](Edge*) -> absl::StatusOr<bool> { return false; };
    for (const absl::Status& status :
         {store->Write({}, batch), store->Link({}, none).status(), store->Forget({}).status(),
          store->EdgeType({}, "x").status(), store->Seal()}) {
      EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    }
  }
  for (const absl::Status& status :
       {store_->Neighbors({}, 1, Direction::kIn).status(), store_->Spread({}, {&seed, 1}).status(),
        store_->Recall({}, {}).status(), store_->FindNamed({}, "x").status(),
        store_->EdgeTypes({}).status()}) {
    ExpectStatus(status, StatusCode::kFailedPrecondition, {"closed"});
  }
}

TEST_F(EdgeBadInput, AnEmptyStoreAnswersWithNothing) {
  for (MemoryId id = 1; id <= 3; ++id) ASSERT_TRUE(store_->Delete({}, id).ok());
  for (const bool compacted : {false, true}) {
    if (compacted) {
      ASSERT_TRUE(store_->Compact({}).ok());
    }
    EXPECT_TRUE(store_->Spread({}, {})->memories.empty());
    EXPECT_TRUE(store_->Recall({}, std::vector<float>{1, 2})->hits.empty());
    EXPECT_TRUE(store_->FindNamed({}, "one two")->empty());
    EXPECT_EQ(store_->Forget({})->memories, 0u);
    EXPECT_EQ(store_->Verify({})->edges, 0u);
    EXPECT_TRUE(store_->Verify({})->findings.empty());
  }
  EXPECT_EQ(store_->Stats().sealed_edges, 0u);
  EXPECT_EQ(store_->Stats().edge_changes, 0u);
}

// A memory with so many edges, both ways; then many of its neighbours go, and at last itself.
TEST_F(EdgeBadInput, AHubOfManyEdgesIsOneMemoryLikeAnyOther) {
  constexpr MemoryId kHub = 1, kFirst = 1000, kMany = 200000, kGone = 20000;
  WriteBatch first;
  first.DeleteEdge(1, 2);
  ASSERT_TRUE(store_->Write({}, first).ok());
  std::vector<Edge> edges;
  for (MemoryId i = 0; i < kMany; ++i) {
    edges.push_back({.from = kHub, .to = kFirst + i});
    edges.push_back({.from = kFirst + i, .to = kHub});
  }
  LinkOptions options;
  options.create_missing = true;
  const auto report = Link(edges, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->created, kMany);
  WriteOptions quick;
  quick.durability = Durability::kNone;
  // Processor time: other programs may have the machine, too.
  const std::clock_t start = std::clock();
  for (MemoryId i = 0; i < kGone; ++i) {
    ASSERT_TRUE(store_->Delete(quick, kFirst + i * 7).ok());
    if (i % 1000 != 0) continue;
    EXPECT_EQ(store_->Neighbors({}, kHub, Direction::kOut)->size(), kMany - i - 1);
  }
  const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("%llu deletes beside a hub: %.2f s\n", static_cast<unsigned long long>(kGone), took);
  EXPECT_LT(took, 60.0);
  const Seed seed{.id = kHub};
  SpreadOptions spread;
  spread.threshold = 0.0f;
  spread.max_hops = 2;
  EXPECT_EQ(store_->Spread(spread, {&seed, 1})->memories.size(), kMany - kGone + 1);
  const auto sound = store_->Verify({});
  EXPECT_EQ(sound->edges, 2 * (kMany - kGone));
  EXPECT_EQ(sound->dangling_edges, 0u);
  EXPECT_TRUE(sound->findings.empty());
  ASSERT_TRUE(store_->Delete({}, kHub).ok());
  EXPECT_EQ(store_->Verify({})->edges, 0u);
  EXPECT_TRUE(store_->Neighbors({}, kFirst + 1, Direction::kOut)->empty());
  ASSERT_TRUE(store_->Put({}, kHub, {}).ok());
  EXPECT_TRUE(store_->Neighbors({}, kHub, Direction::kIn)->empty());
}

}  // namespace
}  // namespace engram

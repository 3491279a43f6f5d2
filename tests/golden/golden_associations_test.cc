// The kept stores "associations" and "associations-marked" of format version 1 must stay readable
// and writable. They hold the same; the second has the key 's' in its tail, which came later.
#include "tests/golden/golden_associations.h"

#include <gtest/gtest.h>

#include "storage/database.h"
#include "tests/golden/golden_copy.h"
#include "tests/support/temp_dir.h"

namespace engram::golden {
namespace {

class GoldenAssociations : public ::testing::TestWithParam<const char*>, protected GoldenCopy {
 protected:
  void SetUp() override { Copy(GetParam()); }
};

void ExpectAll(const Store& store) {
  const auto out = store.Neighbors({}, 1, Direction::kOut);
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_EQ(out->size(), 2u);
  EXPECT_EQ((*out)[0].to, 2u);
  EXPECT_EQ((*out)[0].weight, 0.5f);
  EXPECT_EQ((*out)[1].to, 3u);
  EXPECT_EQ((*out)[1].type, 300u);
  EXPECT_TRUE(store.Neighbors({}, 1, Direction::kIn)->empty());  // it was of a deleted memory
  EXPECT_TRUE(store.Neighbors({}, 2, Direction::kOut)->empty());
  const auto in = store.Neighbors({}, 5, Direction::kIn);
  ASSERT_EQ(in->size(), 1u);
  EXPECT_EQ((*in)[0].from, 3u);
  EXPECT_EQ((*in)[0].type, 1u);
  const auto types = store.EdgeTypes({});
  ASSERT_EQ(types->size(), 2u);
  EXPECT_EQ((*types)[1].second, "part of");
  const auto named = store.FindNamed({}, "new york's harbour");
  ASSERT_EQ(named->size(), 1u);
  EXPECT_EQ((*named)[0].id, 6u);
  RecallOptions options;
  const MemoryId names[] = {6};
  options.named = names;
  options.strength.now_unix_seconds = kReinforcedAt;
  options.strength.half_life_seconds = 100;
  const auto found = store.Recall(options, {});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 2u);
  EXPECT_EQ(found->hits[0].id, 3u);
  EXPECT_FLOAT_EQ(found->hits[0].strength, 0.5f);  // put a half-life ago
  EXPECT_EQ(found->hits[1].id, 5u);
  EXPECT_FLOAT_EQ(found->hits[1].strength, 2.5f);  // reinforced just now
  const auto report = store.Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
  EXPECT_EQ(report->edges, 4u);
}

TEST_P(GoldenAssociations, AreReadAsTheyWereWritten) {
  {
    const auto database = storage::Database::Open({.read_only = true}, path_);
    ASSERT_TRUE(database.ok()) << database.status();
    EXPECT_EQ((*database)->Get(storage::Family::kTail, storage::kSealedKey).ok(),
              std::string(GetParam()) == "associations-marked");
  }
  const auto store = Open(/*read_only=*/true);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Stats().sealed_edges, 5u);
  EXPECT_EQ(store->Stats().edge_changes, 3u);
  ExpectAll(*store);
}

TEST_P(GoldenAssociations, StayTheSameWhenTheyAreSealed) {
  const auto store = Open(/*read_only=*/false);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->Compact({}).ok());
  EXPECT_EQ(store->Stats().edge_changes, 0u);
  ExpectAll(*store);
}

INSTANTIATE_TEST_SUITE_P(V1, GoldenAssociations,
                         ::testing::Values("associations", "associations-marked"),
                         [](const auto& kind) {
                           return std::string(kind.param) == "associations" ? "First" : "Marked";
                         });

}  // namespace
}  // namespace engram::golden

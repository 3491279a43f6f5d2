// Recall on the MuSiQue questions: the ranking that the formula's reference
// implementation gives, and how many of the passages needed are found.
#include "tests/support/musique.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/temp_dir.h"

namespace engram {
namespace {

class MusiqueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = testing::DataFolder("musique");
    if (folder.empty()) {
      GTEST_SKIP() << "the MuSiQue set is not part of the repository: set ENGRAM_DATA to the "
                      "folder that holds musique/";
    }
    set_ = std::make_unique<testing::Musique>(folder);
    auto store = set_->Create(dir_ / "store");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::vector<MemoryId> Top(const RecallOptions& options, std::size_t q) {
    const auto found = store_->Recall(options, set_->query(q));
    EXPECT_TRUE(found.ok()) << found.status();
    std::vector<MemoryId> ids;
    for (const Recalled& hit : found->hits) ids.push_back(hit.id);
    return ids;
  }

  // Returns: the mean share of a question's passages among its first `k` hits, in percent.
  double RecallAt(std::size_t k, float threshold, bool names_by_text) {
    double sum = 0;
    for (std::size_t q = 0; q < set_->questions.size(); ++q) {
      std::vector<MemoryId> named = set_->named[q];
      if (names_by_text) {
        named.clear();
        const auto found = store_->FindNamed({}, set_->questions[q]);
        EXPECT_TRUE(found.ok()) << found.status();
        for (const NamedInText& name : *found) named.push_back(name.id);
      }
      RecallOptions options;
      options.named = named;
      options.spread.threshold = threshold;
      std::vector<MemoryId> top = Top(options, q);
      top.resize(std::min(top.size(), k));
      double found = 0;
      for (const MemoryId id : set_->gold[q]) {
        found += std::find(top.begin(), top.end(), id) != top.end() ? 1.0 : 0.0;
      }
      sum += found / static_cast<double>(set_->gold[q].size());
    }
    return 100.0 * sum / static_cast<double>(set_->questions.size());
  }

  testing::TempDir dir_;
  std::unique_ptr<testing::Musique> set_;
  std::unique_ptr<Store> store_;
};

TEST_F(MusiqueTest, RanksAsTheReferenceDoes) {
  std::size_t equal = 0;
  for (std::size_t q = 0; q < set_->questions.size(); ++q) {
    RecallOptions options;
    options.named = set_->named[q];
    options.spread.threshold = 0.0f;
    equal += Top(options, q) == set_->expected[q];
  }
  EXPECT_GE(equal, 99u) << "of " << set_->questions.size();
}

TEST_F(MusiqueTest, FindsThePassagesNeeded) {
  EXPECT_GE(RecallAt(5, 0.0f, false), 76.0);
  EXPECT_GE(RecallAt(5, 1e-4f, false), 76.0);
  EXPECT_GE(RecallAt(5, 1e-4f, true), 75.0);
}

}  // namespace
}  // namespace engram

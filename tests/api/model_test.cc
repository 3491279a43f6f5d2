// Random operations against a naive model: after each, what the store says is
// what a map says, and search is the model's brute force.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 7;

struct ModelMemory {
  std::vector<float> vector;
  std::string payload;
};
using Model = std::map<MemoryId, ModelMemory>;

class ModelRun {
 public:
  explicit ModelRun(unsigned seed) : random_(seed) { Open(); }

  void Open() {
    StoreOptions options;
    options.dimension = kDimension;
    options.create_if_missing = true;
    options.rows_per_block = 64;
    options.seal_bytes = 64 * 1024;
    auto store = Store::Open(options, dir_ / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::vector<float> Vector() {
    std::normal_distribution<float> normal;
    std::vector<float> vector(kDimension);
    for (float& value : vector) value = normal(random_);
    return vector;
  }

  void PutInto(WriteBatch& batch, Model& model) {
    const MemoryId id = random_() % 400;
    const std::vector<float> vector = random_() % 10 == 0 ? std::vector<float>() : Vector();
    const std::string payload = "payload " + std::to_string(random_());
    batch.Put(id, vector, payload);
    model[id] = {vector, payload};
  }

  void Step() {
    switch (random_() % 20) {
      case 0: ASSERT_TRUE(store_->Seal().ok()); break;
      case 1: {
        const absl::Status status = store_->Compact({});
        ASSERT_TRUE(status.ok()) << status;
        break;
      }
      case 2: {
        ASSERT_TRUE(store_->Close().ok());
        store_.reset();
        Open();
        break;
      }
      case 3: case 4: case 5: {
        if (model_.empty()) break;
        auto it = model_.lower_bound(random_() % 400);
        if (it == model_.end()) it = model_.begin();
        ASSERT_TRUE(store_->Delete({}, it->first).ok());
        model_.erase(it);
        break;
      }
      default: {
        WriteBatch batch;
        Model next = model_;
        for (std::uint64_t i = random_() % 40; i > 0; --i) PutInto(batch, next);
        const bool fails = random_() % 5 == 0;
        if (fails) batch.Delete(100000);
        EXPECT_EQ(store_->Write({}, batch).ok(), !fails);
        if (!fails) model_ = std::move(next);
      }
    }
  }

  void CheckSearch() {
    const std::vector<float> query = Vector();
    SearchOptions options;
    options.k = 1 + static_cast<std::uint32_t>(random_() % 30);
    const auto found = store_->Search(options, query);
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<std::pair<double, MemoryId>> expected;
    for (const auto& [id, memory] : model_) {
      if (!memory.vector.empty()) expected.emplace_back(-Cosine(query, memory.vector), id);
    }
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(found->hits.size(), std::min<std::size_t>(options.k, expected.size()));
    EXPECT_TRUE(found->info.exact);
    EXPECT_EQ(found->info.rows_in_store, expected.size());
    for (std::size_t i = 0; i < found->hits.size(); ++i) {
      EXPECT_EQ(found->hits[i].id, expected[i].second) << "rank " << i;
      EXPECT_NEAR(found->hits[i].score, -expected[i].first, 1e-5);
    }
  }

  void CheckAll() {
    auto it = store_->NewIterator({});
    for (const auto& [id, memory] : model_) {
      ASSERT_TRUE(it->Valid()) << it->status();
      EXPECT_EQ(it->id(), id);
      EXPECT_EQ(std::vector<float>(it->vector().begin(), it->vector().end()), memory.vector);
      EXPECT_EQ(it->payload(), memory.payload);
      it->Next();
    }
    EXPECT_FALSE(it->Valid());
    EXPECT_TRUE(it->status().ok()) << it->status();
    const auto report = store_->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
    EXPECT_EQ(store_->Stats().memories, model_.size());
  }

  static double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ab += double{a[i]} * b[i];
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
    }
    return ab / std::sqrt(aa * bb);
  }

 private:
  testing::TempDir dir_;
  std::mt19937_64 random_;
  std::unique_ptr<Store> store_;
  Model model_;
};

TEST(Model, StoreAndModelAgreeAfterEveryStep) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelRun run(seed);
    for (int step = 0; step < 400; ++step) {
      run.Step();
      run.CheckSearch();
      if (step % 25 == 0) run.CheckAll();
      if (::testing::Test::HasFailure()) return;
    }
    run.CheckAll();
  }
}

}  // namespace
}  // namespace engram

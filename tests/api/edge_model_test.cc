// Random changes of edges, strengths and names against a naive model: after each, the
// store's edges are the model's in both directions, spreading and recall are those of a
// plain double implementation, and no housekeeping changes a bit of an answer.
// ENGRAM_MODEL_STEPS and ENGRAM_MODEL_SEED as in model_test.cc.
#include "tests/api/edge_model.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <deque>

#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using testing::EdgeModelWriter;
using testing::ModelState;

class EdgeModelRun {
 public:
  EdgeModelRun(unsigned seed, Metric metric) : random_(seed), metric_(metric) { Open(); }

  void Step() {
    switch (random_.Random(24)) {
      case 0: Keeps([&] { return store_->Seal(); }); break;
      case 1: Keeps([&] { return store_->Compact({}); }); break;
      case 2: Reopen(); break;
      case 3:
      case 4: random_.LinkSome(*store_, model_); break;
      case 5: random_.ForgetSome(*store_, model_); break;
      case 6:
      case 7: TakeSnapshot(); break;
      case 8:
      case 9: ReadBeside(); break;
      case 10:
        if (random_.Random(4) == 0) Backup();
        break;
      default: random_.WriteBatchOfAll(*store_, model_);
    }
  }

  void CheckReads() {
    CheckReadsIn(*store_, nullptr, model_);
    for (const auto& [snapshot, model] : snapshots_) CheckReadsIn(*store_, snapshot, model);
  }

  void CheckAll() {
    testing::CheckEdgeState(*store_, {}, model_, random_.now());
    for (const auto& [snapshot, model] : snapshots_) {
      SCOPED_TRACE("snapshot");
      ReadOptions then;
      then.snapshot = snapshot;
      testing::CheckEdgeState(*store_, then, model, random_.now());
    }
    CheckVerify(*store_);
  }

 private:
  void Open() {
    StoreOptions options;
    options.dimension = testing::kEdgeModelDimension;
    options.metric = metric_;
    options.create_if_missing = true;
    options.rows_per_block = 64;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  void CheckReadsIn(const Store& store, std::shared_ptr<const Snapshot> snapshot,
                    const ModelState& model) {
    ReadOptions options;
    options.snapshot = std::move(snapshot);
    testing::CheckSpread(store, options, model, random_);
    testing::CheckRecall(store, options, model, metric_, random_);
  }

  void CheckVerify(const Store& store) {
    const auto report = store.Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
    EXPECT_EQ(report->edges, model_.edges.size());
    EXPECT_EQ(report->dangling_edges, 0u);
    EXPECT_EQ(report->memories, model_.memories.size());
  }

  // Housekeeping between two same calls changes no bit, of the state now or of a snapshot.
  template <typename Work>
  void Keeps(Work work) {
    ReadOptions then;
    then.snapshot = store_->GetSnapshot();
    const std::string before = testing::AnswerBits(*store_, {}, model_);
    const absl::Status done = work();
    ASSERT_TRUE(done.ok()) << done;
    EXPECT_EQ(store_->Stats().edge_changes, 0u);
    EXPECT_EQ(store_->Stats().sealed_edges, model_.edges.size());
    EXPECT_EQ(testing::AnswerBits(*store_, {}, model_), before);
    EXPECT_EQ(testing::AnswerBits(*store_, then, model_), before);
  }

  void Reopen() {
    const std::string before = testing::AnswerBits(*store_, {}, model_);
    snapshots_.clear();
    ASSERT_TRUE(store_->Close().ok());
    store_.reset();
    Open();
    EXPECT_EQ(testing::AnswerBits(*store_, {}, model_), before);
  }

  void TakeSnapshot() {
    snapshots_.emplace_back(store_->GetSnapshot(), model_);
    if (snapshots_.size() > 3) snapshots_.pop_front();
  }

  void Backup() {
    const std::string path = dir_ / ("backup" + std::to_string(backups_++));
    const absl::Status made = store_->Backup({}, path);
    ASSERT_TRUE(made.ok()) << made;
    {
      SCOPED_TRACE("backup");
      const auto backup = Store::Open({}, path);
      ASSERT_TRUE(backup.ok()) << backup.status();
      testing::CheckEdgeState(**backup, {}, model_, random_.now());
      EXPECT_EQ(testing::AnswerBits(**backup, {}, model_),
                testing::AnswerBits(*store_, {}, model_));
      CheckVerify(**backup);
    }
    ASSERT_TRUE(Store::Destroy(path).ok());
  }

  void ReadBeside() {
    ASSERT_TRUE(store_->Flush().ok());
    if (reader_ == nullptr) {
      StoreOptions options;
      options.read_only = true;
      auto reader = Store::Open(options, path_);
      ASSERT_TRUE(reader.ok()) << reader.status();
      reader_ = *std::move(reader);
    } else {
      SCOPED_TRACE("a reader before Refresh");
      testing::CheckEdgeState(*reader_, {}, reader_model_, random_.now());
      CheckReadsIn(*reader_, nullptr, reader_model_);
      const absl::Status status = reader_->Refresh();
      ASSERT_TRUE(status.ok()) << status;
    }
    SCOPED_TRACE("a reader that is up to date");
    reader_model_ = model_;
    testing::CheckEdgeState(*reader_, {}, model_, random_.now());
    EXPECT_EQ(testing::AnswerBits(*reader_, {}, model_), testing::AnswerBits(*store_, {}, model_));
    if (random_.Random(4) == 0) reader_.reset();
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  EdgeModelWriter random_;
  const Metric metric_;
  std::unique_ptr<Store> store_;
  ModelState model_;
  std::deque<std::pair<std::shared_ptr<const Snapshot>, ModelState>> snapshots_;
  std::unique_ptr<Store> reader_;
  ModelState reader_model_;
  int backups_ = 0;
};

class EdgeModel : public ::testing::TestWithParam<Metric> {};

TEST_P(EdgeModel, StoreAndModelAgreeAfterEveryStep) {
  const std::uint64_t steps = testing::FromEnvironment("ENGRAM_MODEL_STEPS", 300);
  const auto only = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_MODEL_SEED", 0));
  const std::vector<unsigned> seeds =
      only == 0 ? std::vector<unsigned>{1, 2} : std::vector<unsigned>{only};
  for (const unsigned seed : seeds) {
    std::printf("seed %u\n", seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    EdgeModelRun run(seed, GetParam());
    for (std::uint64_t step = 0; step < steps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      run.Step();
      run.CheckReads();
      if (step % 10 == 0) run.CheckAll();
      if (::testing::Test::HasFailure()) return;
    }
    run.CheckAll();
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, EdgeModel,
                         ::testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2Squared),
                         [](const auto& of) {
                           return of.param == Metric::kCosine ? "Cosine"
                                  : of.param == Metric::kDot  ? "Dot"
                                                              : "L2";
                         });

}  // namespace
}  // namespace engram

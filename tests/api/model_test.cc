// Random operations against a naive model: after each, what the store says is
// what a map says, and search is the model's brute force. ENGRAM_MODEL_STEPS=N sets
// the steps of a seed, ENGRAM_MODEL_SEED=N runs that seed alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "engram/engram.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 7;
constexpr MemoryId kIds = 400;
constexpr std::uint64_t kKeys = 60;
constexpr std::size_t kHeldSnapshots = 3;

struct ModelMemory {
  std::vector<float> vector;
  std::string payload;
  std::set<std::string> keys;
};
using Model = std::map<MemoryId, ModelMemory>;

void SetKey(Model& model, const std::string& key, MemoryId id) {
  for (auto& [owner, memory] : model) memory.keys.erase(key);
  model.at(id).keys.insert(key);
}

// The keys of a memory stay when it is put again.
void PutInModel(Model& model, MemoryId id, const std::vector<float>& vector,
                const std::string& payload) {
  model[id].vector = vector;
  model[id].payload = payload;
}

double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

// All of `store` as `options` see it, against all of `model`.
void CheckState(const Store& store, const ReadOptions& options, const Model& model) {
  auto it = store.NewIterator(options);
  for (const auto& [id, memory] : model) {
    ASSERT_TRUE(it->Valid()) << it->status();
    EXPECT_EQ(it->id(), id);
    EXPECT_EQ(std::vector<float>(it->vector().begin(), it->vector().end()), memory.vector);
    EXPECT_EQ(it->payload(), memory.payload);
    EXPECT_EQ(std::set<std::string>(it->keys().begin(), it->keys().end()), memory.keys);
    it->Next();
  }
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().ok()) << it->status();
  std::map<std::string, MemoryId> owners;
  for (const auto& [id, memory] : model) {
    for (const std::string& key : memory.keys) owners[key] = id;
  }
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const std::string key = "key " + std::to_string(i);
    const auto named = store.IdForKey(options, key);
    ASSERT_EQ(named.ok(), owners.contains(key)) << key << ": " << named.status();
    if (named.ok()) {
      EXPECT_EQ(*named, owners[key]) << key;
    }
  }
}

class ModelRun {
 public:
  explicit ModelRun(unsigned seed) : random_(seed) { Open(); }

  void Step() {
    switch (random_() % 24) {
      case 0: ASSERT_TRUE(store_->Seal().ok()); break;
      case 1: {
        const absl::Status status = store_->Compact({});
        ASSERT_TRUE(status.ok()) << status;
        break;
      }
      case 2: Reopen(); break;
      case 3:
      case 4: DeleteOne(); break;
      case 5:
      case 6: Import(); break;
      case 7:
      case 8: TakeSnapshot(); break;
      case 9:
      case 10: ReadBeside(); break;
      case 11:
        if (random_() % 4 == 0) Backup();
        break;
      default: WriteBatchOfAll();
    }
  }

  // Reads and a search, now and in every held snapshot.
  void CheckReads() {
    CheckReadsIn({}, model_);
    CheckSearchIn(nullptr, model_);
    for (const auto& [snapshot, model] : snapshots_) {
      ReadOptions then;
      then.snapshot = snapshot;
      CheckReadsIn(then, model);
      CheckSearchIn(snapshot, model);
    }
  }

  void CheckAll() {
    CheckState(*store_, {}, model_);
    for (const auto& [snapshot, model] : snapshots_) {
      ReadOptions then;
      then.snapshot = snapshot;
      SCOPED_TRACE("snapshot");
      CheckState(*store_, then, model);
    }
    const auto report = store_->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
    EXPECT_EQ(store_->Stats().memories, model_.size());
  }

 private:
  void Open() {
    StoreOptions options;
    options.dimension = kDimension;
    options.create_if_missing = true;
    options.rows_per_block = 64;
    options.seal_bytes = 64 * 1024;
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::vector<float> Vector() {
    std::normal_distribution<float> normal;
    std::vector<float> vector(kDimension);
    for (float& value : vector) value = normal(random_);
    return vector;
  }

  std::vector<float> VectorOrNone() {
    return random_() % 10 == 0 ? std::vector<float>() : Vector();
  }

  std::string Key() { return "key " + std::to_string(random_() % kKeys); }

  // A memory at random. Precondition: `model` is not empty.
  Model::iterator Pick(Model& model) {
    const auto it = model.lower_bound(random_() % kIds);
    return it == model.end() ? model.begin() : it;
  }

  void DeleteOne() {
    if (model_.empty()) return;
    const auto it = Pick(model_);
    ASSERT_TRUE(store_->Delete({}, it->first).ok());
    model_.erase(it);
  }

  // Puts, deletes and keys in one batch; one of five is refused whole.
  void WriteBatchOfAll() {
    WriteBatch batch;
    Model next = model_;
    for (std::uint64_t i = random_() % 40; i > 0; --i) {
      const std::uint64_t kind = next.empty() ? 9 : random_() % 10;
      if (kind == 0) {
        const auto it = Pick(next);
        batch.Delete(it->first);
        next.erase(it);
      } else if (kind == 1) {
        const MemoryId id = Pick(next)->first;
        const std::string key = Key();
        batch.SetKey(key, id);
        SetKey(next, key, id);
      } else {
        const MemoryId id = random_() % kIds;
        const std::vector<float> vector = VectorOrNone();
        const std::string payload = "payload " + std::to_string(random_());
        batch.Put(id, vector, payload);
        PutInModel(next, id, vector, payload);
      }
    }
    const bool fails = random_() % 5 == 0;
    if (fails) batch.Delete(100000);
    WriteOptions options;
    options.durability = static_cast<Durability>(random_() % 3);
    const absl::Status status = store_->Write(options, batch);
    EXPECT_EQ(status.ok(), !fails) << status;
    if (!fails) model_ = std::move(next);
  }

  void Import() {
    std::uint64_t left = random_() % 30;
    std::vector<float> vector;
    std::string payload;
    std::vector<std::string> keys;
    const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (left == 0) return false;
      --left;
      const MemoryId id = random_() % kIds;
      vector = VectorOrNone();
      payload = "imported " + std::to_string(random_());
      keys.clear();
      if (random_() % 4 == 0) keys.push_back(Key());
      *row = {.id = id, .vector = vector, .payload = payload, .keys = keys};
      PutInModel(model_, id, vector, payload);
      for (const std::string& key : keys) SetKey(model_, key, id);
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
  }

  void Reopen() {
    if (!snapshots_.empty()) {
      EXPECT_EQ(store_->Close().code(), absl::StatusCode::kFailedPrecondition);
      snapshots_.clear();
    }
    ASSERT_TRUE(store_->Close().ok());
    store_.reset();
    Open();
  }

  void TakeSnapshot() {
    snapshots_.emplace_back(store_->GetSnapshot(), model_);
    if (snapshots_.size() > kHeldSnapshots) snapshots_.pop_front();
  }

  // A backup is a store of its own, with all there is at its moment.
  void Backup() {
    const std::string path = dir_ / ("backup" + std::to_string(backups_++));
    const absl::Status made = store_->Backup({}, path);
    ASSERT_TRUE(made.ok()) << made;
    StoreOptions options;
    options.read_only = random_() % 2 == 0;
    {
      const auto backup = Store::Open(options, path);
      ASSERT_TRUE(backup.ok()) << backup.status();
      SCOPED_TRACE("backup");
      CheckState(**backup, {}, model_);
      EXPECT_TRUE((*backup)->Verify({})->findings.empty());
    }
    ASSERT_TRUE(Store::Destroy(path).ok());
  }

  // A read-only open beside the writer stays where it is until Refresh().
  void ReadBeside() {
    // What is in the writer's buffers (Durability::kNone) is nobody else's to see.
    ASSERT_TRUE(store_->Flush().ok());
    if (reader_ == nullptr) {
      StoreOptions options;
      options.read_only = true;
      auto reader = Store::Open(options, path_);
      ASSERT_TRUE(reader.ok()) << reader.status();
      reader_ = *std::move(reader);
    } else {
      SCOPED_TRACE("a reader before Refresh");
      CheckState(*reader_, {}, reader_model_);
      const absl::Status status = reader_->Refresh();
      ASSERT_TRUE(status.ok()) << status;
    }
    SCOPED_TRACE("a reader that is up to date");
    reader_model_ = model_;
    CheckState(*reader_, {}, reader_model_);
    if (random_() % 4 == 0) reader_.reset();
  }

  void CheckSearchIn(std::shared_ptr<const Snapshot> snapshot, const Model& model) {
    const std::vector<float> query = Vector();
    SearchOptions options;
    options.snapshot = std::move(snapshot);
    options.k = 1 + static_cast<std::uint32_t>(random_() % 30);
    const auto found = store_->Search(options, query);
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<std::pair<double, MemoryId>> expected;
    for (const auto& [id, memory] : model) {
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

  // One id by Seek, Get and MultiGet.
  void CheckReadsIn(const ReadOptions& options, const Model& model) {
    const MemoryId id = random_() % kIds;
    const auto expected = model.lower_bound(id);
    const auto it = store_->NewIterator(options);
    it->Seek(id);
    ASSERT_EQ(it->Valid(), expected != model.end()) << it->status();
    if (it->Valid()) {
      EXPECT_EQ(it->id(), expected->first);
      EXPECT_EQ(it->payload(), expected->second.payload);
    }
    const auto record = store_->Get(options, id);
    ASSERT_EQ(record.ok(), model.contains(id)) << record.status();
    if (!record.ok()) {
      EXPECT_EQ(record.status().code(), absl::StatusCode::kNotFound);
      return;
    }
    const std::vector<MemoryId> ids = {model.rbegin()->first, id, model.begin()->first, id};
    const auto records = store_->MultiGet(options, ids);
    ASSERT_TRUE(records.ok()) << records.status();
    ASSERT_EQ(records->size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const ModelMemory& memory = model.at(ids[i]);
      EXPECT_EQ((*records)[i].id, ids[i]);
      EXPECT_EQ((*records)[i].vector, memory.vector);
      EXPECT_EQ((*records)[i].payload, memory.payload);
      EXPECT_EQ((*records)[i].keys,
                std::vector<std::string>(memory.keys.begin(), memory.keys.end()));
    }
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::mt19937_64 random_;
  std::unique_ptr<Store> store_;
  Model model_;
  std::deque<std::pair<std::shared_ptr<const Snapshot>, Model>> snapshots_;
  std::unique_ptr<Store> reader_;
  Model reader_model_;
  int backups_ = 0;
};

TEST(Model, StoreAndModelAgreeAfterEveryStep) {
  const std::uint64_t steps = testing::FromEnvironment("ENGRAM_MODEL_STEPS", 700);
  const auto only = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_MODEL_SEED", 0));
  const std::vector<unsigned> seeds =
      only == 0 ? std::vector<unsigned>{1, 2, 3} : std::vector<unsigned>{only};
  for (const unsigned seed : seeds) {
    std::printf("seed %u\n", seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelRun run(seed);
    for (std::uint64_t step = 0; step < steps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      run.Step();
      run.CheckReads();
      if (step % 25 == 0) run.CheckAll();
      if (::testing::Test::HasFailure()) return;
    }
    run.CheckAll();
  }
}

}  // namespace
}  // namespace engram

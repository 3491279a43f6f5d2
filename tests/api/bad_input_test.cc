// Every argument and option that must be refused: by which code, naming what, and
// the store afterwards as it was before.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using absl::StatusCode;
using Vector = std::vector<float>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();

void ExpectStatus(const absl::Status& status, StatusCode code,
                  const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos)
        << "no \"" << part << "\" in: " << status;
  }
}

void ExpectInvalid(const absl::Status& status, const std::vector<std::string>& parts) {
  ExpectStatus(status, StatusCode::kInvalidArgument, parts);
}

std::unique_ptr<Store> Create(const std::string& path, Metric metric) {
  StoreOptions options;
  options.dimension = 4;
  options.metric = metric;
  options.create_if_missing = true;
  auto store = Store::Open(options, path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// One store with one sealed memory and one in the tail; checked again at the end.
class BadInput : public ::testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    store_ = Create(path_, GetParam());
    ASSERT_NE(store_, nullptr);
    WriteBatch batch;
    batch.Put(1, kOne, "one");
    batch.SetKey("first", 1);
    ASSERT_TRUE(store_->Write({}, batch).ok());
    ASSERT_TRUE(store_->Seal().ok());
    ASSERT_TRUE(store_->Put({}, 2, kTwo, "two").ok());
  }
  void TearDown() override {
    if (store_ == nullptr) return;
    ExpectAsBefore();
    ASSERT_TRUE(store_->Put({}, 3, kOne).ok());
    ASSERT_TRUE(store_->Delete({}, 3).ok());
    ASSERT_TRUE(store_->Close().ok());
    store_ = Create(path_, GetParam());
    ASSERT_NE(store_, nullptr);
    ExpectAsBefore();
  }
  void ExpectAsBefore() {
    EXPECT_EQ(store_->Stats().memories, 2u);
    EXPECT_EQ(store_->Stats().rows, 2u);
    const auto records = store_->MultiGet({}, {1, 2});
    ASSERT_TRUE(records.ok()) << records.status();
    EXPECT_EQ((*records)[0].vector, kOne);
    EXPECT_EQ((*records)[0].payload, "one");
    EXPECT_EQ((*records)[0].keys, std::vector<std::string>{"first"});
    EXPECT_EQ((*records)[1].vector, kTwo);
    const auto found = store_->Search({}, kOne);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->hits.size(), 2u);
    EXPECT_TRUE(store_->Verify({})->findings.empty());
  }

  // Refused by Put, by a batch whose other entries are good, by Import and by Search.
  void ExpectVectorRefused(const Vector& vector, const std::vector<std::string>& parts) {
    const auto with = [&parts](std::string first) {
      std::vector<std::string> all = parts;
      all.push_back(std::move(first));
      return all;
    };
    ExpectInvalid(store_->Put({}, 77, vector), with("id 77"));
    WriteBatch batch;
    batch.Put(1, kTwo, "changed");
    batch.Put(78, vector);
    batch.Delete(2);
    ExpectInvalid(store_->Write({}, batch), with("entry 1, id 78"));
    int row_number = 0;
    const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      row->id = row_number == 0 ? 1 : 79;
      row->vector = row_number == 0 ? absl::MakeConstSpan(kOne) : absl::MakeConstSpan(vector);
      row->payload = "one";
      return row_number++ < 2;
    });
    ExpectInvalid(report.status(), with("memory 1 of the import, id 79"));
    ExpectInvalid(store_->Search({}, vector).status(), with("query 0"));
    std::vector<float> queries = kOne;
    queries.insert(queries.end(), vector.begin(), vector.end());
    if (vector.size() != 4) return;
    ExpectInvalid(
        store_->SearchBatch({}, {.data = queries.data(), .rows = 2, .dimension = 4}).status(),
        with("query 1"));
    ExpectInvalid(store_->SearchEach({}, vector, [](const Hit&) { return true; }).status(),
                  with("query 0"));
  }

  const Vector kOne = {1, 2, 3, 4};
  const Vector kTwo = {-4, 0, 0.5f, 1};
  testing::TempDir dir_;
  std::string path_ = dir_ / "store";
  std::unique_ptr<Store> store_;
};

TEST_P(BadInput, WrongDimension) {
  ExpectVectorRefused({1, 2, 3}, {"3 values", "dimension is 4"});
  ExpectVectorRefused({1, 2, 3, 4, 5}, {"5 values", "dimension is 4"});
  const Vector queries(8, 1.0f);
  ExpectInvalid(
      store_->SearchBatch({}, {.data = queries.data(), .rows = 2, .dimension = 3}).status(),
      {"query 0", "3 values", "dimension is 4"});
  ExpectInvalid(
      store_->SearchBatch({}, {.data = queries.data(), .rows = 2, .dimension = 4, .stride = 3})
          .status(),
      {"stride 3"});
  ExpectInvalid(store_->SearchBatch({}, {.data = nullptr, .rows = 2, .dimension = 4}).status(),
                {"no data"});
}

TEST_P(BadInput, NumbersThatAreNotFinite) {
  ExpectVectorRefused({1, 2, kNan, 4}, {"value 2", "nan"});
  ExpectVectorRefused({kInfinity, 2, 3, 4}, {"value 0", "inf"});
  ExpectVectorRefused({1, 2, 3, -kInfinity}, {"value 3", "-inf"});
}

TEST_P(BadInput, NormsThatAreNoNumberOfF32) {
  ExpectVectorRefused({kMax, kMax, 0, 0}, {"norm", "4.8"});
  ExpectVectorRefused({1e-40f, 0, 0, 0}, {"norm", "e-41"});
  ASSERT_TRUE(store_->Put({}, 9, Vector{kMax, 0, 0, 0}).ok());  // the largest that is one
  ASSERT_TRUE(store_->Delete({}, 9).ok());
}

TEST_P(BadInput, ZeroVectorOnlyUnderCosine) {
  const Vector zero(4, 0.0f);
  if (GetParam() == Metric::kCosine) {
    ExpectVectorRefused(zero, {"zero"});
    ExpectVectorRefused({0.0f, -0.0f, 0.0f, 0.0f}, {"zero"});
    return;
  }
  ASSERT_TRUE(store_->Put({}, 9, zero).ok());
  EXPECT_TRUE(store_->Search({}, zero).ok());
  ASSERT_TRUE(store_->Delete({}, 9).ok());
}

TEST_P(BadInput, PayloadsAndKeysOutOfBounds) {
  const std::string payload(kMaxPayloadBytes + 1, 'p');
  ExpectInvalid(store_->Put({}, 77, kOne, payload), {"id 77", "payload", "67108865", "67108864"});
  const std::string key(kMaxKeyBytes + 1, 'k');
  for (const std::string& bad : {key, std::string()}) {
    WriteBatch batch;
    batch.Put(77, kOne);
    batch.SetKey(bad, 77);
    ExpectInvalid(store_->Write({}, batch),
                  {"entry 1, id 77", "key", std::to_string(bad.size()) + " bytes", "1 to 4096"});
    const std::vector<std::string> keys = {bad};
    const auto report = store_->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      row->vector = kOne;
      row->keys = keys;
      return true;
    });
    ExpectInvalid(report.status(), {"memory 0 of the import", "key"});
  }
}

TEST_P(BadInput, IdsAndKeysThatDoNotExist) {
  ExpectStatus(store_->Get({}, 40).status(), StatusCode::kNotFound, {"id 40"});
  ExpectStatus(store_->MultiGet({}, {1, 41, 42}).status(), StatusCode::kNotFound, {"id 41"});
  ExpectStatus(store_->Delete({}, 43), StatusCode::kNotFound, {"id 43"});
  ExpectStatus(store_->IdForKey({}, "dog").status(), StatusCode::kNotFound, {"\"dog\""});
  WriteBatch batch;
  batch.Put(1, kTwo, "changed");
  batch.SetKey("first", 2);
  batch.Delete(44);
  ExpectStatus(store_->Write({}, batch), StatusCode::kNotFound, {"id 44"});
  batch.Clear();
  batch.Delete(2);
  batch.SetKey("second", 2);  // its turn comes after the delete
  ExpectStatus(store_->Write({}, batch), StatusCode::kNotFound, {"id 2"});
  WriteOptions fresh;
  fresh.error_if_present = true;
  batch.Clear();
  batch.Put(50, kOne);
  batch.Put(1, kTwo);
  ExpectStatus(store_->Write(fresh, batch), StatusCode::kAlreadyExists, {"id 1"});
  EXPECT_EQ(store_->Get({}, 50).status().code(), StatusCode::kNotFound);
}

TEST_P(BadInput, OptionsOfACall) {
  SearchOptions search;
  search.k = 0;
  ExpectInvalid(store_->Search(search, kOne).status(), {"k is 0"});
  ExpectInvalid(store_->SearchBatch(search, {}).status(), {"k is 0"});
  search = {};
  search.threads = 257;
  ExpectInvalid(store_->Search(search, kOne).status(), {"threads is 257", "256"});
  search = {};
  search.min_score = kNan;
  ExpectInvalid(store_->Search(search, kOne).status(), {"min_score"});
  for (const double fraction : {-0.1, 1.1, std::nan("")}) {
    CompactOptions compact;
    compact.min_dead_fraction = fraction;
    ExpectInvalid(store_->Compact(compact), {"min_dead_fraction", "0 to 1"});
  }
  WriteOptions write;
  write.durability = static_cast<Durability>(3);
  ExpectInvalid(store_->Put(write, 77, kOne), {"durability is 3"});
  ImportOptions import;
  import.durability = static_cast<Durability>(9);
  ExpectInvalid(
      store_->Import(import, [](ImportRow*) -> absl::StatusOr<bool> { return false; }).status(),
      {"durability is 9"});
  auto other = Create(dir_ / "other", GetParam());
  ReadOptions foreign;
  foreign.snapshot = other->GetSnapshot();
  ExpectInvalid(store_->Get(foreign, 1).status(), {"another store"});
  ExpectInvalid(store_->NewIterator(foreign)->status(), {"another store"});
}

TEST_P(BadInput, ASourceThatFailsEndsTheImport) {
  const auto report = store_->Import({}, [](ImportRow*) -> absl::StatusOr<bool> {
    return absl::OutOfRangeError("line 7 is no good");
  });
  ExpectStatus(report.status(), StatusCode::kOutOfRange, {"line 7"});
}

INSTANTIATE_TEST_SUITE_P(Metrics, BadInput,
                         ::testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2Squared),
                         [](const auto& metric) {
                           return "Metric" + std::to_string(static_cast<int>(metric.param));
                         });

TEST(EmptyStore, AnswersWithNothing) {
  testing::TempDir dir;
  auto store = Create(dir / "s", Metric::kCosine);
  const Vector query = {1, 0, 0, 0};
  for (const bool had_some : {false, true}) {
    const auto found = store->Search({}, query);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(found->hits.empty());
    EXPECT_TRUE(found->info.exact);
    EXPECT_FALSE(store->NewIterator({})->Valid());
    EXPECT_TRUE(store->MultiGet({}, {})->empty());
    EXPECT_TRUE(store->SearchBatch({}, {})->empty());
    EXPECT_TRUE(store->Write({}, WriteBatch()).ok());
    EXPECT_TRUE(store->Verify({})->findings.empty());
    EXPECT_TRUE(store->Seal().ok());
    EXPECT_TRUE(store->Compact({}).ok());
    if (had_some) break;
    ASSERT_TRUE(store->Put({}, 1, query).ok());
    ASSERT_TRUE(store->Seal().ok());
    ASSERT_TRUE(store->Delete({}, 1).ok());
  }
}

TEST(BadOptions, EachIsNamedWithWhatWasGivenAndNothingIsMade) {
  testing::TempDir dir;
  const auto refused = [&](std::vector<std::string> parts, auto change) {
    StoreOptions options;
    options.dimension = 4;
    options.create_if_missing = true;
    change(options);
    ExpectInvalid(Store::Open(options, dir / "s").status(), parts);
    EXPECT_FALSE(std::filesystem::exists(dir / "s")) << parts[0];
  };
  refused({"dimension is 0"}, [](auto& o) { o.dimension = 0; });
  refused({"dimension is 65537", "65536"}, [](auto& o) { o.dimension = kMaxDimension + 1; });
  refused({"metric is 0", "1 to 3"}, [](auto& o) { o.metric = static_cast<Metric>(0); });
  refused({"metric is 4", "1 to 3"}, [](auto& o) { o.metric = static_cast<Metric>(4); });
  refused({"lock_timeout is -1"}, [](auto& o) { o.lock_timeout = std::chrono::milliseconds(-1); });
  refused({"lock_timeout is 3600001"},
          [](auto& o) { o.lock_timeout = std::chrono::milliseconds(3600001); });
  refused({"search_threads is 257"}, [](auto& o) { o.search_threads = 257; });
  refused({"block_cache_bytes is 1048575"}, [](auto& o) { o.block_cache_bytes = (1 << 20) - 1; });
  refused({"block_cache_bytes"}, [](auto& o) { o.block_cache_bytes = (1ull << 40) + 1; });
  refused({"seal_bytes is 65535"}, [](auto& o) { o.seal_bytes = 65535; });
  refused({"seal_bytes is 1073741825"}, [](auto& o) { o.seal_bytes = (1u << 30) + 1; });
  refused({"rows_per_block is 65", "64"}, [](auto& o) { o.rows_per_block = 65; });
  refused({"rows_per_block is 1048640"}, [](auto& o) { o.rows_per_block = (1u << 20) + 64; });
  refused({"rows_per_block is 1048576", "dimension is 65536"}, [](auto& o) {
    o.dimension = kMaxDimension;
    o.rows_per_block = 1u << 20;
  });
  refused({"kernels", "\"cobol-v9\"", "cpp-baseline"}, [](auto& o) { o.kernels = "cobol-v9"; });
}

TEST(BadOptions, AStoreKeepsItsDimensionMetricAndBlocks) {
  testing::TempDir dir;
  Create(dir / "s", Metric::kDot).reset();
  for (const bool read_only : {false, true}) {
    StoreOptions options;
    options.read_only = read_only;
    options.dimension = 5;
    ExpectInvalid(Store::Open(options, dir / "s").status(), {"dimension 4", "dimension 5"});
    options.dimension = 4;
    options.metric = Metric::kCosine;
    ExpectInvalid(Store::Open(options, dir / "s").status(), {"metric 2", "metric 1"});
    options.metric = Metric::kDot;
    options.rows_per_block = 64;
    ExpectInvalid(Store::Open(options, dir / "s").status(),
                  {"rows_per_block 65536", "rows_per_block 64 "});
    options.rows_per_block = 65536;
    EXPECT_TRUE(Store::Open(options, dir / "s").ok());
  }
  StoreOptions options;
  options.error_if_exists = true;
  ExpectStatus(Store::Open(options, dir / "s").status(), StatusCode::kAlreadyExists, {});
}

}  // namespace
}  // namespace engram

// Stores and values that format version 1 wrote must stay readable, bit for bit:
// this test reads the kept files of tests/golden/v1, never ones made today.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "storage/store_files.h"
#include "tests/golden/golden_content.h"
#include "tests/golden/golden_copy.h"
#include "tests/golden/golden_values.h"
#include "tests/support/temp_dir.h"

namespace engram::golden {
namespace {

const std::string kFolder = ENGRAM_GOLDEN_FOLDER;

double Score(Metric metric, const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    apart += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  if (metric == Metric::kDot) return ab;
  return metric == Metric::kCosine ? ab / std::sqrt(aa * bb) : -apart;
}

class GoldenStore : public ::testing::TestWithParam<StoreKind>, protected GoldenCopy {
 protected:
  void SetUp() override { Copy(GetParam().name); }
};

void ExpectMemories(const Store& store) {
  auto it = store.NewIterator({});
  for (const auto& [id, memory] : ExpectedMemories()) {
    SCOPED_TRACE(id);
    ASSERT_TRUE(it->Valid()) << it->status();
    ASSERT_EQ(it->id(), id);
    ASSERT_EQ(it->vector().size(), memory.vector.size());
    if (!memory.vector.empty()) {
      EXPECT_EQ(std::memcmp(it->vector().data(), memory.vector.data(),
                            memory.vector.size() * sizeof(float)),
                0);
    }
    EXPECT_EQ(it->payload(), memory.payload);
    EXPECT_EQ(std::vector<std::string>(it->keys().begin(), it->keys().end()), memory.keys);
    for (const std::string& key : memory.keys) {
      const auto named = store.IdForKey({}, key);
      ASSERT_TRUE(named.ok()) << named.status();
      EXPECT_EQ(*named, id);
    }
    it->Next();
  }
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().ok()) << it->status();
  EXPECT_EQ(store.IdForKey({}, "key 100").status().code(), absl::StatusCode::kNotFound);
  const auto report = store.Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
}

void ExpectAnswers(const Store& store, const StoreKind& kind) {
  std::ifstream answers(kFolder + "/" + kind.name + ".answers");
  const Memories memories = ExpectedMemories();
  SearchOptions options;
  options.k = 20;
  for (const std::vector<float>& query : Queries()) {
    const auto found = store.Search(options, query);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->hits.size(), 20u);
    std::vector<double> best;
    for (const auto& [id, memory] : memories) {
      if (!memory.vector.empty()) best.push_back(Score(kind.metric, query, memory.vector));
    }
    std::sort(best.rbegin(), best.rend());
    for (std::size_t i = 0; i < found->hits.size(); ++i) {
      MemoryId id = 0;
      std::uint32_t expected_bits = 0, bits = 0;
      ASSERT_TRUE(answers >> id >> expected_bits) << "the kept answers end early";
      std::memcpy(&bits, &found->hits[i].score, sizeof bits);
      EXPECT_EQ(found->hits[i].id, id) << "rank " << i;
      EXPECT_EQ(bits, expected_bits) << "rank " << i << ", id " << id;
      EXPECT_NEAR(found->hits[i].score, best[i], 1e-6 * std::max(1.0, std::abs(best[i])));
    }
  }
}

TEST_P(GoldenStore, HoldsItsMemoriesAndAnswers) {
  for (const bool read_only : {true, false}) {
    SCOPED_TRACE(read_only ? "read-only" : "writing");
    auto store = Open(read_only);
    ASSERT_NE(store, nullptr);
    const StoreStats stats = store->Stats();
    EXPECT_EQ(stats.format, 1u);
    EXPECT_EQ(stats.dimension, kDimension);
    EXPECT_EQ(stats.metric, GetParam().metric);
    ExpectMemories(*store);
    ExpectAnswers(*store, GetParam());
  }
}

TEST_P(GoldenStore, HasEveryFormOfRow) {
  storage::FilesOptions options;
  options.read_only = true;
  const auto files = storage::StoreFiles::Open(options, path_);
  ASSERT_TRUE(files.ok()) << files.status();
  const auto view = (*files)->CurrentView();
  std::size_t with_gaps = 0, without_gaps = 0;
  for (const storage::MappedBlock& block : view->blocks().blocks()) {
    ++(block.slice().row_offsets != nullptr ? with_gaps : without_gaps);
  }
  if (GetParam().sealed) {
    EXPECT_GT(with_gaps, 0u);
    EXPECT_GT(without_gaps, 0u);
    EXPECT_EQ(view->tombstones().size(), 12u);  // ten, the old row of 5, the row of 405
    EXPECT_EQ(view->tail().rows(), 21u);
  } else {
    EXPECT_EQ(with_gaps + without_gaps, 0u);
    EXPECT_EQ(view->tail().rows(), 421u);
  }
}

TEST_P(GoldenStore, TakesWritesAndKeepsTheRest) {
  auto store = Open(/*read_only=*/false);
  ASSERT_NE(store, nullptr);
  // These keys are older than forms, and got theirs when the store was opened.
  const auto named = store->FindNamed({}, "of KEY 150 and key 50");
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_EQ(named->size(), 2u);
  EXPECT_EQ((*named)[0].id, 150u);
  EXPECT_EQ((*named)[1].id, kFarId);
  ASSERT_TRUE(store->Put({}, 1000, Embedding(1000)).ok());
  ASSERT_TRUE(store->Compact({}).ok());
  EXPECT_EQ(store->Stats().dead_rows, 0u);
  EXPECT_EQ(store->Stats().coded_rows, store->Stats().rows);  // these files are older than codes
  ASSERT_TRUE(store->Delete({}, 1000).ok());
  ASSERT_TRUE(store->Close().ok());
  store = Open(/*read_only=*/false);
  ASSERT_NE(store, nullptr);
  ExpectMemories(*store);
  ExpectAnswers(*store, GetParam());
}

INSTANTIATE_TEST_SUITE_P(V1, GoldenStore, ::testing::ValuesIn(kStores),
                         [](const auto& kind) { return std::string(kind.param.name); });

std::map<std::string, std::string> KeptValues() {
  std::map<std::string, std::string> values;
  std::ifstream file(kFolder + "/values.txt");
  for (std::string name, hex; file >> name >> hex;) values[name] = FromHex(hex);
  return values;
}

TEST(GoldenValues, AreWrittenAsTheyWere) {
  const auto kept = KeptValues();
  ASSERT_FALSE(kept.empty());
  for (const auto& [name, bytes] : EncodedValues()) {
    ASSERT_TRUE(kept.contains(name)) << name;
    EXPECT_EQ(ToHex(bytes), ToHex(kept.at(name))) << name;
  }
}

TEST(GoldenValues, DecodeToWhatTheyWere) {
  auto kept = KeptValues();
  EXPECT_EQ(*storage::DecodeStoreMeta(kept["store-meta"]), kMeta);
  // As it was written before it told what was synced.
  EXPECT_EQ(*storage::DecodeCommitRecord(kept["commit-record"]), kCommit);
  EXPECT_EQ(*storage::DecodeCommitRecord(kept["commit-record-synced"]), kSyncedCommit);
  EXPECT_EQ(*storage::DecodeFileEntry(kept["file-entry"]), File());
  EXPECT_EQ(*storage::DecodeMemoryHead(kept["memory-head"]), kHead);
  EXPECT_EQ(*storage::DecodeMemoryHead(kept["memory-head-dead"]), kDeadHead);
  EXPECT_EQ(*storage::DecodeId(kept["id"]), 0x0102030405060708u);
  // As it was written before a payload told when its memory was put.
  EXPECT_EQ(storage::DecodePayload(kept["payload"])->payload, kPayloadBytes);
  EXPECT_EQ(storage::DecodePayload(kept["payload"])->put_at, std::nullopt);
  EXPECT_EQ(storage::DecodePayload(kept["payload-timed"])->payload, kPayloadBytes);
  EXPECT_EQ(storage::DecodePayload(kept["payload-timed"])->put_at, kPutAt);
  EXPECT_EQ(*storage::DecodeStrength(kept["strength"]), kStrength);
  EXPECT_EQ(*storage::DecodeEdgeEvents(kept["edge-events"], 8),
            std::vector<storage::EdgeEvent>(std::begin(kEdgeEvents), std::end(kEdgeEvents)));
  EXPECT_EQ(*storage::DecodeEdgeCatalog(kept["edge-catalog"]), EdgesSealed());
  EXPECT_EQ(*storage::DecodeEdgeType(kept["edge-type"]), 0x01020304u);
  EXPECT_EQ(*storage::DecodeEdgeEventKey(kept["key-edge-event"]), 0x0102030405060708u);
  const auto tail = storage::DecodeTailRow(kept["tail-row"], 2);
  ASSERT_TRUE(tail.ok()) << tail.status();
  EXPECT_EQ(tail->id, Tail().id);
  EXPECT_EQ(tail->node, Tail().node);
  EXPECT_EQ(tail->norm, Tail().norm);
  EXPECT_EQ(tail->embedding, Tail().embedding);
  std::string column = kept["block-column"];
  column.resize(storage::kTableBlockBytes);
  const auto decoded = storage::DecodeBlockColumn(column);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->payload, kColumnPayload);
  EXPECT_EQ(decoded->header.generation, kColumn.generation);
  EXPECT_TRUE(storage::CheckBlockPayload(*decoded).ok());
  EXPECT_EQ(storage::DecodeBlockKey(kept["key-block"])->generation, 0x0a0b0c0du);
  EXPECT_EQ(storage::DecodeRowKey(kept["key-row"]), 0x0102030405060708u);
  EXPECT_EQ(storage::DecodeFileKey(kept["key-file"]), 0x0102030405060708u);
  EXPECT_EQ(storage::DecodeHeadKey(kept["key-head"]), 0x0102030405060708u);
  EXPECT_EQ(storage::DecodeNodeKey(kept["key-node"]), 0x01020304u);
  EXPECT_EQ(storage::DecodeIdKeysKey(kept["key-id-keys"])->key, "cat");
}

}  // namespace
}  // namespace engram::golden

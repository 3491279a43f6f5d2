// The kept stores with codes of format version 1 must stay readable, by every path; and codes
// must be made as they were, bit for bit.
#include "tests/golden/golden_codes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "storage/base/hash.h"
#include "storage/format/code_format.h"
#include "storage/store_files.h"
#include "tests/golden/golden_copy.h"
#include "tests/support/temp_dir.h"

namespace engram::golden {
namespace {

const std::string kFolder = ENGRAM_GOLDEN_FOLDER;

class GoldenCodes : public ::testing::TestWithParam<CodesKind>, protected GoldenCopy {
 protected:
  void SetUp() override { Copy(GetParam().name); }
};

void ExpectAnswers(const Store& store, const CodesKind& kind, bool plain) {
  std::ifstream answers(kFolder + "/" + kind.name + ".answers");
  SearchOptions options;
  options.k = 20;
  options.plain = plain;
  for (const std::vector<float>& query : CodesQueries()) {
    const auto found = store.Search(options, query);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(found->info.exact);
    EXPECT_EQ(found->info.path, plain ? SearchPath::kPlainScan : SearchPath::kCertifiedScan);
    ASSERT_EQ(found->hits.size(), 20u);
    for (std::size_t i = 0; i < found->hits.size(); ++i) {
      MemoryId id = 0;
      std::uint32_t expected_bits = 0, bits = 0;
      ASSERT_TRUE(answers >> id >> expected_bits) << "the kept answers end early";
      std::memcpy(&bits, &found->hits[i].score, sizeof bits);
      EXPECT_EQ(found->hits[i].id, id) << "rank " << i;
      EXPECT_EQ(bits, expected_bits) << "rank " << i << ", id " << id;
    }
  }
}

TEST_P(GoldenCodes, AnswersByEveryPath) {
  for (const bool read_only : {true, false}) {
    auto store = Open(read_only);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->Stats().coded_rows, kCodesSealed);
    for (const bool plain : {false, true}) ExpectAnswers(*store, GetParam(), plain);
    const auto report = store->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
    for (MemoryId id = 0; id < kCodesAll; ++id) {
      const auto record = store->Get({}, id);
      ASSERT_EQ(record.ok(), !CodesDeleted(id)) << record.status();
      if (record.ok()) {
        EXPECT_EQ(record->vector, CodesEmbedding(id));
      }
    }
  }
}

TEST_P(GoldenCodes, AnswersAfterCompaction) {
  auto store = Open(/*read_only=*/false);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->Compact({}).ok());
  const StoreStats stats = store->Stats();
  EXPECT_EQ(stats.dead_rows, 0u);
  EXPECT_EQ(stats.coded_rows, stats.rows);
  for (const bool plain : {false, true}) ExpectAnswers(*store, GetParam(), plain);
}

TEST_P(GoldenCodes, AreMadeAsTheyWere) {
  storage::FilesOptions options;
  options.read_only = true;
  const auto files = storage::StoreFiles::Open(options, path_);
  ASSERT_TRUE(files.ok()) << files.status();
  const auto view = (*files)->CurrentView();
  ASSERT_EQ(view->blocks().blocks().size(), 1u);
  const storage::MappedBlock& block = view->blocks().blocks()[0];
  ASSERT_TRUE(block.Check().ok());
  const storage::RowSlice rows = block.slice();
  ASSERT_EQ(rows.count, kCodesSealed);
  const storage::CodePayloads now =
      storage::EncodeCodes(kCodesDimension, GetParam().metric == Metric::kCosine, rows.embeddings,
                           rows.count, /*rotation=*/nullptr);
  std::size_t compared = 0;
  for (const storage::BlockColumn& column : block.columns()) {
    const bool coarse = column.header.column == storage::ColumnKind::kCode;
    if (!coarse && column.header.column != storage::ColumnKind::kFineCode) continue;
    EXPECT_TRUE(column.payload == (coarse ? now.codes : now.fine));
    ++compared;
  }
  EXPECT_EQ(compared, 2u);
}

INSTANTIATE_TEST_SUITE_P(V1, GoldenCodes, ::testing::ValuesIn(kCodesStores), [](const auto& kind) {
  return kind.param.metric == Metric::kCosine ? "cosine" : "l2";
});

// A store that has a rotation would be too large to keep: its hashes are kept instead.
TEST(GoldenRotation, CodesAreMadeAsTheyWere) {
  constexpr std::uint32_t kDimension = 72, kKept = 24, kRows = 100;
  std::vector<float> matrix, rows;
  for (std::uint32_t i = 0; i < kKept * kDimension; ++i) {
    matrix.push_back((static_cast<float>(i * 37 % 101) - 50.0f) / 4096.0f);
  }
  for (std::uint32_t i = 0; i < kRows * kDimension; ++i) {
    rows.push_back((static_cast<float>(i * 7919 % 1009) - 504.0f) / 300.0f);
  }
  const storage::RotationView rotation{
      .rows = matrix.data(), .code_dimensions = kKept, .hash = 0x0102030405060708};
  struct Kept {
    bool normalised;
    std::uint64_t codes, fine;
  };
  for (const Kept& kept : {Kept{true, 13770313663354377004u, 3829354608693704989u},
                           Kept{false, 8518076177297650740u, 3087807385864604769u}}) {
    const storage::CodePayloads made =
        storage::EncodeCodes(kDimension, kept.normalised, rows.data(), kRows, &rotation);
    ASSERT_EQ(made.codes.size(), storage::kCodeUnitBytes + 2 * storage::SuperblockBytes(3));
    EXPECT_EQ(storage::Hash64(made.codes), kept.codes);
    EXPECT_EQ(storage::Hash64(made.fine), kept.fine);
  }
}

}  // namespace
}  // namespace engram::golden

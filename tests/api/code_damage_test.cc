// Codes that are damaged: by flipped bits, and by contents that have the right checksums. A
// search says DataLoss with block and column, or answers right; it never calls a wrong
// answer exact. Build with sanitizers to see that none reads beyond.

#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <random>

#include "engram/engram.h"
#include "storage/format/code_format.h"
#include "tests/support/block_table.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using absl::StatusCode;
using storage::ColumnKind;

using testing::Place;
using testing::Table;

struct Kind {
  const char* name;
  Metric metric;
  std::uint32_t dimension;
  std::uint64_t rows;
  double falls;  // by what each dimension varies less than the one before
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

constexpr Kind kKinds[] = {{"Rows", Metric::kL2Squared, 24, 3000, 1.0},
                           {"Rotated", Metric::kCosine, 64, 8500, 0.9}};

class CodeDamage : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    RecordProperty("seed", std::to_string(seed_));
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
    Make(GetParam(), /*blocks=*/1);
  }

  void Make(const Kind& kind, std::uint32_t blocks) {
    kind_ = kind;
    StoreOptions options;
    options.dimension = kind.dimension;
    options.metric = kind.metric;
    options.create_if_missing = true;
    options.rows_per_block = static_cast<std::uint32_t>((kind.rows / blocks + 63) / 64 * 64);
    auto store = Store::Open(options, path_);
    ASSERT_TRUE(store.ok()) << store.status();
    std::vector<float> vector;
    MemoryId next = 0;
    const auto report = (*store)->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (next == kind.rows) return false;
      vector = RandomVector();
      row->id = next++;
      row->vector = vector;
      return true;
    });
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE((*store)->Seal().ok());
    ASSERT_TRUE((*store)->Close().ok());
    query_ = RandomVector();
    const auto opened = Open();
    ASSERT_NE(opened, nullptr);
    EXPECT_EQ(opened->Stats().coded_rows, kind.rows);
    const auto found = Search(*opened, true);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->info.path, SearchPath::kCertifiedScan);
    SearchOptions plain;
    plain.plain = true;
    truth_ = opened->Search(plain, query_)->hits;
    ExpectTruth(*opened);
  }

  std::vector<float> RandomVector() {
    std::normal_distribution<double> normal;
    std::vector<float> vector;
    double factor = 1;
    for (std::uint32_t j = 0; j < kind_.dimension; ++j, factor *= kind_.falls) {
      vector.push_back(static_cast<float>(factor * normal(random_)));
    }
    return vector;
  }
  std::size_t Below(std::size_t end) { return random_() % end; }

  std::unique_ptr<Store> Open() const {
    StoreOptions options;
    options.read_only = true;  // and so changes no file
    options.search_threads = 1;
    auto store = Store::Open(options, path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  absl::StatusOr<SearchResults> Search(const Store& store, bool verify) const {
    SearchOptions options;
    options.verify_checksums = verify;
    return store.Search(options, query_);
  }

  void ExpectTruth(const Store& store) const {
    const auto found = Search(store, true);
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectTruth(*found);
  }
  void ExpectTruth(const SearchResults& found) const {
    EXPECT_TRUE(found.info.exact);
    ASSERT_EQ(found.hits.size(), truth_.size());
    for (std::size_t i = 0; i < truth_.size(); ++i) {
      EXPECT_EQ(found.hits[i].id, truth_[i].id);
      EXPECT_EQ(std::memcmp(&found.hits[i].score, &truth_[i].score, sizeof(float)), 0);
    }
  }

  static void ExpectLoss(const absl::Status& status, const Place& place) {
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    const std::string message(status.message());
    EXPECT_NE(message.find("block at row " + std::to_string(place.first_row) + " "),
              std::string::npos)
        << status;
    EXPECT_NE(message.find("column " + std::string(storage::ColumnName(place.column)) + ":"),
              std::string::npos)
        << status;
  }
  // Without a look at checksums the answer may be wrong, says so, and is one.
  void ExpectSafe(const Store& store) const {
    const auto found = Search(store, false);
    if (!found.ok()) {
      EXPECT_EQ(found.status().code(), StatusCode::kDataLoss) << found.status();
      return;
    }
    EXPECT_FALSE(found->info.exact);
    ExpectHits(*found);
  }
  // What is damaged follows from the rows, and they can be had without it.
  void ExpectRowsSound(const Store& store) const {
    SearchOptions plain;
    plain.plain = true;
    const auto found = store.Search(plain, query_);
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectTruth(*found);
    EXPECT_TRUE(store.Get({}, kind_.rows / 2).ok());
  }
  void ExpectHits(const SearchResults& found) const {
    EXPECT_LE(found.hits.size(), truth_.size());
    EXPECT_LE(found.info.rows_scored, kind_.rows);
    for (const Hit& hit : found.hits) {
      EXPECT_LT(hit.id, kind_.rows);
      EXPECT_TRUE(std::isfinite(hit.score));
    }
  }
  static void ExpectFound(const Store& store, const Place& place) {
    const auto report = store.Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->corrupt_blocks, 1u);
    ASSERT_FALSE(report->findings.empty());
    ExpectLoss(absl::DataLossError(report->findings[0]), place);
  }

  // A byte of the payload: of its beginning, its end, or any.
  std::size_t SomeByte(const Place& place) {
    const std::size_t part = std::min<std::size_t>(place.bytes, 512);
    switch (Below(4)) {
      case 0: return Below(part);
      case 1: return place.bytes - 1 - Below(part);
      default: return Below(place.bytes);
    }
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "store";
  const std::uint64_t seed_ = std::random_device()();
  std::mt19937_64 random_{seed_};
  Kind kind_;
  std::vector<float> query_;
  std::vector<Hit> truth_;
};

TEST_P(CodeDamage, AFlippedBitIsDataLossBeforeItIsAWrongAnswer) {
  Table table(path_);
  const std::vector<Place> places = table.OfCodes();
  ASSERT_EQ(places.size(), kind_.falls < 1 ? 3u : 2u);
  // The only block is never found sound, and so its checksums are compared each time.
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  constexpr int kCases = 1200;
  for (int i = 0; i < kCases && !HasFailure(); ++i) {
    const Place& place = places[Below(places.size())];
    const std::size_t byte = SomeByte(place);
    const int bit = static_cast<int>(Below(8));
    SCOPED_TRACE("column " + std::string(storage::ColumnName(place.column)) + ", byte " +
                 std::to_string(byte) + ", bit " + std::to_string(bit));
    table.Flip(place.payload + byte, bit);
    ExpectLoss(Search(*store, true).status(), place);
    ExpectSafe(*store);
    if (i % 100 == 0) ExpectRowsSound(*store);
    if (i % 25 == 0) ExpectFound(*store, place);
    table.Flip(place.payload + byte, bit);
  }
  ExpectTruth(*store);
}

// The header of the column, the zeros around it, and the header of the codes are believed, or
// not, when a store is opened.
TEST_P(CodeDamage, AFlippedBitOfAHeaderIsDataLoss) {
  Table table(path_);
  for (const Place& place : table.OfCodes()) {
    for (std::size_t byte = 0; byte < storage::kBlockHeaderBytes && !HasFailure(); ++byte) {
      const bool repaired = byte < testing::kHashedHeaderBytes && Below(2) == 0;
      SCOPED_TRACE("column " + std::string(storage::ColumnName(place.column)) + ", byte " +
                   std::to_string(byte) + (repaired ? ", repaired" : ""));
      table.Flip(place.at + byte, static_cast<int>(Below(8)));
      if (repaired) table.RepairHeader(place);
      const auto store = Open();
      ASSERT_NE(store, nullptr);
      ExpectSafe(*store);
      ExpectLoss(Search(*store, true).status(), place);
      ExpectRowsSound(*store);
      if (byte % 8 == 0) ExpectFound(*store, place);
      table.Restore(place.at, place.at + storage::kBlockHeaderBytes);
    }
  }
  const Place codes = table.Find(ColumnKind::kCode);
  for (std::size_t byte = 0; byte < storage::kCodeUnitBytes && !HasFailure(); ++byte) {
    SCOPED_TRACE("header of codes, byte " + std::to_string(byte));
    table.Flip(codes.payload + byte, static_cast<int>(Below(8)));
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    ExpectSafe(*store);
    ExpectLoss(Search(*store, true).status(), codes);
    ExpectFound(*store, codes);
    table.Restore(codes);
  }
  ExpectTruth(*Open());
}

// RocksDB finds a column by what stands before and behind it, and would believe that.
TEST_P(CodeDamage, AFlippedBitAroundAColumnIsDataLoss) {
  Table table(path_);
  int losses = 0;
  const auto flip = [&](std::size_t at) {
    SCOPED_TRACE(at);
    table.Flip(at, static_cast<int>(Below(8)));
    StoreOptions options;
    options.read_only = true;
    const auto store = Store::Open(options, path_);
    // Where it opens, the column has another key, or it was a zero between columns.
    const absl::Status status = store.ok() ? Search(**store, true).status() : store.status();
    if (status.ok()) {
      ExpectTruth(**store);
    } else {
      ++losses;
      EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    }
    table.Restore(at, at + 1);
  };
  constexpr std::size_t kBefore = 28, kBehind = 9;
  for (const Place& place : table.places()) {
    for (std::size_t i = 1; i <= std::min(kBefore, place.at) && !HasFailure(); ++i) {
      flip(place.at - i);
    }
    for (std::size_t i = 0; i < kBehind && !HasFailure(); ++i) flip(place.end() + i);
  }
  EXPECT_GE(losses, static_cast<int>(table.places().size() * 36));
  ExpectTruth(*Open());
}

TEST_P(CodeDamage, AFlippedBitThatIsOfNothingChangesNothing) {
  Table table(path_);
  for (const Place& place : table.OfCodes()) {
    std::vector<std::size_t> zeros = {place.at + storage::kBlockHeaderBytes, place.payload - 1};
    if (place.end() > place.payload + place.bytes) zeros.push_back(place.end() - 1);
    for (const std::size_t at : zeros) {
      if (at >= place.payload && at < place.payload + place.bytes) continue;  // no zeros here
      SCOPED_TRACE(at);
      table.Flip(at, static_cast<int>(Below(8)));
      ExpectTruth(*Open());
      table.Restore(at, at + 1);
    }
  }
}

// No checksum tells that these are wrong: what comes of them may be, too, but is in bounds.
TEST_P(CodeDamage, ContentsWithRightChecksumsAreSafe) {
  Table table(path_);
  const std::vector<Place> places = table.OfCodes();
  const float floats[] = {0.0f,
                          -1.0f,
                          1e-30f,
                          std::numeric_limits<float>::denorm_min(),
                          std::numeric_limits<float>::max(),
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()};
  constexpr int kCases = 150;
  for (int i = 0; i < kCases && !HasFailure(); ++i) {
    const Place& place = places[Below(places.size())];
    std::string trace = "column " + std::string(storage::ColumnName(place.column));
    for (std::size_t n = Below(20); n < 20; ++n) {
      const std::size_t word = SomeByte(place) / 4 * 4;
      std::uint32_t content = 0;
      std::memcpy(&content, &floats[Below(std::size(floats))], sizeof content);
      if (Below(3) == 0) content = static_cast<std::uint32_t>(random_() >> Below(33));
      if (word + sizeof content > place.bytes) continue;
      table.Set(place.payload + word, {reinterpret_cast<const char*>(&content), sizeof content});
      trace += ", " + std::to_string(word) + ": " + std::to_string(content);
    }
    SCOPED_TRACE(trace);
    table.RepairPayload(place);
    table.RepairHeader(place);
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    ExpectSafe(*store);
    const auto found = Search(*store, true);
    if (found.ok()) {
      ExpectHits(*found);
    } else {
      EXPECT_EQ(found.status().code(), StatusCode::kDataLoss) << found.status();
    }
    table.Restore(place);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CodeDamage, ::testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

class RotationDamage : public CodeDamage {
 protected:
  void SetUp() override { Make(kKinds[1], /*blocks=*/4); }
};

// The rotation of a file lies under its first block, and all others depend on it.
TEST_F(RotationDamage, OneBlockDoesNotTakeItsFileAlong) {
  Table table(path_);
  ASSERT_EQ(table.Find(ColumnKind::kCode, 3).first_row,
            3 * table.Find(ColumnKind::kCode, 1).first_row);
  for (const ColumnKind column : {ColumnKind::kEmbedding, ColumnKind::kId, ColumnKind::kCode}) {
    for (const bool in_header : {false, true}) {
      const Place place = table.Find(column);
      SCOPED_TRACE(std::string(storage::ColumnName(column)) + (in_header ? ", header" : ""));
      table.Flip(in_header ? place.at + 9 : place.payload + place.bytes / 2, 3);
      const auto store = Open();
      ASSERT_NE(store, nullptr);
      ExpectLoss(Search(*store, true).status(), place);
      ExpectFound(*store, place);
      EXPECT_TRUE(store->Get({}, kind_.rows - 1).ok()) << "its block is whole";
      table.Restore(place);
    }
  }
}

TEST_F(RotationDamage, IsFoundFromEveryBlock) {
  Table table(path_);
  const Place place = table.Find(ColumnKind::kRotation);
  {
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    table.Flip(place.payload + place.bytes / 3, 5);
    ExpectRowsSound(*store);
    ExpectLoss(Search(*store, true).status(), place);
    ExpectFound(*store, place);
    ExpectSafe(*store);
    table.Restore(place);
    ExpectTruth(*store);
  }
  table.Flip(place.at + 17, 0);
  const auto store = Open();
  ASSERT_NE(store, nullptr);
  ExpectLoss(Search(*store, true).status(), place);
  EXPECT_FALSE(store->Verify({})->findings.empty());
}

// They follow from the rows: writing the file anew mends them, dead rows or not.
TEST_F(RotationDamage, IsMendedByCompact) {
  for (const ColumnKind column :
       {ColumnKind::kCode, ColumnKind::kFineCode, ColumnKind::kRotation}) {
    for (const bool in_header : {false, true}) {
      SCOPED_TRACE(std::string(storage::ColumnName(column)) + (in_header ? ", header" : ""));
      Place place;
      {
        Table table(path_);
        place = table.Find(column);
        table.Flip(in_header ? place.at + 9 : place.payload + place.bytes / 2, 1);
      }
      const auto store = Store::Open({}, path_);
      ASSERT_TRUE(store.ok()) << store.status();
      ExpectLoss(Search(**store, true).status(), place);
      CompactOptions few;
      few.min_dead_fraction = 0.5;
      ASSERT_TRUE((*store)->Compact(few).ok());
      ExpectLoss(Search(**store, true).status(), place);
      const absl::Status status = (*store)->Compact({});
      ASSERT_TRUE(status.ok()) << status;
      ExpectTruth(**store);
      EXPECT_EQ(Search(**store, true)->info.path, SearchPath::kCertifiedScan);
      EXPECT_TRUE((*store)->Verify({})->findings.empty());
      ASSERT_TRUE((*store)->Close().ok());
    }
  }
}

// Damage of rows is not copied under a fresh checksum.
TEST_F(RotationDamage, OfRowsKeepsTheirFileFromBeingRewritten) {
  Table table(path_);
  const Place place = table.Find(ColumnKind::kNorm, 2);
  table.Flip(place.payload + 77, 1);
  table.Flip(table.Find(ColumnKind::kCode).payload + 99, 1);
  const auto store = Store::Open({}, path_);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Delete({}, 5).ok());
  ExpectLoss((*store)->Compact({}), place);
  EXPECT_EQ((*store)->Stats().dead_rows, 1u);
}

// A checksum that matches what never was: only what the rows give tells.
TEST_P(CodeDamage, VerifyMakesCodesAnew) {
  Table table(path_);
  for (const Place& place : table.OfCodes()) {
    table.Flip(place.payload + place.bytes / 2, 3);
    table.RepairPayload(place);
    table.RepairHeader(place);
    const auto report = Open()->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->findings.empty());
    VerifyOptions quick;
    quick.read_every_block = false;
    if (place.column != ColumnKind::kRotation) {
      EXPECT_TRUE(Open()->Verify(quick)->findings.empty());
    }
    table.Restore(place);
  }
  EXPECT_TRUE(Open()->Verify({})->findings.empty());
}

}  // namespace
}  // namespace engram

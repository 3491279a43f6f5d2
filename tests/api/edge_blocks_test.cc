// Sealed edges in many blocks: those of a large graph are, and small ones are cut here, by
// hand, so that answers can be compared bit by bit with those of one block.
#include <algorithm>
#include <cstring>
#include <map>

#include "storage/format/edge_format.h"
#include "tests/api/graph_store.h"
#include "tests/support/store_surgery.h"

namespace engram {
namespace {

using storage::ColumnKind;
using storage::Family;

constexpr MemoryId kCount = 200;

template <typename T>
std::vector<T> ValuesOf(const std::string& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

template <typename T>
std::string BytesOf(const std::vector<T>& values, std::size_t begin, std::size_t end) {
  return {reinterpret_cast<const char*>(values.data() + begin), (end - begin) * sizeof(T)};
}

// Cuts the one block of a closed store before each node of `cuts`, which ascend.
class Cutter {
 public:
  explicit Cutter(const std::string& path) : surgery_(path) {}

  void Cut(std::vector<std::uint32_t> cuts) {
    const std::string key(storage::kEdgeCatalogKey);
    auto catalog = storage::DecodeEdgeCatalog(surgery_.Get(Family::kCatalog, key));
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    ASSERT_EQ(catalog->blocks.size(), 1u);
    generation_ = catalog->generation;
    const std::uint32_t nodes = catalog->blocks[0].nodes;
    Take(ColumnKind::kEdgeOffset);
    Take(ColumnKind::kEdgeTarget);
    Take(ColumnKind::kEdgeWeight);
    Take(ColumnKind::kEdgeType);
    Take(ColumnKind::kEdgeSum);
    Take(ColumnKind::kInOffset);
    Take(ColumnKind::kInSource);
    catalog->blocks.clear();
    std::uint32_t first = 0;
    cuts.push_back(nodes);
    for (const std::uint32_t end : cuts) {
      catalog->blocks.push_back(PutBlock(first, end));
      first = end;
    }
    surgery_.Put(Family::kCatalog, key, storage::EncodeEdgeCatalog(*catalog));
  }

 private:
  void Take(ColumnKind column) {
    std::string key;
    storage::BlockHeader header;
    columns_[column] = surgery_.Column(Family::kEdges, column, &key, &header);
    surgery_.Delete(Family::kEdges, key);
  }

  void PutColumn(std::uint32_t first, ColumnKind column, std::size_t width,
                 const std::string& payload) {
    const auto rows = static_cast<std::uint32_t>(payload.size() / width);
    const storage::BlockHeader header{.first_row = first,
                                      .rows = rows,
                                      .span = rows,
                                      .column = column,
                                      .bytes_per_row = static_cast<std::uint32_t>(width),
                                      .generation = generation_};
    surgery_.Put(
        Family::kEdges,
        storage::EncodeBlockKey({.generation = generation_, .first_row = first, .column = column}),
        storage::EncodeBlockColumn(header, payload));
  }

  // Puts offsets [first, end] from zero on. Returns: what they span.
  std::pair<std::uint32_t, std::uint32_t> PutOffsets(std::uint32_t first, std::uint32_t end,
                                                     ColumnKind column) {
    auto offsets = ValuesOf<std::uint32_t>(columns_[column]);
    const std::uint32_t from = offsets[first], to = offsets[end];
    for (std::uint32_t& offset : offsets) offset -= from;
    PutColumn(first, column, 4, BytesOf(offsets, first, end + 1));
    return {from, to};
  }

  storage::EdgeBlock PutBlock(std::uint32_t first, std::uint32_t end) {
    const auto [from, to] = PutOffsets(first, end, ColumnKind::kEdgeOffset);
    const auto targets = ValuesOf<std::uint32_t>(columns_[ColumnKind::kEdgeTarget]);
    PutColumn(first, ColumnKind::kEdgeTarget, 4, BytesOf(targets, from, to));
    const auto weights = ValuesOf<float>(columns_[ColumnKind::kEdgeWeight]);
    PutColumn(first, ColumnKind::kEdgeWeight, 4, BytesOf(weights, from, to));
    PutColumn(first, ColumnKind::kEdgeType, 1,
              columns_[ColumnKind::kEdgeType].substr(from, to - from));
    const auto sums = ValuesOf<float>(columns_[ColumnKind::kEdgeSum]);
    PutColumn(first, ColumnKind::kEdgeSum, 4, BytesOf(sums, first, end));
    const auto [in_from, in_to] = PutOffsets(first, end, ColumnKind::kInOffset);
    const auto sources = ValuesOf<std::uint32_t>(columns_[ColumnKind::kInSource]);
    PutColumn(first, ColumnKind::kInSource, 4, BytesOf(sources, in_from, in_to));
    return {.first_node = first,
            .nodes = end - first,
            .edges = to - from,
            .sources = in_to - in_from,
            .typed = true};
  }

  testing::StoreSurgery surgery_;
  std::uint32_t generation_ = 0;
  std::map<ColumnKind, std::string> columns_;
};

std::unique_ptr<Store> Open(const std::string& path) {
  StoreOptions options;
  options.dimension = testing::kGraphDimension;
  options.create_if_missing = true;
  auto store = Store::Open(options, path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

void Fill(Store& store) {
  std::mt19937 random(71);
  WriteBatch batch;
  for (MemoryId id = 0; id < kCount; ++id) {
    batch.Put(id, id % 4 == 0 ? std::vector<float>() : testing::RandomVector(random));
  }
  for (MemoryId i = 0; i < 8 * kCount; ++i) {
    // None out of or to the middle.
    const auto end = [&] { return random() % 90 + (random() % 2 == 0 ? 0 : 110); };
    batch.PutEdge({.from = end(),
                   .to = end(),
                   .weight = static_cast<float>(1 + random() % 100) / 30.0f,
                   .type = static_cast<std::uint32_t>(random() % 3)});
  }
  ASSERT_TRUE(store.Write({}, batch).ok());
}

void ChangeSome(Store& store) {
  WriteBatch batch;
  for (const MemoryId id : {0, 49, 50, 100, 120, 199}) {
    batch.PutEdge({.from = id, .to = 7, .weight = 2});
    batch.PutEdge({.from = 8, .to = id, .weight = 3, .type = 2});
  }
  batch.Delete(51);
  batch.Delete(149);
  batch.Put(1000, {});
  batch.PutEdge({.from = 1000, .to = 0});
  batch.PutEdge({.from = 0, .to = 1000});
  ASSERT_TRUE(store.Write({}, batch).ok());
}

std::string Answers(const Store& store) {
  static constexpr std::uint32_t kTypes[] = {2, 0};
  std::string bits;
  for (const float threshold : {0.0f, 1e-3f, 2e-2f}) {
    for (const bool typed : {false, true}) {
      SpreadOptions options;
      options.threshold = threshold;
      if (typed) options.edge_types = kTypes;
      const Seed seeds[] = {{.id = 3}, {.id = 120}, {.id = 180, .activation = 0.1f}};
      const auto found = store.Spread(options, seeds);
      EXPECT_TRUE(found.ok()) << found.status();
      if (found.ok()) bits += testing::BitsOf(found->memories);
    }
  }
  for (MemoryId id = 0; id < kCount; ++id) {
    for (const Direction direction : {Direction::kOut, Direction::kIn}) {
      const auto edges = store.Neighbors({}, id, direction);
      if (!edges.ok()) continue;  // deleted
      for (const Edge& edge : *edges) {
        bits += std::to_string(edge.from) + ">" + std::to_string(edge.to) + " " +
                std::to_string(edge.weight) + "\n";
      }
    }
  }
  return bits;
}

TEST(EdgeBlocks, HoweverManyThereAreAnswersHaveTheSameBits) {
  testing::TempDir dir;
  {
    const auto store = Open(dir / "s");
    Fill(*store);
    ASSERT_TRUE(store->Seal().ok());
    ASSERT_TRUE(store->Close().ok());
  }
  const std::vector<std::vector<std::uint32_t>> all = {
      {1}, {100}, {199}, {50, 51, 120}, {92, 105, 106}, {10, 20, 30, 40, 150, 160, 170}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const std::string whole_path = dir / ("whole" + std::to_string(i));
    const std::string cut_path = dir / ("cut" + std::to_string(i));
    std::filesystem::copy(dir / "s", whole_path);
    std::filesystem::copy(dir / "s", cut_path);
    Cutter(cut_path).Cut(all[i]);
    const auto whole = Open(whole_path), cut = Open(cut_path);
    EXPECT_EQ(Answers(*cut), Answers(*whole));
    ChangeSome(*whole);
    ChangeSome(*cut);
    EXPECT_EQ(Answers(*cut), Answers(*whole));
    const auto report = cut->Verify({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->findings.empty()) << report->findings[0];
    EXPECT_EQ(report->edges, whole->Verify({})->edges);
    const std::string before = Answers(*whole);
    ASSERT_TRUE(cut->Seal().ok());
    EXPECT_EQ(Answers(*cut), before);
  }
}

}  // namespace
}  // namespace engram

// What is sealed is never copied: kernels that note what they are given prove that every
// row and edge they read lies in a mapping of the store's own table files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "engine/exact_search.h"
#include "engine/vectors.h"
#include "kernels/dispatch.h"
#include "recall/spreading.h"
#include "storage/store_files.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using storage::Change;
using storage::StoreFiles;

// Odd, so that a row alone is not aligned.
constexpr std::uint32_t kDimension = 97;
constexpr std::uint32_t kRowsPerBlock = 640;  // several pieces of a scan

struct Bytes {
  std::uintptr_t begin = 0;
  std::size_t size = 0;
  std::uintptr_t end() const { return begin + size; }
  friend auto operator<=>(const Bytes&, const Bytes&) = default;
};

template <typename T>
Bytes BytesOf(const T* data, std::size_t count) {
  return {reinterpret_cast<std::uintptr_t>(data), count * sizeof(T)};
}

// What is mapped of the table files of one store.
class Mappings {
 public:
  explicit Mappings(const std::string& path) {
    const std::string store = std::filesystem::canonical(path);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      const std::size_t name = line.find('/');
      if (name == std::string::npos || line.compare(name, store.size() + 1, store + "/") != 0) {
        continue;
      }
      unsigned long begin = 0, end = 0;
      EXPECT_EQ(std::sscanf(line.c_str(), "%lx-%lx", &begin, &end), 2) << line;
      if (line.ends_with(".sst")) mapped_.push_back({begin, end - begin});
    }
    std::sort(mapped_.begin(), mapped_.end());
  }

  bool Hold(const Bytes& bytes) const {
    return std::any_of(mapped_.begin(), mapped_.end(), [&](const Bytes& one) {
      return bytes.begin >= one.begin && bytes.end() <= one.end();
    });
  }

 private:
  std::vector<Bytes> mapped_;
};

// The best kernels of this machine, behind notes of what they are given.
struct Spy {
  struct EdgesRead {
    Bytes offsets, targets, weights;
    std::size_t edges = 0;
    friend auto operator<=>(const EdgesRead&, const EdgesRead&) = default;
  };

  static inline const engram_kernels* real = nullptr;
  static inline std::mutex mutex;
  static inline std::vector<Bytes> rows;
  static inline std::vector<EdgesRead> pushed, from_frontier;
  static inline std::vector<Bytes> sampled, scanned, fine;

  static engram_kernels Table() {
    real = kernels::FindKernels("");
    engram_kernels table = *real;
    table.dot = &Dot;
    table.l2_squared = &L2;
    table.push = &Push;
    table.frontier = &Frontier;
    table.estimate = &Estimate;
    table.scan = &Scan;
    table.fine = &Fine;
    return table;
  }

  static void Note(const float* data, std::size_t count, std::size_t pitch) {
    EXPECT_EQ(pitch, kDimension);
    const std::lock_guard lock(mutex);
    rows.push_back(BytesOf(data, count * pitch));
  }
  static EdgesRead Read(const engram_edges& edges) {
    const std::uint32_t first = edges.offsets[0], last = edges.offsets[edges.count];
    return {BytesOf(edges.offsets, edges.count + std::size_t{1}),
            BytesOf(edges.targets + first, last - first),
            BytesOf(edges.weights + first, last - first), last - first};
  }

  static void Dot(const float* query, const float* data, std::size_t count, std::size_t dimension,
                  std::size_t pitch, float* out) {
    Note(data, count, pitch);
    real->dot(query, data, count, dimension, pitch, out);
  }
  static void L2(const float* query, const float* data, std::size_t count, std::size_t dimension,
                 std::size_t pitch, float* out) {
    Note(data, count, pitch);
    real->l2_squared(query, data, count, dimension, pitch, out);
  }
  static Bytes Superblocks(const engram_code_query& query, const std::uint8_t* data,
                           std::size_t count) {
    return BytesOf(data, count * storage::SuperblockBytes(query.groups));
  }
  static void Estimate(const engram_code_query* query, const std::uint8_t* data, const float* norms,
                       std::size_t count, float* out) {
    sampled.push_back(Superblocks(*query, data, count));
    real->estimate(query, data, norms, count, out);
  }
  static std::size_t Scan(const engram_code_query* query, const std::uint8_t* data,
                          const float* norms, std::size_t count, std::uint32_t* found_rows,
                          float* bounds, std::size_t found) {
    scanned.push_back(Superblocks(*query, data, count));
    return real->scan(query, data, norms, count, found_rows, bounds, found);
  }
  static void Fine(const std::int16_t* query, const std::int8_t* data, std::size_t pitch,
                   std::size_t dimension, const std::uint32_t* which, std::size_t count,
                   std::int32_t* out) {
    for (std::size_t i = 0; i < count; ++i) {
      fine.push_back(BytesOf(data + which[i] * pitch, dimension));
    }
    real->fine(query, data, pitch, dimension, which, count, out);
  }
  static void Push(const engram_edges* edges, const float* activation, float* next) {
    pushed.push_back(Read(*edges));
    real->push(edges, activation, next);
  }
  static std::size_t Frontier(const engram_edges* edges, const std::uint32_t* active,
                              std::size_t active_count, const float* activation, float* next,
                              std::uint8_t* seen, std::uint32_t* touched, std::size_t count) {
    from_frontier.push_back(Read(*edges));
    return real->frontier(edges, active, active_count, activation, next, seen, touched, count);
  }
};

class ZeroCopy : public ::testing::Test {
 protected:
  void SetUp() override { Open(/*read_only=*/false); }

  void Open(bool read_only) {
    files_.reset();
    storage::FilesOptions options;
    options.dimension = kDimension;
    options.metric = static_cast<std::uint8_t>(Metric::kCosine);
    options.create_if_missing = !read_only;
    options.read_only = read_only;
    options.rows_per_block = kRowsPerBlock;
    auto files = StoreFiles::Open(options, path_);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }

  std::vector<float> Vector() {
    std::vector<float> vector(kDimension);
    for (float& value : vector) value = normal_(random_);
    return vector;
  }

  void Write(const std::vector<Change>& changes) {
    const absl::Status written = files_->Write({}, changes);
    ASSERT_TRUE(written.ok()) << written;
  }

  void Put(std::uint64_t first, std::size_t count) {
    std::vector<std::vector<float>> vectors;
    std::vector<Change> changes;
    for (std::size_t i = 0; i < count; ++i) vectors.push_back(Vector());
    for (std::size_t i = 0; i < count; ++i) {
      Change& put = changes.emplace_back();
      put.id = first + i;
      put.vector = vectors[i];
      put.norm = static_cast<float>(engine::Norm(vectors[i]));
    }
    Write(changes);
  }

  void DeleteEveryThird(std::uint64_t first, std::uint64_t end) {
    std::vector<Change> changes;
    for (std::uint64_t id = first; id < end; id += 3) {
      changes.emplace_back().kind = Change::Kind::kDelete;
      changes.back().id = id;
    }
    Write(changes);
  }

  // Edges of two types between ids [first, first + count), `fan` of each.
  void PutEdges(std::uint64_t first, std::size_t count, std::size_t fan) {
    std::vector<Change> changes;
    for (std::size_t i = 0; i < count * fan; ++i) {
      Change& put = changes.emplace_back();
      put.kind = Change::Kind::kPutEdge;
      put.id = first + i % count;
      put.to = first + random_() % count;
      put.type = static_cast<std::uint32_t>(random_() % 2);
      put.weight = 1.0f;
    }
    Write(changes);
  }

  void Import(std::uint64_t first, std::size_t count) {
    std::vector<float> vector;
    std::size_t given = 0;
    const auto imported =
        files_->Import({}, count, nullptr, [&](auto* memory) -> absl::StatusOr<bool> {
          if (given == count) return false;
          vector = Vector();
          *memory = {};
          memory->id = first + given++;
          memory->vector = vector;
          memory->norm = static_cast<float>(engine::Norm(vector));
          return true;
        });
    ASSERT_TRUE(imported.ok()) << imported.status();
  }

  // Returns: what the kernels read for one search of every sealed row; checks that it is all
  // of them, once, where they lie mapped.
  std::vector<Bytes> SealedRowsRead(Metric metric, std::uint32_t threads) {
    const auto view = files_->CurrentView();
    const engram_kernels kernels = Spy::Table();
    const std::vector<float> vector = Vector();
    const engine::Query query{.vector = vector, .norm = static_cast<float>(engine::Norm(vector))};
    engine::SearchPool pool(threads - 1);
    Spy::rows.clear();
    SearchOptions options;
    options.plain = true;
    const auto found =
        engine::ExactSearch(*view, kernels, metric, options, threads, pool, {&query, 1});
    EXPECT_TRUE(found.ok()) << found.status();

    const Mappings mappings(path_);
    std::sort(Spy::rows.begin(), Spy::rows.end());
    std::vector<Bytes> sealed;
    for (const Bytes& read : Spy::rows) {
      if (!IsOfTail(*view, read)) sealed.push_back(read);
    }
    std::map<std::uintptr_t, std::uintptr_t> pieces;  // begin -> end
    for (const Bytes& read : sealed) {
      EXPECT_TRUE(mappings.Hold(read));
      EXPECT_EQ(read.begin % 64, 0u);
      EXPECT_TRUE(pieces.emplace(read.begin, read.end()).second) << "read twice";
    }
    for (const storage::MappedBlock& block : view->blocks().blocks()) {
      const storage::RowSlice& slice = block.slice();
      const Bytes rows = BytesOf(slice.embeddings, std::size_t{slice.count} * kDimension);
      EXPECT_TRUE(mappings.Hold(BytesOf(slice.norms, slice.count)));
      EXPECT_TRUE(mappings.Hold(BytesOf(slice.ids, slice.count)));
      std::uintptr_t at = rows.begin;
      for (auto it = pieces.find(at); at < rows.end() && it != pieces.end(); it = pieces.find(at)) {
        at = it->second;
        pieces.erase(it);
      }
      EXPECT_EQ(at, rows.end()) << "rows of a block were not read where they lie";
    }
    EXPECT_TRUE(pieces.empty()) << "what is of no block was read";
    return sealed;
  }

  static bool IsOfTail(const storage::View& view, const Bytes& read) {
    for (std::size_t i = 0; i < view.slice_count(); ++i) {
      const storage::RowSlice slice = view.slice(i);
      if (slice.block != nullptr) continue;
      const Bytes rows = BytesOf(slice.embeddings, std::size_t{slice.count} * kDimension);
      if (read.begin >= rows.begin && read.end() <= rows.end()) return true;
    }
    return false;
  }

  void ExpectRowsInPlace(std::size_t least_blocks) {
    ASSERT_GE(files_->CurrentView()->blocks().blocks().size(), least_blocks);
    const std::vector<Bytes> first = SealedRowsRead(Metric::kCosine, 1);
    EXPECT_FALSE(first.empty());
    EXPECT_EQ(SealedRowsRead(Metric::kCosine, 3), first) << "the same rows lie elsewhere";
    EXPECT_EQ(SealedRowsRead(Metric::kL2Squared, 1), first);
  }

  // A certified search reads every superblock where it lies, and rows and fine codes nowhere else.
  // Returns: where the superblocks were.
  std::vector<Bytes> SuperblocksRead() {
    const auto view = files_->CurrentView();
    const engram_kernels kernels = Spy::Table();
    const std::vector<float> vector = Vector();
    const engine::Query query{.vector = vector, .norm = static_cast<float>(engine::Norm(vector))};
    engine::SearchPool pool(0);
    for (auto* noted : {&Spy::rows, &Spy::sampled, &Spy::scanned, &Spy::fine}) noted->clear();
    const auto found =
        engine::ExactSearch(*view, kernels, Metric::kCosine, {}, 1, pool, {&query, 1});
    EXPECT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->at(0).info.path, SearchPath::kCertifiedScan);
    const Mappings mappings(path_);
    std::size_t superblock_bytes = 0;
    for (const storage::MappedBlock& block : view->blocks().blocks()) {
      superblock_bytes += block.slice().codes->superblock_count() *
                          storage::SuperblockBytes(block.slice().codes->groups);
    }
    for (const Bytes& read : Spy::scanned) superblock_bytes -= read.size;
    EXPECT_EQ(superblock_bytes, 0u);
    for (const auto* noted : {&Spy::sampled, &Spy::scanned}) {
      EXPECT_FALSE(noted->empty());
      for (const Bytes& read : *noted) EXPECT_EQ(read.begin % 64, 0u);
    }
    EXPECT_FALSE(Spy::fine.empty());
    for (const auto* noted : {&Spy::rows, &Spy::sampled, &Spy::scanned, &Spy::fine}) {
      for (const Bytes& read : *noted) EXPECT_TRUE(mappings.Hold(read) || IsOfTail(*view, read));
    }
    return Spy::scanned;
  }

  // Spreads for a step: from one node, or from all of them.
  void Spread(const storage::EdgeGraph& graph, bool from_all, const SpreadOptions& options) {
    const auto view = files_->CurrentView();
    const engram_kernels kernels = Spy::Table();
    Spy::pushed.clear();
    Spy::from_frontier.clear();
    const std::uint32_t nodes = view->commit().next_node;
    std::vector<recall::NodeSeed> seeds;
    for (std::uint32_t node = 0; node < (from_all ? nodes : 1); ++node) seeds.push_back({node, 1});
    recall::SpreadArraysPool arrays;
    recall::Spreading spreading(graph, kernels, options, nodes, arrays);
    spreading.Run(seeds, std::nullopt);
    EXPECT_EQ(spreading.info().steps, 1u);
  }

  void ExpectEdgesInPlace() {
    const auto graph = files_->CurrentView()->Edges(/*verify=*/true);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const std::uint64_t sealed = (*graph)->base().catalog().edges();
    ASSERT_GT(sealed, 0u);
    ASSERT_TRUE((*graph)->overlay().lists.empty());
    const Mappings mappings(path_);
    SpreadOptions options;
    options.max_hops = 1;
    options.threshold = 0.0f;
    std::vector<Spy::EdgesRead> before;
    for (const bool from_all : {true, false, true, false}) {
      Spread(**graph, from_all, options);
      const auto& read = from_all ? Spy::pushed : Spy::from_frontier;
      EXPECT_EQ((from_all ? Spy::from_frontier : Spy::pushed).size(), 0u);
      std::size_t edges = 0;
      for (const Spy::EdgesRead& run : read) {
        for (const Bytes& bytes : {run.offsets, run.targets, run.weights}) {
          EXPECT_TRUE(mappings.Hold(bytes));
          EXPECT_EQ(bytes.begin % 64, 0u);
        }
        edges += run.edges;
      }
      EXPECT_EQ(edges, sealed);
      if (!before.empty()) {
        EXPECT_EQ(read, before) << "the same edges lie elsewhere";
      }
      before = read;
    }
    // By type the edges of a node are taken one by one, and are no more copied than before.
    const std::uint32_t type = 1;
    options.edge_types = {&type, 1};
    Spread(**graph, /*from_all=*/true, options);
    EXPECT_GT(Spy::from_frontier.size(), 1u);
    for (const Spy::EdgesRead& run : Spy::from_frontier) {
      EXPECT_TRUE(mappings.Hold(run.targets));
      EXPECT_TRUE(mappings.Hold(run.weights));
    }
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "s";
  std::mt19937_64 random_{11};
  std::normal_distribution<float> normal_;
  std::unique_ptr<StoreFiles> files_;
};

TEST_F(ZeroCopy, CodesAreReadWhereTheyAreMapped) {
  Put(0, 2000);
  ASSERT_TRUE(files_->Seal().ok());
  const std::vector<Bytes> before = SuperblocksRead();
  EXPECT_EQ(SuperblocksRead(), before) << "the same codes lie elsewhere";
  Put(2000, 100);
  EXPECT_EQ(SuperblocksRead(), before) << "a write moved codes";
  DeleteEveryThird(0, 2000);
  ASSERT_TRUE(files_->Compact(0.0, nullptr).ok());
  SuperblocksRead();
}

TEST_F(ZeroCopy, RowsAreReadWhereTheyAreMapped) {
  Put(0, 2000);
  ASSERT_TRUE(files_->Seal().ok());
  {
    SCOPED_TRACE("after a seal");
    ExpectRowsInPlace(2000 / kRowsPerBlock);
  }
  const std::vector<Bytes> before = SealedRowsRead(Metric::kDot, 1);
  Put(2000, 100);
  {
    SCOPED_TRACE("beside a tail");
    ASSERT_EQ(files_->CurrentView()->tail().rows(), 100u);
    EXPECT_EQ(SealedRowsRead(Metric::kDot, 1), before) << "a write moved sealed rows";
  }
  DeleteEveryThird(0, 2000);
  ASSERT_TRUE(files_->Compact(0.0, nullptr).ok());
  {
    SCOPED_TRACE("after a compaction");
    ASSERT_EQ(files_->CurrentView()->tombstones().size(), 0u);
    ExpectRowsInPlace(1333 / kRowsPerBlock);
  }
  Import(100000, 5000);
  {
    SCOPED_TRACE("after a bulk import");
    ExpectRowsInPlace((1333 + 5000) / kRowsPerBlock);
  }
  ASSERT_TRUE(files_->Seal().ok());
  Open(/*read_only=*/true);
  {
    SCOPED_TRACE("read-only");
    ExpectRowsInPlace((1333 + 5000) / kRowsPerBlock);
  }
}

TEST_F(ZeroCopy, EdgesAreReadWhereTheyAreMapped) {
  Put(0, 500);
  PutEdges(0, 500, 8);
  ASSERT_TRUE(files_->Seal().ok());
  {
    SCOPED_TRACE("after a seal");
    ExpectEdgesInPlace();
  }
  PutEdges(100, 300, 4);
  DeleteEveryThird(200, 500);
  ASSERT_TRUE(files_->Compact(0.0, nullptr).ok());
  {
    SCOPED_TRACE("after a compaction");
    ExpectEdgesInPlace();
  }
  Import(100000, 5000);
  PutEdges(100000, 5000, 3);
  ASSERT_TRUE(files_->Seal().ok());
  {
    SCOPED_TRACE("after a bulk import");
    ExpectEdgesInPlace();
  }
  Open(/*read_only=*/true);
  {
    SCOPED_TRACE("read-only");
    ExpectEdgesInPlace();
  }
}

TEST_F(ZeroCopy, SealedEdgesStayInPlaceUnderChangedOnes) {
  Put(0, 500);
  PutEdges(0, 500, 8);
  ASSERT_TRUE(files_->Seal().ok());
  PutEdges(7, 1, 1);
  const auto graph = files_->CurrentView()->Edges(/*verify=*/true);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_EQ((*graph)->overlay().lists.size(), 1u);
  const Mappings mappings(path_);
  SpreadOptions options;
  options.max_hops = 1;
  Spread(**graph, /*from_all=*/true, options);
  std::size_t elsewhere = 0;
  for (const Spy::EdgesRead& run : Spy::pushed) {
    const bool mapped = mappings.Hold(run.targets);
    EXPECT_EQ(mappings.Hold(run.weights), mapped);
    elsewhere += mapped ? 0 : 1;
  }
  EXPECT_EQ(elsewhere, 1u);
  EXPECT_EQ(Spy::pushed.size(), 3u);  // before the changed node, its own, behind it
}

}  // namespace
}  // namespace engram

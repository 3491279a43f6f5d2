// When a seal of edges is due: by how much really changes, and by what that takes in memory.
#include "storage/edge_backlog.h"

#include <gtest/gtest.h>

#include <numeric>

#include "storage/edge_file_writer.h"
#include "storage/edge_graph.h"
#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

constexpr std::uint32_t kSources = 50000;
constexpr std::uint32_t kHub = kSources, kLoner = kSources + 1, kNodes = kSources + 2;

EdgeEvent Put(std::uint32_t from, std::uint32_t to) {
  return {.kind = EdgeEvent::Kind::kPut, .from = from, .to = to, .type = 0, .weight = 1.0f};
}

// Columns of a graph in which `kSources` nodes have three edges each, one of them to the hub.
struct Sealed {
  Sealed() {
    auto opened = Database::Open({.create_if_missing = true}, dir / "d");
    EXPECT_TRUE(opened.ok()) << opened.status();
    const auto database = *opened;
    auto empty = MappedEdges::Map(database, EdgeCatalog{}, kNodes, nullptr);
    EXPECT_TRUE(empty.ok()) << empty.status();
    EdgeLog log;
    log.Reset(0);
    for (std::uint32_t node = 0; node < kSources; ++node) {
      log.Append(Put(node, kHub));
      log.Append(Put(node, (node + 1) % kSources));
      log.Append(Put(node, (node + 2) % kSources));
    }
    EdgeGraphs graphs;
    const auto graph = graphs.Get(*empty, log.View(), true);
    EXPECT_TRUE(graph.ok()) << graph.status();
    EdgeFileWriter writer(*database, **graph, kNodes, log.end());
    const auto file = writer.Write();
    EXPECT_TRUE(file.ok()) << file.status();
    const auto ingested =
        database->db().IngestExternalFile(database->family(Family::kEdges), {file->path}, {});
    EXPECT_TRUE(ingested.ok()) << ingested.ToString();
    auto mapped = MappedEdges::Map(database, file->catalog, kNodes, nullptr);
    EXPECT_TRUE(mapped.ok() && (*mapped)->Check(true).ok()) << mapped.status();
    edges = *mapped;
  }

  testing::TempDir dir;
  std::shared_ptr<const MappedEdges> edges;
};

TEST(EdgeBacklog, TheThresholdGrowsWithWhatIsSealed) {
  EXPECT_EQ(EdgeChangesToSeal(0), 65536u);
  EXPECT_EQ(EdgeChangesToSeal(1'000'000), 250'000u);
  EXPECT_EQ(EdgeChangesToSeal(100'000'000), 25'000'000u);
}

TEST(EdgeBacklog, AMemoryThatGoesCountsAllThatHaveAnEdgeToIt) {
  const Sealed sealed;
  EdgeBacklog backlog;
  backlog.Add(*sealed.edges, {.kind = EdgeEvent::Kind::kForget, .from = kHub, .to = kHub});
  EXPECT_EQ(backlog.changes(), 1 + kSources);
  // All of their lists are copied.
  EXPECT_GT(backlog.bytes(), 3 * kSources * 12);
  EXPECT_FALSE(backlog.IsDue(sealed.edges->catalog().edges()));
  for (std::uint32_t i = 0; i < 20000; ++i) backlog.Add(*sealed.edges, Put(kLoner, i));
  EXPECT_TRUE(backlog.IsDue(sealed.edges->catalog().edges()));
  EXPECT_TRUE(backlog.HasRoom(sealed.edges->catalog().edges()));
}

TEST(EdgeBacklog, ManyChangesAreBoundedByTheirBytes) {
  const Sealed sealed;
  EdgeBacklog backlog;
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;  // sealed edges, so to speak
  std::uint64_t added = 0;
  for (; !backlog.IsDue(kHuge); ++added) {
    backlog.Add(*sealed.edges, Put(static_cast<std::uint32_t>(added % kNodes), 0));
  }
  EXPECT_GE(backlog.bytes(), kEdgeBytesToSeal);
  EXPECT_GT(added, std::uint64_t{1} << 20);
  EXPECT_TRUE(backlog.HasRoom(kHuge));
  for (std::uint64_t i = 0; i < 2 * added; ++i) {
    backlog.Add(*sealed.edges, Put(static_cast<std::uint32_t>(i % kNodes), 0));
  }
  EXPECT_FALSE(backlog.HasRoom(kHuge));
}

TEST(EdgeBacklog, AListIsCopiedOnce) {
  const Sealed sealed;
  EdgeBacklog backlog;
  backlog.Add(*sealed.edges, Put(1, 2));
  const std::uint64_t once = backlog.bytes();
  backlog.Add(*sealed.edges, Put(1, 3));
  EXPECT_LT(backlog.bytes() - once, 64u);
  EXPECT_GT(once, 64u + 3 * 12);
}

TEST(EdgeBacklog, KnowsWhoHasNoEdges) {
  const Sealed sealed;
  EdgeBacklog backlog;
  EXPECT_TRUE(backlog.MayHaveEdges(*sealed.edges, 0));
  EXPECT_TRUE(backlog.MayHaveEdges(*sealed.edges, kHub));  // that only others lead to
  EXPECT_FALSE(backlog.MayHaveEdges(*sealed.edges, kLoner));
  EXPECT_FALSE(backlog.MayHaveEdges(*sealed.edges, kNodes + 5));
  backlog.Add(*sealed.edges, Put(0, kLoner));
  EXPECT_TRUE(backlog.MayHaveEdges(*sealed.edges, kLoner));
  EdgeLog empty;
  empty.Reset(7);
  backlog.Reset(*sealed.edges, empty.View());
  EXPECT_FALSE(backlog.MayHaveEdges(*sealed.edges, kLoner));
  EXPECT_EQ(backlog.bytes(), 0u);
}

}  // namespace
}  // namespace engram::storage

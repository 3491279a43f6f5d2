// kill -9 at random moments: a child writes, seals and compacts, and says
// each acknowledged batch through a pipe; after the kill all of them are there, whole.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <random>

#include "tests/crash/crash_batches.h"
#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using namespace crash;

// The edges and strengths of the last batches, and how many edges there are in all. One that is
// imported is linked in a commit of its own: unless it was acknowledged, that may be missing.
void CheckEdges(const Store& store, std::uint64_t edges, std::uint64_t next, bool acknowledged) {
  std::uint64_t expected = next / 2 * kBatch;  // the rings of odd batches
  for (std::uint64_t batch = next > 20 ? next - 20 : 0; batch < next; ++batch) {
    const bool last = batch + 1 == next;
    if (batch % 2 == 0 && !last) continue;
    RecallOptions named;
    std::vector<MemoryId> ids;
    std::uint64_t found = 0;
    std::vector<Edge> all = EdgesOf(batch, /*to_the_one_before=*/batch % 2 == 0);
    for (MemoryId i = 0; i < kBatch; ++i) {
      ids.push_back(batch * kBatch + i);
      const auto out = store.Neighbors({}, ids.back(), Direction::kOut);
      ASSERT_TRUE(out.ok()) << out.status();
      for (const Edge& edge : *out) {
        ASSERT_LT(found, all.size());
        EXPECT_EQ(edge.from, all[found].from);
        EXPECT_EQ(edge.to, all[found].to);
        EXPECT_EQ(edge.type, all[found].type);
        EXPECT_EQ(edge.weight, all[found++].weight);
      }
    }
    if (last && batch % 2 == 0) expected += found;
    const bool may_miss = last && IsBulk(batch) && !acknowledged;
    EXPECT_TRUE(found == all.size() || (may_miss && found == 0)) << "batch " << batch;
    named.named = ids;
    named.k = kBatch;
    named.strength.decay = Decay::kNone;
    const auto recalled = store.Recall(named, {});
    ASSERT_TRUE(recalled.ok()) << recalled.status();
    ASSERT_EQ(recalled->hits.size(), kBatch);
    for (const Recalled& hit : recalled->hits) {
      EXPECT_EQ(hit.strength, IsBulk(batch) ? 1.0f : 2.0f) << "id " << hit.id;
    }
  }
  EXPECT_EQ(edges, expected);
}

// `told`: the last of the batches before `acknowledged` was acknowledged whole. Returns: the
// number of the batch to go on with.
std::uint64_t Check(const std::string& path, std::uint64_t acknowledged, bool told) {
  auto store = Store::Open(Options(), path);
  EXPECT_TRUE(store.ok()) << store.status();
  if (!store.ok()) return 0;
  const auto report = (*store)->Verify({});
  EXPECT_TRUE(report.ok() && report->findings.empty())
      << (report.ok() ? report->findings[0] : report.status().ToString());
  std::uint64_t next = 0;
  std::vector<MemoryId> ids;
  auto it = (*store)->NewIterator({});
  for (; it->Valid(); it->Next()) {
    const auto vector = VectorOf(it->id());
    EXPECT_TRUE(std::equal(vector.begin(), vector.end(), it->vector().begin()));
    EXPECT_EQ(it->payload(), PayloadOf(it->id()));
    ids.push_back(it->id());
    next = it->id() / kBatch + 1;
  }
  EXPECT_TRUE(it->status().ok()) << it->status();
  EXPECT_GE(next, acknowledged);  // nothing acknowledged is lost
  EXPECT_LE(next, acknowledged + 1);
  std::vector<MemoryId> expected;
  for (std::uint64_t batch = 0; batch < next; ++batch) {
    if (batch % 2 == 0 && batch + 1 < next) continue;
    for (MemoryId i = 0; i < kBatch; ++i) expected.push_back(batch * kBatch + i);
  }
  EXPECT_EQ(ids, expected);  // each exactly once, no batch by halves
  if (report.ok()) {
    EXPECT_EQ(report->dangling_edges, 0u);
    CheckEdges(**store, report->edges, next, told && next == acknowledged);
  }
  it.reset();
  EXPECT_TRUE((*store)->Close().ok());
  return next;
}

TEST(Crash, NothingAcknowledgedIsLostAndNothingIsHalfDone) {
  constexpr unsigned kSeed = 11;
  const std::uint64_t kills = testing::FromEnvironment("ENGRAM_KILLS", 100);
  std::mt19937 random(kSeed);
  testing::TempDir dir;
  const std::string path = dir / "s";
  std::uint64_t next = 0;
  for (std::uint64_t kill = 0; kill < kills && !HasFailure(); ++kill) {
    SCOPED_TRACE("seed 11, kill " + std::to_string(kill));
    testing::ChildProcess child({ENGRAM_CRASH_WRITER, path, std::to_string(next)});
    std::uint64_t acknowledged = next, batch = 0;
    // Every other kill may hit the recovery; the rest come when the writer is at work.
    if (kill % 2 == 0 && child.Read(&batch, sizeof batch)) acknowledged = batch + 1;
    ::usleep(static_cast<useconds_t>(30000 + random() % 90000));
    ::kill(child.pid(), SIGKILL);
    while (child.Read(&batch, sizeof batch)) acknowledged = batch + 1;
    ASSERT_EQ(child.Finish(), -1) << "the writer ended by itself";
    next = Check(path, acknowledged, acknowledged > next);
  }
  EXPECT_GT(next, kills) << "the child hardly got to write";
}

}  // namespace
}  // namespace engram

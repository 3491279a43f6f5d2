// kill -9 at random moments: a child writes, seals and compacts, and says
// each acknowledged batch through a pipe; after the kill all of them are there, whole.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 8;
constexpr MemoryId kBatch = 20;

std::vector<float> VectorOf(MemoryId id) {
  std::vector<float> vector(kDimension, 1.0f);
  vector[id % kDimension] = static_cast<float>(id + 2);
  return vector;
}

StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  return options;
}

// Batch b puts ids b * kBatch ... and, for odd b, deletes all of batch b - 1.
[[noreturn]] void Write(const std::string& path, std::uint64_t batch, int pipe) {
  auto store = Store::Open(Options(), path);
  if (!store.ok()) ::_exit(3);
  for (;; ++batch) {
    WriteBatch changes;
    for (MemoryId i = 0; i < kBatch; ++i) {
      const MemoryId id = batch * kBatch + i;
      changes.Put(id, VectorOf(id), std::to_string(id));
      if (batch % 2 == 1) changes.Delete(id - kBatch);
    }
    if (!(*store)->Write({}, changes).ok()) ::_exit(4);
    if (::write(pipe, &batch, sizeof batch) != sizeof batch) ::_exit(5);
    if (batch % 7 == 0 && !(*store)->Seal().ok()) ::_exit(6);
    if (batch % 31 == 0 && !(*store)->Compact({}).ok()) ::_exit(7);
  }
}

// Returns: the number of the batch to go on with.
std::uint64_t Check(const std::string& path, std::uint64_t acknowledged) {
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
    EXPECT_EQ(it->payload(), std::to_string(it->id()));
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
  it.reset();
  EXPECT_TRUE((*store)->Close().ok());
  return next;
}

TEST(Crash, NothingAcknowledgedIsLostAndNothingIsHalfDone) {
  constexpr unsigned kSeed = 11;
  constexpr int kKills = 100;
  std::mt19937 random(kSeed);
  testing::TempDir dir;
  const std::string path = dir / "s";
  std::uint64_t next = 0;
  for (int kill = 0; kill < kKills && !HasFailure(); ++kill) {
    SCOPED_TRACE("seed 11, kill " + std::to_string(kill));
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe[0]);
      Write(path, next, pipe[1]);
    }
    ::close(pipe[1]);
    ::usleep(static_cast<useconds_t>(30000 + random() % 90000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself: " << WEXITSTATUS(status);
    std::uint64_t acknowledged = next;
    for (std::uint64_t batch = 0; ::read(pipe[0], &batch, sizeof batch) == sizeof batch;) {
      acknowledged = batch + 1;
    }
    ::close(pipe[0]);
    next = Check(path, acknowledged);
  }
  EXPECT_GT(next, 100u) << "the child hardly got to write";
}

}  // namespace
}  // namespace engram

// kill -9 at random moments, and between any two steps of the library: writers of batches,
// imports, edges, deletes and forgetting beside seals, compactions and backups say each
// acknowledged commit through a pipe. After each kill all of these are there, and nothing by
// halves. A reader in a process of its own outlives them all. ENGRAM_KILLS=N for other than 60,
// ENGRAM_SEED=N.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <random>
#include <utility>
#include <vector>

#include "tests/crash/crash_plan.h"
#include "tests/power/places.h"
#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

using namespace crash;

class CrashedStore {
 public:
  explicit CrashedStore(std::string path) : path_(std::move(path)) {
    Model none;
    none.types[0] = "link";
    for (int w = 0; w < kWriters; ++w)
      writers_[static_cast<std::size_t>(w)].model = PartOf(none, w);
  }

  // Runs a writer until it is killed: by itself at its `at`-th call, or, where that is 0, after
  // `microseconds`, which begin with its first commit if `at_work`.
  void RunWriter(const std::string& order, std::uint64_t at, bool at_work, unsigned microseconds);

  // Expects what was acknowledged. With `read_only` the recovery is left to the next writer.
  void Check(bool read_only);

  std::uint64_t commits() const {
    std::uint64_t all = 0;
    for (const Writer& writer : writers_) all += writer.applied;
    return all;
  }

 private:
  struct Writer {
    Model model;                // what was last found
    std::uint64_t applied = 0;  // commits up to it
    std::uint64_t acknowledged = 0;
  };

  void CheckWriter(int number, const Model& part);
  void CheckBackup() const;

  const std::string path_;
  std::array<Writer, kWriters> writers_;
};

void CrashedStore::RunWriter(const std::string& order, std::uint64_t at, bool at_work,
                             unsigned microseconds) {
  std::vector<std::string> command = {ENGRAM_CRASH_WRITER, "write", path_, order,
                                      std::to_string(at)};
  for (Writer& writer : writers_) {
    command.push_back(std::to_string(writer.applied));
    writer.acknowledged = writer.applied;
  }
  testing::ChildProcess child(std::move(command));
  Ack ack{};
  const auto read = [&] {
    if (!child.Read(&ack, sizeof ack)) return false;
    writers_.at(ack.writer).acknowledged = ack.number + 1;
    return true;
  };
  if (at == 0) {
    if (at_work) read();
    ::usleep(microseconds);
    ::kill(child.pid(), SIGKILL);
  }
  while (read()) continue;
  EXPECT_EQ(child.Finish(), -1) << "the writer ended by itself";
}

void CrashedStore::Check(bool read_only) {
  {
    auto store = Store::Open(Options(read_only), path_);
    if (read_only && absl::IsNotFound(store.status())) store = Store::Open(Options(), path_);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto all = power::ReadAll(**store);
    ASSERT_TRUE(all.ok()) << all.status();
    power::CheckAnswers(**store, *all);
    for (int number = 0; number < kWriters; ++number) CheckWriter(number, PartOf(*all, number));
    EXPECT_TRUE((*store)->Close().ok());
  }
  CheckBackup();
}

// What may be there: all from the last commit that was acknowledged at a level that survives, to
// the one that was under way.
void CrashedStore::CheckWriter(int number, const Model& part) {
  Writer& writer = writers_[static_cast<std::size_t>(number)];
  SCOPED_TRACE("writer " + std::to_string(number));
  std::vector<std::pair<std::uint64_t, Model>> may_be = {{writer.applied, writer.model}};
  Model model = writer.model;
  for (std::uint64_t next = writer.applied;;) {
    const Commit commit = CommitOf(number, next++, model);
    if (commit.kind == Commit::Kind::kNothing) continue;
    Model after = After(commit, model);
    const bool acknowledged = next <= writer.acknowledged;
    // One that changes nothing writes nothing, and so makes nothing safe.
    const bool makes_safe = commit.durability >= Durability::kProcess && !(after == model);
    if (acknowledged && makes_safe) may_be.clear();
    model = std::move(after);
    may_be.emplace_back(next, model);
    if (!acknowledged) break;
  }
  const auto found = std::find_if(may_be.rbegin(), may_be.rend(),
                                  [&](const auto& state) { return state.second == part; });
  if (found != may_be.rend()) {
    writer.applied = found->first;
    writer.model = std::move(found->second);
    return;
  }
  std::string expected;
  for (const auto& [next, state] : may_be) {
    expected += "\n  after " + std::to_string(next) + " commits: " + state.Summary();
  }
  ADD_FAILURE() << "it has " << part.Summary() << "; expected " << expected;
}

// There is one or there is none: it is never half of one.
void CrashedStore::CheckBackup() const {
  const std::string backup = path_ + ".backup";
  if (!std::filesystem::exists(backup)) return;
  const auto store = Store::Open(Options(/*read_only=*/true), backup);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto all = power::ReadAll(**store);
  ASSERT_TRUE(all.ok()) << all.status();
  for (int number = 0; number < kWriters; ++number) {
    EXPECT_TRUE(LastCommit(number, PartOf(*all, number)).has_value()) << "the backup is a mix";
  }
}

TEST(Crash, NothingAcknowledgedIsLostAndNothingIsHalfDone) {
  const auto seed = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_SEED", 11));
  const std::uint64_t kills = testing::FromEnvironment("ENGRAM_KILLS", 60);
  std::mt19937 random(seed);
  const testing::TempDir dir(power::Parent());
  const std::string path = dir / "s";
  CrashedStore store(path);
  testing::ChildProcess reader({ENGRAM_CRASH_WRITER, "read", path});
  std::uint64_t between_calls = 0;
  for (std::uint64_t kill = 0; kill < kills && !HasFailure(); ++kill) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", kill " + std::to_string(kill));
    // Every other one comes between two calls; of the rest, some may hit the recovery.
    const std::uint64_t at = kill % 2 == 0 ? 0 : 1 + random() % 100;
    between_calls += at > 0;
    const bool at_work = kill % 4 == 0;
    store.RunWriter("right", at, at_work, 1000 + static_cast<unsigned>(random() % 100000));
    store.Check(/*read_only=*/random() % 3 == 0);
    if (kill % 100 == 99) {
      std::printf("%llu kills, %llu commits\n", static_cast<unsigned long long>(kill + 1),
                  static_cast<unsigned long long>(store.commits()));
      std::fflush(stdout);
    }
  }
  std::uint64_t states = 0;
  const auto said = [&] { return reader.Read(&states, sizeof states); };
  reader.EndInput();
  EXPECT_TRUE(said());
  EXPECT_EQ(reader.Finish(), 0) << "the reader found something wrong";
  std::printf(
      "seed %u, %llu kills, %llu of them between two calls; %llu commits, %llu states "
      "seen by the reader\n",
      seed, static_cast<unsigned long long>(kills), static_cast<unsigned long long>(between_calls),
      static_cast<unsigned long long>(store.commits()), static_cast<unsigned long long>(states));
  EXPECT_GT(store.commits(), 2 * kills) << "the writers hardly got to write";
  EXPECT_GT(states, kills) << "the reader hardly got to read";
}

// A writer that does its steps in the wrong order: the check is worth what it says of these.
class WrongOrder : public ::testing::TestWithParam<const char*> {};

TEST_P(WrongOrder, IsCaught) {
  const bool is_right = GetParam() == std::string("right");
  const int tries = is_right ? 4 : 10;  // what is late may have been written by chance
  int caught = 0;
  for (int tried = 0; tried < tries && (is_right || caught == 0); ++tried) {
    const testing::TempDir dir(power::Parent());
    CrashedStore store(dir / "s");
    store.RunWriter(GetParam(), /*at=*/40 + 7 * static_cast<unsigned>(tried), false, 0);
    ASSERT_FALSE(HasFailure());
    ::testing::TestPartResultArray failures;
    {
      const ::testing::ScopedFakeTestPartResultReporter reporter(
          ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &failures);
      store.Check(/*read_only=*/tried % 2 == 0);
    }
    caught += failures.size() > 0;
  }
  EXPECT_EQ(caught > 0, !is_right);
}

INSTANTIATE_TEST_SUITE_P(Of, WrongOrder,
                         ::testing::Values("right", "log-late", "half-batch", "tail-first"),
                         [](const auto& order) {
                           std::string name = order.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace engram

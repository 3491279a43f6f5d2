// One writer process and several that read beside it: every answer is of a state that was
// committed, and later ones of later states; the lock goes with the process that holds it.
// ENGRAM_SECONDS=N makes it long.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "tests/load/lanes.h"
#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using std::chrono::milliseconds;
using testing::ChildProcess;

constexpr std::uint64_t kSeed = 71;
constexpr int kReaders = 3;
constexpr uid_t kNobody = 65534;
constexpr int kNotPermitted = 4;  // how load_child ends then

milliseconds Length() { return milliseconds(1000 * testing::FromEnvironment("ENGRAM_SECONDS", 4)); }

std::unique_ptr<ChildProcess> StartWriter(const std::string& path, uid_t user = ::geteuid()) {
  return std::make_unique<ChildProcess>(
      std::vector<std::string>{ENGRAM_LOAD_CHILD, "write", path, std::to_string(user)});
}

std::unique_ptr<ChildProcess> StartReader(const std::string& path, milliseconds time,
                                          std::uint64_t seed, uid_t user = ::geteuid()) {
  return std::make_unique<ChildProcess>(
      std::vector<std::string>{ENGRAM_LOAD_CHILD, "read", path, std::to_string(user),
                               std::to_string(time.count()), std::to_string(seed)});
}

// Its end was good, and it had something to see.
void ExpectReadWell(ChildProcess& reader) {
  std::uint64_t refreshes = 0, checks = 0, certified = 0;
  std::istringstream(reader.ReadLine()) >> refreshes >> checks >> certified;
  EXPECT_EQ(reader.Finish(), 0) << "seeds from " << kSeed;
  EXPECT_GT(refreshes, 2u);
  EXPECT_GT(checks, refreshes);
  EXPECT_GT(certified, 0u);
}

void CheckWhole(Store& store, load::Seen* seen) {
  std::mt19937_64 random(kSeed);
  const absl::Status status = load::CheckAll(store, random, seen);
  EXPECT_TRUE(status.ok()) << status;
  const auto report = store.Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty()) << report->findings[0];
}

TEST(Processes, ReadersFollowAWriterThroughItsDeathAndTheNext) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  const absl::Status made = load::Create(path);
  ASSERT_TRUE(made.ok()) << made;
  load::Seen seen;
  for (const bool killed : {true, false}) {
    SCOPED_TRACE(killed ? "killed" : "ended");
    auto writer = StartWriter(path);
    ASSERT_EQ(writer->ReadLine(), "open");
    std::vector<std::unique_ptr<ChildProcess>> readers;
    for (int i = 0; i < kReaders; ++i) {
      readers.push_back(StartReader(path, Length() / 2, kSeed + static_cast<std::uint64_t>(i)));
    }
    std::this_thread::sleep_for(Length() / 4);
    const absl::Status second = Store::Open(load::Options(), path).status();
    EXPECT_EQ(second.code(), StatusCode::kUnavailable) << second;
    EXPECT_NE(second.message().find("process " + std::to_string(writer->pid())), std::string::npos)
        << second;
    const std::uint64_t before = seen.counters.empty() ? 0 : seen.counters[0];
    if (killed) {
      ASSERT_EQ(::kill(writer->pid(), SIGKILL), 0);
      EXPECT_EQ(writer->Finish(), -1);
    } else {
      EXPECT_EQ(writer->Finish(), 0);
    }
    {
      const auto store = Store::Open(load::Options(), path);  // at once
      ASSERT_TRUE(store.ok()) << store.status();
      CheckWhole(**store, &seen);
      EXPECT_GT(seen.counters[0], before);
    }
    for (const auto& reader : readers) ExpectReadWell(*reader);
  }
}

std::set<std::string> TablesOf(const std::string& path) {
  std::set<std::string> tables;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".sst") tables.insert(entry.path().filename());
  }
  return tables;
}

// What a reader sees stays readable when all its files have been deleted.
TEST(Processes, AReaderKeepsItsStateWhileFilesAreDeleted) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  ASSERT_TRUE(load::Create(path).ok());
  {
    const auto store = Store::Open(load::Options(), path);
    ASSERT_TRUE(store.ok()) << store.status();
    for (std::uint64_t n = 0; n < 40; ++n) {
      ASSERT_TRUE((*store)->Write({}, load::BatchOf(0, n)).ok());
    }
    ASSERT_TRUE((*store)->Compact({}).ok());
  }
  const std::set<std::string> before = TablesOf(path);
  const auto reader = Store::Open(load::ReadOnly(), path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto writer = StartWriter(path);
  ASSERT_EQ(writer->ReadLine(), "open");
  // The rows that never change stay in their file; all else is written anew.
  std::set<std::string> left;
  for (int i = 0; i < 300; ++i) {
    std::this_thread::sleep_for(milliseconds(20));
    left.clear();
    for (const std::string& table : TablesOf(path)) {
      if (before.contains(table)) left.insert(table);
    }
    if (left.size() <= before.size() / 2) break;
  }
  EXPECT_LE(left.size(), before.size() / 2) << "files are not deleted, and nothing is tested";
  load::Seen seen;
  CheckWhole(**reader, &seen);
  EXPECT_EQ(seen.counters, (load::Counters{40, 0, 0}));
  const absl::Status refreshed = (*reader)->Refresh();
  ASSERT_TRUE(refreshed.ok()) << refreshed;
  CheckWhole(**reader, &seen);
  EXPECT_GT(seen.counters[0], 40u);
  EXPECT_EQ(writer->Finish(), 0);
}

// Files say who may read them: whoever may needs no right to write anything.
TEST(Processes, AnotherUserReadsBesideTheWriterAndMayNotWrite) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  testing::TempDir dir;
  ASSERT_EQ(::chmod((dir / ".").c_str(), 0755), 0);
  const std::string path = dir / "s";
  const mode_t umask = ::umask(022);
  ASSERT_TRUE(load::Create(path).ok());
  auto writer = StartWriter(path);
  ASSERT_EQ(writer->ReadLine(), "open");
  auto reader = StartReader(path, milliseconds(1500), kSeed, kNobody);
  ExpectReadWell(*reader);
  EXPECT_EQ(writer->Finish(), 0);
  EXPECT_EQ(StartWriter(path, kNobody)->Finish(), kNotPermitted);
  ::umask(077);
  ASSERT_TRUE(load::Create(dir / "private").ok());
  ::umask(umask);
  EXPECT_EQ(StartReader(dir / "private", milliseconds(1), kSeed, kNobody)->Finish(), kNotPermitted);
}

}  // namespace
}  // namespace engram

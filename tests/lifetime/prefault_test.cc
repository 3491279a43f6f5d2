// StoreOptions::prefault: blocks and edges are in memory when Open returns, and only then.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 256;
constexpr std::uint64_t kRows = 8192;

// Bytes of mappings of files below `path` that are in this process's page tables.
std::uint64_t ResidentBytes(const std::string& path) {
  std::ifstream smaps("/proc/self/smaps");
  std::uint64_t total = 0;
  bool ours = false;
  for (std::string line; std::getline(smaps, line);) {
    // Lines of a mapping's own begin with an address, the others with a name and a colon.
    const std::string first = line.substr(0, line.find(' '));
    if (first.find('-') != std::string::npos) ours = line.find(path) != std::string::npos;
    if (!ours || first != "Rss:") continue;
    std::istringstream rest(line.substr(first.size()));
    std::uint64_t kibibytes = 0;
    rest >> kibibytes;
    total += kibibytes * 1024;
  }
  return total;
}

std::uint64_t ResidentAfterOpen(const std::string& path, bool prefault) {
  StoreOptions options;
  options.prefault = prefault;
  options.read_only = true;
  auto store = Store::Open(options, path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? ResidentBytes(path) : 0;
}

TEST(Prefault, BringsTheEdgesIntoMemoryAtOpen) {
  constexpr MemoryId kMemories = 1000, kEach = 300;
  testing::TempDir dir;
  const std::string path = dir / "s";
  {
    StoreOptions options;
    options.dimension = 2;
    options.create_if_missing = true;
    auto store = Store::Open(options, path);
    ASSERT_TRUE(store.ok()) << store.status();
    LinkOptions link;
    link.create_missing = true;
    std::uint64_t given = 0;
    const auto report = (*store)->Link(link, [&](Edge* edge) -> absl::StatusOr<bool> {
      *edge = {.from = given % kMemories, .to = given / kMemories};
      return given++ < kMemories * kEach;
    });
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE((*store)->Seal().ok());
  }
  constexpr std::uint64_t kBytes = kMemories * kEach * 12;
  EXPECT_GE(ResidentAfterOpen(path, true), kBytes);
  EXPECT_LT(ResidentAfterOpen(path, false), kBytes / 2);
}

TEST(Prefault, BringsTheBlocksIntoMemoryAtOpen) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  {
    StoreOptions options;
    options.dimension = kDimension;
    options.create_if_missing = true;
    auto store = Store::Open(options, path);
    ASSERT_TRUE(store.ok()) << store.status();
    const std::vector<float> vector(kDimension, 0.25f);
    std::uint64_t given = 0;
    const auto report = (*store)->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      row->id = given;
      row->vector = vector;
      return given++ < kRows;
    });
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE((*store)->Seal().ok());
  }
  constexpr std::uint64_t kBytes = kRows * kDimension * sizeof(float);
  EXPECT_GE(ResidentAfterOpen(path, true), kBytes);
  EXPECT_LT(ResidentAfterOpen(path, false), kBytes / 2);
}

}  // namespace
}  // namespace engram

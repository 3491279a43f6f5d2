// Opening and closing again and again leaves nothing behind: no descriptor, no
// mapping, no heap. ENGRAM_REOPENINGS=N changes how often.
#include <gtest/gtest.h>
#include <malloc.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engram/engram.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kOwnHeap = false;  // the sanitizer's heap: mallinfo2 says nothing; ASan finds leaks
constexpr std::uint64_t kDefaultReopenings = 100;
#else
constexpr bool kOwnHeap = true;
constexpr std::uint64_t kDefaultReopenings = 1000;
#endif
constexpr std::uint64_t kWarmUp = 50;
// The pools of the allocator and of RocksDB fill over the first hundreds; after that a leak
// of one 64-byte object per opening is above the bound.
constexpr std::ptrdiff_t kMappingSlack = 16;
constexpr std::ptrdiff_t kHeapSlack = 64 * 1024;

std::ptrdiff_t Descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

std::ptrdiff_t Mappings(const std::string& of) {
  std::ifstream maps("/proc/self/maps");
  std::ptrdiff_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find(of) != std::string::npos;
  return count;
}

std::ptrdiff_t HeapInUse() {
  ::malloc_trim(0);
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::ptrdiff_t>(info.uordblks + info.hblkhd);
}

TEST(Reopen, LeavesNothingBehind) {
  testing::TempDir dir;
  const std::string path = dir / "s";
  StoreOptions options;
  options.dimension = 8;
  options.create_if_missing = true;
  const std::uint64_t reopenings =
      testing::FromEnvironment("ENGRAM_REOPENINGS", kDefaultReopenings);
  std::ptrdiff_t descriptors = 0, mappings = 0, heap = 0;
  for (std::uint64_t n = 0; n < kWarmUp + reopenings && !HasFailure(); ++n) {
    if (n == kWarmUp) {
      descriptors = Descriptors();
      mappings = Mappings("");
      heap = HeapInUse();
    }
    options.read_only = n % 3 == 2;
    auto store = Store::Open(options, path);
    ASSERT_TRUE(store.ok()) << store.status();
    if (!options.read_only) {
      // The same ids over and over: what is held does not grow with n.
      ASSERT_TRUE((*store)->Put({}, n % 7, std::vector<float>(8, 1.0f), "payload").ok());
      if (n % 10 == 0) {
        ASSERT_TRUE((*store)->Compact({}).ok());
      }
    }
    ASSERT_TRUE((*store)->Search({}, std::vector<float>(8, 1.0f)).ok());
    if (n % 2 == 0) {
      ASSERT_TRUE((*store)->Close().ok());
    }
    store->reset();
    ASSERT_EQ(Mappings(path), 0);
  }
  EXPECT_EQ(Descriptors(), descriptors);
  if (kOwnHeap) {  // a sanitizer maps memory of its own
    EXPECT_LE(Mappings(""), mappings + kMappingSlack);
    EXPECT_LE(HeapInUse(), heap + kHeapSlack);
  }
  RecordProperty("heap_growth", std::to_string(HeapInUse() - heap));
}

}  // namespace
}  // namespace engram

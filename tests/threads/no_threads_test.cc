// A process that gets no more threads: seals and searches do without them, and an open whose own
// one is refused says so. (Where RocksDB's are refused, RocksDB 7.8 waits for itself for ever.)
//
// Its own program: it stands between the C++ library and the C library.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <random>
#include <vector>

#include "engram/store.h"
#include "tests/support/temp_dir.h"

namespace {

constexpr int kEnough = 1 << 20;

std::atomic<int> left{kEnough};  // threads that may still be made
std::atomic<int> refused{0};

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (left <= 0) {
    ++refused;
    return EAGAIN;
  }
  --left;
  return real(thread, attributes, start, argument);
}

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 64;

class NoThreads : public ::testing::Test {
 protected:
  NoThreads() {
    options_.dimension = kDimension;
    options_.metric = Metric::kDot;
    options_.rows_per_block = 1024;
    options_.create_if_missing = true;
    options_.search_threads = 4;
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    vectors_.resize(std::size_t{40000} * kDimension);
    for (float& value : vectors_) value = normal(random);
  }
  ~NoThreads() override { left = kEnough; }

  absl::Span<const float> Row(std::size_t i) const {
    return absl::MakeConstSpan(vectors_).subspan(i * kDimension, kDimension);
  }
  void Fill(Store& store) const {
    WriteBatch batch;
    for (std::size_t i = 0; i < vectors_.size() / kDimension; ++i) batch.Put(i, Row(i), "");
    const absl::Status written = store.Write({}, batch);
    ASSERT_TRUE(written.ok()) << written;
  }

  testing::TempDir dir_;
  StoreOptions options_;
  std::vector<float> vectors_;
};

TEST_F(NoThreads, SealsAndSearchesDoWithoutHelp) {
  auto with = Store::Open(options_, dir_ / "with");
  auto without = Store::Open(options_, dir_ / "without");
  ASSERT_TRUE(with.ok() && without.ok());
  Fill(**with);
  ASSERT_TRUE((*with)->Seal().ok());
  Fill(**without);
  left = 0;
  refused = 0;
  const absl::Status sealed = (*without)->Seal();
  EXPECT_TRUE(sealed.ok()) << sealed;
  EXPECT_GT(refused, 0) << "codes are made by threads of their own where there are any";
  refused = 0;
  for (const bool plain : {false, true}) {
    SearchOptions search;
    search.plain = plain;
    const auto found = (*without)->Search(search, Row(7));
    ASSERT_TRUE(found.ok()) << found.status();
    left = kEnough;
    const auto expected = (*with)->Search(search, Row(7));
    left = 0;
    ASSERT_TRUE(expected.ok()) << expected.status();
    ASSERT_EQ(found->hits.size(), expected->hits.size());
    for (std::size_t i = 0; i < found->hits.size(); ++i) {
      EXPECT_EQ(found->hits[i].id, expected->hits[i].id);
      EXPECT_EQ(found->hits[i].score, expected->hits[i].score);
    }
    EXPECT_TRUE(found->info.exact);
  }
  EXPECT_GT(refused, 0);
  left = kEnough;
  const auto report = (*without)->Verify({});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->findings.empty());
}

TEST_F(NoThreads, AnOpenSaysSo) {
  ASSERT_TRUE(Store::Open(options_, dir_ / "s").ok());
  left = kEnough;
  ASSERT_TRUE(Store::Open(options_, dir_ / "s").ok());
  const int needed = kEnough - left;
  ASSERT_GT(needed, 0);
  left = needed - 1;  // ours comes last
  refused = 0;
  const auto store = Store::Open(options_, dir_ / "s");
  left = kEnough;
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(absl::IsResourceExhausted(store.status())) << store.status();
  EXPECT_NE(store.status().message().find("thread"), std::string::npos) << store.status();
  EXPECT_TRUE(Store::Open(options_, dir_ / "s").ok());
}

}  // namespace
}  // namespace engram

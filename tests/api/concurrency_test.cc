// Several writers of mixed durability beside readers that search: what was
// acknowledged is seen by every later read, and no batch is ever seen by halves.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "engram/engram.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram {
namespace {

constexpr std::uint32_t kDimension = 16;
constexpr std::uint64_t kWriters = 4;
constexpr std::uint64_t kGroups = 24;  // each belongs to one writer
constexpr MemoryId kGroupSize = 8;     // memories that are only ever written together
constexpr std::uint64_t kDefaultBatches = 150;

std::vector<float> VectorOf(MemoryId id, std::uint64_t version) {
  std::vector<float> vector(kDimension, 1.0f);
  vector[id % kDimension] = static_cast<float>(version % 1000 + 2);
  return vector;
}

std::array<MemoryId, kGroupSize> IdsOf(std::uint64_t group) {
  std::array<MemoryId, kGroupSize> ids;
  for (MemoryId i = 0; i < kGroupSize; ++i) ids[i] = i * 1000 + group;
  return ids;
}

struct Shared {
  Store* store = nullptr;
  std::array<std::atomic<std::uint64_t>, kGroups> acknowledged{};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> reads{0};
};

// Versions count up; those that divide by five delete the group.
void WriteGroups(Shared& shared, std::uint64_t writer, std::uint64_t batches) {
  std::mt19937_64 random(writer);
  for (std::uint64_t n = 0; n < batches && !::testing::Test::HasFailure(); ++n) {
    const std::uint64_t group = random() % (kGroups / kWriters) * kWriters + writer;
    const std::uint64_t before = shared.acknowledged[group], version = before + 1;
    WriteBatch batch;
    for (const MemoryId id : IdsOf(group)) {
      if (version % 5 == 0) {
        batch.Delete(id);
      } else {
        batch.Put(id, VectorOf(id, version), std::to_string(version));
      }
    }
    WriteOptions options;
    options.durability = static_cast<Durability>(random() % 3);
    const absl::Status status = shared.store->Write(options, batch);
    ASSERT_TRUE(status.ok()) << status;
    const auto seen = shared.store->Get({}, IdsOf(group)[n % kGroupSize]);
    if (version % 5 == 0) {
      ASSERT_EQ(seen.status().code(), absl::StatusCode::kNotFound);
    } else {
      ASSERT_TRUE(seen.ok()) << seen.status();
      ASSERT_EQ(seen->payload, std::to_string(version));
    }
    shared.acknowledged[group] = version;
    if (writer == 0 && n % 20 == 19) {
      ASSERT_TRUE(shared.store->Seal().ok());
    }
    if (writer == 1 && n % 30 == 29) {
      ASSERT_TRUE(shared.store->Compact({}).ok());
    }
  }
}

// In one snapshot: all of the group at one version, or none of it.
void CheckGroup(const Shared& shared, const ReadOptions& then, std::uint64_t group,
                std::uint64_t at_least) {
  const auto records = shared.store->MultiGet(then, IdsOf(group));
  if (!records.ok()) {
    ASSERT_EQ(records.status().code(), absl::StatusCode::kNotFound) << records.status();
    for (const MemoryId id : IdsOf(group)) {
      ASSERT_EQ(shared.store->Get(then, id).status().code(), absl::StatusCode::kNotFound) << id;
    }
    return;
  }
  const std::uint64_t version = std::stoull((*records)[0].payload);
  EXPECT_GE(version, at_least) << "group " << group;
  for (const Record& record : *records) {
    EXPECT_EQ(record.payload, std::to_string(version)) << "id " << record.id;
    EXPECT_EQ(record.vector, VectorOf(record.id, version)) << "id " << record.id;
  }
}

void ReadGroups(Shared& shared, unsigned seed) {
  std::mt19937_64 random(seed);
  SearchOptions options;
  options.k = kGroups * kGroupSize;
  while (!shared.stop && !::testing::Test::HasFailure()) {
    const std::uint64_t group = random() % kGroups;
    const std::uint64_t at_least = shared.acknowledged[group];
    options.snapshot = shared.store->GetSnapshot();
    CheckGroup(shared, options, group, at_least);
    const auto found = shared.store->Search(options, VectorOf(random(), random()));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(found->info.exact);
    std::array<MemoryId, kGroups> hits{};
    for (const Hit& hit : found->hits) ++hits[hit.id % 1000];
    for (const MemoryId count : hits) EXPECT_TRUE(count == 0 || count == kGroupSize) << count;
    ++shared.reads;
  }
}

TEST(Concurrency, AcknowledgedWritesAreSeenAndNoBatchByHalves) {
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  auto store = Store::Open(options, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  Shared shared;
  shared.store = store->get();
  const std::uint64_t batches =
      testing::FromEnvironment("ENGRAM_CONCURRENCY_BATCHES", kDefaultBatches);
  std::vector<std::thread> writers, readers;
  for (unsigned i = 0; i < 3; ++i) readers.emplace_back([&, i] { ReadGroups(shared, i); });
  for (std::uint64_t i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] { WriteGroups(shared, i, batches); });
  }
  for (std::thread& writer : writers) writer.join();
  shared.stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(shared.reads, 10u);
  ASSERT_TRUE((*store)->Close().ok());
  store = Store::Open(options, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  shared.store = store->get();
  for (std::uint64_t group = 0; group < kGroups; ++group) {
    const std::uint64_t version = shared.acknowledged[group];
    const bool lives = version % 5 != 0;
    const auto record = (*store)->Get({}, IdsOf(group)[0]);
    ASSERT_EQ(record.ok(), lives) << record.status();
    CheckGroup(shared, {}, group, version);
  }
  EXPECT_TRUE((*store)->Verify({})->findings.empty());
}

// A reader must not take the catalog of one moment and the files of another.
TEST(Concurrency, ReadersOpenedBesideAWriterSeeOneMoment) {
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 64;
  options.seal_bytes = 64 * 1024;
  auto store = Store::Open(options, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  Shared shared;
  shared.store = store->get();
  std::thread writer([&] {
    // Ids come again: a store that grew while it is verified would take ever longer to verify.
    constexpr std::uint64_t kRounds = 10;
    for (std::uint64_t round = 0; !shared.stop; ++round) {
      const MemoryId first = round % kRounds * 100;
      WriteBatch batch;
      for (MemoryId i = 0; i < 100; ++i) batch.Put(first + i, VectorOf(i, round));
      for (MemoryId i = 0; i < 4; ++i) batch.Delete(first + i * 25);
      ASSERT_TRUE(shared.store->Write({}, batch).ok());
      const absl::Status status = round % 4 != 3 ? shared.store->Seal() : shared.store->Compact({});
      ASSERT_TRUE(status.ok()) << status;
      // An open is tried again when files go under it; between two compactions one must fit.
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  StoreOptions read_only;
  read_only.read_only = true;
  std::unique_ptr<Store> reader;
  const std::uint64_t opens = testing::FromEnvironment("ENGRAM_CONCURRENCY_OPENS", 30);
  for (std::uint64_t i = 0; i < opens && !HasFailure(); ++i) {
    if (i % 2 == 0) {
      auto opened = Store::Open(read_only, dir / "s");
      EXPECT_TRUE(opened.ok()) << opened.status();
      if (!opened.ok()) break;
      reader = *std::move(opened);
    } else {
      const absl::Status status = reader->Refresh();
      EXPECT_TRUE(status.ok()) << status;
    }
    const auto found = reader->Search({}, VectorOf(1, 1));
    EXPECT_TRUE(found.ok()) << found.status();
    const auto report = reader->Verify({});
    EXPECT_TRUE(report.ok() && report->findings.empty())
        << (report.ok() ? report->findings[0] : report.status().ToString());
    EXPECT_EQ(reader->Stats().memories % 96, 0u);  // whole batches
  }
  shared.stop = true;
  writer.join();
}

// A Close() that is refused has not happened: nobody else may notice it.
TEST(Concurrency, ARefusedCloseDisturbsNobody) {
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  const auto store = Store::Open(options, dir / "s");
  ASSERT_TRUE(store.ok()) << store.status();
  const auto held = (*store)->GetSnapshot();
  std::atomic<bool> stop{false};
  std::thread closer([&] {
    while (!stop) {
      EXPECT_EQ((*store)->Close().code(), absl::StatusCode::kFailedPrecondition);
    }
  });
  std::thread searcher([&] {
    while (!stop && !HasFailure()) {
      const absl::Status status = (*store)->Search({}, VectorOf(1, 1)).status();
      EXPECT_TRUE(status.ok()) << status;
    }
  });
  for (MemoryId id = 0; id < 2000 && !HasFailure(); ++id) {
    const absl::Status status = (*store)->Put({}, id, VectorOf(id, 1));
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_NE((*store)->GetSnapshot(), nullptr);
  }
  stop = true;
  closer.join();
  searcher.join();
}

TEST(Concurrency, ManyMayCloseAtOnce) {
  testing::TempDir dir;
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    const auto store = Store::Open(options, dir / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Put({}, round, VectorOf(1, 1)).ok());
    std::atomic<int> ready{0};
    std::array<std::thread, 4> closers;
    for (std::thread& closer : closers) {
      closer = std::thread([&] {
        for (++ready; ready < 4;) continue;
        const absl::Status status = (*store)->Close();
        EXPECT_TRUE(status.ok()) << status;
        // Whoever is told that it is closed may open it again.
        EXPECT_EQ((*store)->GetSnapshot(), nullptr);
      });
    }
    for (std::thread& closer : closers) closer.join();
  }
}

}  // namespace
}  // namespace engram

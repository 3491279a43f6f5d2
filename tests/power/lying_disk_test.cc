// Power loss at every moment of a script: the disk keeps what was synced and any part of the
// rest. ENGRAM_LONG=1 takes every moment, not a sample; ENGRAM_POWER_SEED=N another sample.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "tests/power/disk_image.h"
#include "tests/power/places.h"
#include "tests/power/script.h"
#include "tests/power/watched_disk.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace engram::power {
namespace {

namespace fs = std::filesystem;

// Images of a sample; the long form has all of them.
constexpr std::size_t kSample = 160;

struct Case {
  std::size_t point;  // so many changes were made
  Loss loss;
  bool operator<(const Case& other) const {
    return std::pair(point, loss) < std::pair(other.point, other.loss);
  }
};

class LyingDisk : public ::testing::TestWithParam<Names> {
 protected:
  // Runs the script with every call written down.
  void SetUp() override {
    ASSERT_TRUE(fs::create_directory(root_));
    disk_.Begin(root_);
    const std::size_t failed =
        run_.Run([&](const Bounds& bounds) { marks_.emplace_back(disk_.size(), bounds); });
    ASSERT_EQ(failed, 0u) << run_.first_failure();
    end_ = disk_.size();
  }
  void TearDown() override {
    EXPECT_TRUE(run_.Close().ok());
    disk_.End();
  }

  // What is known when `point` changes were made.
  const Bounds& BoundsAt(std::size_t point) const {
    const auto after = std::find_if(marks_.begin(), marks_.end(),
                                    [&](const auto& mark) { return mark.first > point; });
    return after == marks_.begin() ? before_ : std::prev(after)->second;
  }

  // How many changes there were before that which was promised last began to be written.
  std::size_t GoodUntil(std::size_t power) const {
    std::size_t good = 0;
    for (const auto& [point, bounds] : marks_) {
      if (bounds.begun < power) good = point;
    }
    return good;
  }

  // Where power loss differs from what it was a change before: after each sync all that is
  // lost, before each what is torn; the rest at any point.
  std::set<Case> Cases(std::mt19937& random) const {
    std::vector<Case> all;
    const auto& changes = disk_.changes();
    for (std::size_t point = 0; point <= end_; ++point) {
      const auto is = [&](std::size_t i, Change::Kind kind) {
        return i < end_ && changes[i].kind == kind;
      };
      if (point == 0 || point == end_ || is(point - 1, Change::Kind::kSync)) {
        all.push_back({point, Loss::kAll});
      }
      if (point > 0 && is(point - 1, Change::Kind::kWrite)) all.push_back({point, Loss::kTorn});
      // A creation that ended early is begun again where names are kept in order: RocksDB takes a
      // CURRENT without the manifest it names for damage.
      if (GetParam() == Names::kByJournal || BoundsAt(point).power > 0) {
        all.push_back({point, Loss::kSome});
      }
      all.push_back({point, Loss::kNone});
    }
    std::printf("%zu changes, %zu cases in all\n", end_, all.size());
    if (!IsLong()) {
      std::shuffle(all.begin(), all.end(), random);
      all.resize(std::min(all.size(), kSample));
    }
    return {all.begin(), all.end()};
  }

  const testing::TempDir dir_{Parent()};
  const std::string root_ = dir_ / "disk";
  WatchedDisk& disk_ = WatchedDisk::Get();
  ScriptRun run_{root_};
  std::vector<std::pair<std::size_t, Bounds>> marks_;
  const Bounds before_;
  std::set<int> manifests_;
  std::size_t end_ = 0;
};

TEST_P(LyingDisk, LosesNothingThatWasPromised) {
  const auto seed = static_cast<unsigned>(testing::FromEnvironment("ENGRAM_POWER_SEED", 21));
  std::mt19937 random(seed);
  const std::set<Case> cases = Cases(random);
  DiskImage image(GetParam(), disk_.initial());
  std::size_t applied = 0, done = 0, less = 0;
  // The images are not of this disk.
  for (const Case& at : cases) {
    for (; applied < at.point; ++applied) image.Apply(disk_.changes()[applied]);
    SCOPED_TRACE("seed " + std::to_string(seed) + ", after " + std::to_string(at.point) +
                 " changes, loss " + std::to_string(static_cast<int>(at.loss)));
    const std::string left = dir_ / "left";
    image.Build(left, at.loss, random);
    const Bounds& bounds = BoundsAt(at.point);
    const std::size_t least = at.loss == Loss::kNone ? bounds.process : bounds.power;
    less += CheckWhatIsLeft(left, run_.history(), bounds, least, /*read_only_too=*/done % 3 == 0);
    if (HasFailure()) {
      fs::rename(left, dir_ / "failed");
      break;
    }
    fs::remove_all(left);
    ++done;
  }
  std::printf("seed %u, %zu cases, %zu lost something that was not synced\n", seed, done, less);
  EXPECT_GT(less, 0u) << "a disk that keeps everything shows nothing";
}

// That RocksDB refuses a store for its manifest's end is its way; a wrong answer would be none.
TEST_P(LyingDisk, AGarbledManifestIsToldIfItCountsAtAll) {
  std::mt19937 random(5);
  DiskImage image(GetParam(), disk_.initial());
  image.GarbleManifests();
  std::size_t point = 0, grown = 0, done = 0, refused = 0;
  for (const Change& change : disk_.changes()) {
    image.Apply(change);
    ++point;
    const bool grows = change.kind == Change::Kind::kWrite && manifests_.contains(change.file);
    if (change.kind == Change::Kind::kName && change.name.starts_with("MANIFEST-")) {
      manifests_.insert(change.file);
    }
    if (!grows || BoundsAt(point).power == 0 || (++grown % 4 != 0 && !IsLong())) continue;
    SCOPED_TRACE("seed 5, after " + std::to_string(point) + " changes");
    const std::string left = dir_ / "left";
    image.Build(left, Loss::kTorn, random);
    const absl::Status status = Store::Open(ScriptOptions(true), Site(left).path).status();
    if (status.ok()) {
      const Bounds& bounds = BoundsAt(point);
      CheckWhatIsLeft(left, run_.history(), bounds, bounds.power, /*read_only_too=*/true);
    } else {
      ++refused;
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_NE(status.message().find("MANIFEST"), std::string::npos) << status;
    }
    fs::remove_all(left);
    ++done;
  }
  std::printf("seed 5, %zu cases, %zu refused\n", done, refused);
  EXPECT_GT(done, refused);
}

// A disk that claims to have synced: the checks are worth what they say of it.
TEST_P(LyingDisk, ADiskThatDoesNotSyncIsCaught) {
  std::mt19937 random(3);
  std::size_t points = 0, caught = 0;
  for (const auto& [from, bounds] : marks_) {
    if (bounds.power == 0 || ++points % 6 != 0) continue;
    // What is promised came by syncs; of the last of them nothing is on the disk.
    DiskImage image(GetParam(), disk_.initial());
    const std::size_t good = GoodUntil(bounds.power);
    for (std::size_t i = 0; i < from; ++i) {
      if (i == good) image.IgnoreSyncs();
      image.Apply(disk_.changes()[i]);
    }
    const std::string left = dir_ / "left";
    image.Build(left, Loss::kAll, random);
    ::testing::TestPartResultArray failures;
    {
      const ::testing::ScopedFakeTestPartResultReporter reporter(
          ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &failures);
      CheckWhatIsLeft(left, run_.history(), bounds, bounds.power, /*read_only_too=*/false);
    }
    caught += failures.size() > 0;
    fs::remove_all(left);
  }
  std::printf("%zu cases, %zu caught\n", points / 6, caught);
  // Where the store was only opened again, nothing can be missing.
  EXPECT_GT(points, 24u);
  EXPECT_GE(caught + 1, points / 6);
}

// Otherwise the images would be of nothing that was ever on a disk.
TEST_P(LyingDisk, IsWrittenDownWhole) {
  DiskImage image(GetParam(), disk_.initial());
  for (const Change& change : disk_.changes()) image.Apply(change);
  EXPECT_TRUE(image.has_unsynced());
  std::mt19937 random(1);
  image.Build(dir_ / "all", Loss::kNone, random);
  std::string difference;
  EXPECT_TRUE(SameFiles(root_, dir_ / "all", &difference)) << difference;
  image.Build(dir_ / "synced", Loss::kAll, random);
  EXPECT_FALSE(SameFiles(root_, dir_ / "synced", &difference));
}

INSTANTIATE_TEST_SUITE_P(Synced, LyingDisk,
                         ::testing::Values(Names::kByDirectory, Names::kByJournal),
                         [](const auto& names) {
                           return names.param == Names::kByDirectory ? "ByDirectory" : "ByJournal";
                         });

}  // namespace
}  // namespace engram::power

#include "tests/power/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/power/watched_disk.h"

namespace engram::power {
namespace {

constexpr MemoryId kWrittenOn = 1000000;

// What a creation has begun with may be anybody's, until it has families of ours.
bool IsNone(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

bool IsRefusal(const absl::Status& status) {
  return status.message().find("takes no writes until it is opened again") != std::string::npos;
}

// A call that fails once may be one that reads.
absl::StatusOr<Model> ReadTwice(const Store& store) {
  auto model = ReadAll(store);
  return model.ok() ? model : ReadAll(store);
}

// Returns: what a store is that is opened; one that does not exist if there is none. Where
// it cannot be told, the test fails.
Model Look(const std::string& path) {
  const auto store = Store::Open(ScriptOptions(/*read_only=*/true), path);
  if (IsNone(store.status())) return {};
  EXPECT_TRUE(store.ok()) << store.status();
  if (!store.ok()) return {};
  const auto model = ReadAll(**store);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return {};
  CheckAnswers(**store, *model);
  return *model;
}

void CheckBackup(const std::string& path, const History& history, const Bounds& bounds) {
  if (!std::filesystem::exists(path)) {
    EXPECT_FALSE(bounds.backup_made) << "the backup is gone";
    return;
  }
  SCOPED_TRACE("backup");
  const Model model = Look(path);
  EXPECT_TRUE(history.Has(model, bounds.backup_first, bounds.backup_last))
      << model.Summary() << "; expected "
      << history.Summary(bounds.backup_first, bounds.backup_last);
}

}  // namespace

void History::LeaveOpen() {
  const std::vector<Model> changed = levels_.back();
  levels_.push_back(levels_[levels_.size() - 2]);
  for (const Model& model : changed) {
    if (!Has(model, last(), last())) levels_.back().push_back(model);
  }
}

std::size_t History::Begin(const std::function<bool(Model&)>& apply) {
  std::vector<Model> changed = levels_.back();
  for (Model& model : changed) {
    Model after = model;
    const bool possible = model.exists || levels_.size() == 1;  // the first creates it
    if (possible && apply(after)) model = std::move(after);
  }
  levels_.push_back(std::move(changed));
  return last();
}

bool History::Has(const Model& model, std::size_t first, std::size_t last) const {
  for (std::size_t level = first; level <= last && level < levels_.size(); ++level) {
    const auto& models = levels_[level];
    if (std::find(models.begin(), models.end(), model) != models.end()) return true;
  }
  return false;
}

std::string History::Summary(std::size_t first, std::size_t last) const {
  std::string all;
  for (std::size_t level = first; level <= last && level < levels_.size(); ++level) {
    for (const Model& model : levels_[level]) {
      all += "\n  level " + std::to_string(level) + ": " + model.Summary();
    }
  }
  return all;
}

std::size_t ScriptRun::Run(const Watcher& watch) {
  watch_ = watch;
  std::size_t failed = 0;
  for (const Step& step : steps_) {
    SCOPED_TRACE("step " + step.name);
    failed += !RunStep(step);
    if (::testing::Test::HasFailure()) break;
  }
  return failed;
}

bool ScriptRun::RunStep(const Step& step) {
  const bool creates = &step == &steps_.front();
  if (!creates && site_.store == nullptr && !MakeOpen()) return false;
  if (step.apply) bounds_.begun = history_.Begin(step.apply);
  if (step.is_backup) {
    bounds_.backup_first = std::min(bounds_.acknowledged, history_.last());
    bounds_.backup_last = history_.last();
  }
  if (watch_) watch_(bounds_);
  const absl::Status status = step.run(site_);
  if (status.ok()) {
    bounds_.backup_made |= step.is_backup;
    Acknowledge(step.makes_safe);
  } else {
    if (first_failure_.ok()) first_failure_ = status;
    if (step.apply && IsRefusal(status)) {
      history_.TakeBack();
    } else if (step.apply) {
      history_.LeaveOpen();
    }
    bounds_.begun = history_.last();
    if (site_.store != nullptr) CheckReadable();
  }
  if (watch_) watch_(bounds_);
  return status.ok();
}

void ScriptRun::Acknowledge(Durability durability) {
  bounds_.acknowledged = history_.last();
  if (durability >= Durability::kProcess) bounds_.process = history_.last();
  if (durability >= Durability::kPower) bounds_.power = history_.last();
}

bool ScriptRun::MakeOpen() {
  auto store = Store::Open(ScriptOptions(), site_.path);
  if (!store.ok()) {
    if (first_failure_.ok()) first_failure_ = store.status();
    return false;
  }
  site_.store = *std::move(store);
  const auto model = ReadTwice(*site_.store);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return false;
  EXPECT_TRUE(history_.Has(*model, bounds_.process, history_.last()))
      << "opened again, it has " << model->Summary() << "; expected "
      << history_.Summary(bounds_.process, history_.last());
  history_.Found(*model);
  bounds_.begun = history_.last();
  Acknowledge(Durability::kPower);
  return true;
}

void ScriptRun::CheckReadable() {
  const auto model = ReadTwice(*site_.store);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return;
  EXPECT_EQ(*model == history_.now().front(), true)
      << "after a failure it shows " << model->Summary() << "; expected "
      << history_.Summary(history_.last(), history_.last());
}

absl::Status ScriptRun::Close() {
  power_before_close_ = bounds_.power;
  if (site_.store == nullptr) return absl::OkStatus();
  const absl::Status closed = site_.store->Close();
  site_.store.reset();
  if (closed.ok()) Acknowledge(Durability::kPower);
  return closed;
}

bool CheckWhatIsLeft(const std::string& root, const History& history, const Bounds& bounds,
                     std::size_t least, bool read_only_too) {
  const Site site(root);
  Model seen;
  if (read_only_too) seen = Look(site.path);
  StoreOptions options = ScriptOptions();
  options.create_if_missing = false;
  auto store = Store::Open(options, site.path);
  const bool absent = IsNone(store.status());
  if (absent) {
    EXPECT_TRUE(history.Has(Model(), least, bounds.begun)) << store.status();
    store = Store::Open(ScriptOptions(), site.path);
  }
  EXPECT_TRUE(store.ok()) << store.status();
  if (!store.ok()) return false;
  auto model = ReadAll(**store);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return false;
  CheckAnswers(**store, *model);
  EXPECT_TRUE(absent || history.Has(*model, least, bounds.begun))
      << "it has " << model->Summary() << "; expected " << history.Summary(least, bounds.begun);
  EXPECT_TRUE(!read_only_too || !seen.exists || seen == *model) << "a reader saw something else";
  const bool less =
      absent ? bounds.acknowledged > 0 : !history.Has(*model, bounds.acknowledged, bounds.begun);
  WriteOptions power;
  power.durability = Durability::kPower;
  const absl::Status put =
      (*store)->Put(power, kWrittenOn, VectorOf(kWrittenOn), PayloadOf(kWrittenOn));
  EXPECT_TRUE(put.ok()) << put;
  model->Put(kWrittenOn, VectorOf(kWrittenOn), PayloadOf(kWrittenOn));
  const absl::Status closed = (*store)->Close();
  EXPECT_TRUE(closed.ok()) << closed;
  store->reset();
  const Model again = Look(site.path);
  EXPECT_TRUE(again == *model) << "written on and opened again, it has " << again.Summary();
  CheckBackup(site.backup, history, bounds);
  return less;
}

}  // namespace engram::power

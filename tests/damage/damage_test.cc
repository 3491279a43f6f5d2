// Any file of a store, damaged in any way: every call answers right or says that data was lost.
// Only the end of the log may be missing without a word, and then the store is as it was after
// some batch. So it stays when the store is written to, sealed, compacted and opened again. A
// repair gives no memory what it never had. ENGRAM_LONG=1 tries 10,000 damages and writes on after
// each, and not after every fourth; ENGRAM_SEED is another first one: with ENGRAM_LONG=1 and
// ENGRAM_CASES=1 it is that one alone.
//
// Cases run in children, so that a crash or a hang is told with its seed.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>

#include "tests/damage/damage_case.h"
#include "tests/damage/damage_store.h"
#include "tests/support/scale.h"
#include "tests/support/store_surgery.h"
#include "tests/support/temp_dir.h"

namespace engram::damage {
namespace {

using Hashes = std::vector<std::uint64_t>;

constexpr std::uint64_t kQuickCases = 100, kLongCases = 10000, kCasesPerChild = 50;
constexpr unsigned kSecondsPerCase = 120;

// What children tell the parent.
struct Shared {
  std::uint64_t seed;  // of the case that runs
  std::uint64_t log_bytes[kBatches + 1];
  std::uint64_t failures, refused, lost, right, shortened, flips_named, went_on, repaired;
};

// What a sound store answers, by how many batches of the log it has.
struct Right {
  std::vector<Hashes> some, all;
};

// Returns: whether the child ended well.
bool InChild(const std::function<void()>& run) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    run();
    std::fflush(nullptr);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) std::fprintf(stderr, "child ended by signal %d\n", WTERMSIG(status));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void WriteHashes(const std::string& path, const std::vector<Answer>& answers) {
  std::ofstream file(path, std::ios::binary);
  for (const Answer& answer : answers) {
    Require(answer.error, answer.what);
    file.write(reinterpret_cast<const char*>(&answer.hash), sizeof answer.hash);
  }
}

Hashes ReadHashes(const std::string& path) {
  const std::string bytes = testing::ReadFile(path);
  Hashes hashes(bytes.size() / sizeof(std::uint64_t));
  std::copy_n(bytes.data(), hashes.size() * sizeof(std::uint64_t),
              reinterpret_cast<char*>(hashes.data()));
  return hashes;
}

class Damage : public ::testing::Test {
 protected:
  void SetUp() override {
    shared_ = static_cast<Shared*>(
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(shared_, MAP_FAILED);
    ASSERT_TRUE(InChild([&] {
      const auto ends = MakeStore(whole_);
      std::copy(ends.begin(), ends.end(), shared_->log_bytes);
    }));
    pristine_ = Pristine::Read(whole_);
    ASSERT_FALSE(pristine_.kinds["log"].empty());
    log_ = *std::max_element(pristine_.kinds["log"].begin(), pristine_.kinds["log"].end());
    for (std::uint64_t state = 0; state <= kBatches; ++state) {
      ASSERT_TRUE(InChild([&] { AskState(state); })) << state;
      for (Right* right : {&right_, &right_with_more_}) {
        const std::string name = NameOf(*right) + std::to_string(state);
        right->some.push_back(ReadHashes(dir_ / ("some" + name)));
        right->all.push_back(ReadHashes(dir_ / ("all" + name)));
      }
    }
  }
  void TearDown() override { ::munmap(shared_, sizeof(Shared)); }

  // The store as it was after that many batches, and what it answers.
  void AskState(std::uint64_t state) {
    const std::string path = dir_ / ("state" + std::to_string(state));
    std::filesystem::copy(whole_, path);
    std::filesystem::resize_file(path + "/" + log_, shared_->log_bytes[state]);
    const auto store = Store::Open(Options(true), path);
    Require(store.status(), "open a sound store");
    const auto marker = (*store)->Get({}, kMarker);
    Require(marker.status(), "marker");
    if (marker->payload != std::to_string(state) ||
        (*store)->Get({}, 30000 + state * 10).ok() != (state > 0) ||
        (*store)->Get({}, 6001 + state).ok() != true || (*store)->Stats().coded_rows == 0 ||
        (state > 0 && (*store)->Get({}, 6000 + state).ok())) {
      Require(absl::InternalError(marker->payload), "state");
    }
    const auto report = (*store)->Verify({});
    Require(report.status(), "Verify");
    if (!report->findings.empty()) Require(absl::DataLossError(report->findings[0]), "Verify");
    WriteAnswers(**store, NameOf(right_) + std::to_string(state));
    const auto writable = Store::Open(Options(false), path);
    Require(writable.status(), "open a sound store for writing");
    Require(PutOneMore(**writable), "Put");
    WriteAnswers(**writable, NameOf(right_with_more_) + std::to_string(state));
    std::filesystem::remove_all(path);
  }

  std::string NameOf(const Right& right) const { return &right == &right_ ? "" : "-more-"; }

  void WriteAnswers(const Store& store, const std::string& name) {
    WriteHashes(dir_ / ("some" + name), AskAll(store, false));
    WriteHashes(dir_ / ("all" + name), AskAll(store, true));
  }

  void Fail(const DamageCase& damage, const std::string& how, const std::string& why) {
    ++shared_->failures;
    std::fprintf(stderr, "seed %llu: %s, %s: %s: %s\n",
                 static_cast<unsigned long long>(shared_->seed), damage.name.c_str(),
                 damage.what.c_str(), how.c_str(), why.c_str());
  }

  // Batches that ended before the damage are there.
  std::uint64_t LeastState(const DamageCase& damage) const {
    if (damage.name != log_ || damage.same) return kBatches;
    std::uint64_t state = kBatches;
    while (state > 0 && shared_->log_bytes[state] > damage.changed) --state;
    return state;
  }

  static bool MayRefuse(const DamageCase& damage, const absl::Status& status) {
    if (damage.same) return false;
    if (absl::IsDataLoss(status)) return true;
    return damage.kind == "CURRENT" &&
           (absl::IsNotFound(status) || absl::IsFailedPrecondition(status));
  }

  // The state that the answers are of is the one that fits the first of them.
  std::uint64_t StateOf(const DamageCase& damage, const std::string& how,
                        const std::vector<Answer>& answers) {
    std::uint64_t state = kBatches;
    if (answers[0].error.ok()) {
      while (state > 0 && answers[0].hash != right_.some[state][0]) --state;
    }
    if (state < LeastState(damage)) {
      Fail(damage, how, "is as after batch " + std::to_string(state));
    }
    if (state < kBatches) ++shared_->shortened;
    return state;
  }

  void Compare(const DamageCase& damage, const std::string& how, const std::vector<Answer>& answers,
               const Hashes& right) {
    if (answers.size() != right.size()) return Fail(damage, how, "number of answers");
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i].error.ok()) {
        ++shared_->lost;
        if (damage.same || !absl::IsDataLoss(answers[i].error)) {
          return Fail(damage, how, answers[i].what + ": " + answers[i].error.ToString());
        }
      } else if (answers[i].hash != right[i]) {
        return Fail(damage, how, answers[i].what + ": a wrong answer");
      } else {
        ++shared_->right;
      }
    }
  }

  void CheckVerify(const DamageCase& damage, const std::string& how, const Store& store) {
    const auto report = store.Verify({});
    if (!report.ok()) {
      if (damage.same || !absl::IsDataLoss(report.status())) {
        Fail(damage, how, "Verify: " + report.status().ToString());
      }
      return;
    }
    if (damage.same && !report->findings.empty()) Fail(damage, how, report->findings[0]);
    if (damage.flipped == nullptr) return;
    const std::string column = "column " + std::string(storage::ColumnName(damage.flipped->column));
    const std::string first = std::to_string(damage.flipped->first_row);
    for (const std::string& finding : report->findings) {
      if (finding.find(column) != std::string::npos && finding.find(first) != std::string::npos) {
        ++shared_->flips_named;
        return;
      }
    }
    Fail(damage, how,
         "Verify does not name " + column + " at " + first +
             (report->findings.empty() ? "" : " but " + report->findings[0]));
  }

  // Writes go on or say why not, and change no other answer: not even for the next that opens.
  void GoOn(const DamageCase& damage, std::unique_ptr<Store> store, std::uint64_t state, bool all) {
    ++shared_->went_on;
    const std::pair<const char*, absl::Status> done[] = {{"Put", PutOneMore(*store)},
                                                         {"Seal", store->Seal()},
                                                         {"Compact", store->Compact({})},
                                                         {"Flush", store->Flush()}};
    for (const auto& [what, status] : done) {
      if (!status.ok() && (damage.same || !absl::IsDataLoss(status))) {
        Fail(damage, what, status.ToString());
      }
    }
    const Right& right = done[0].second.ok() ? right_with_more_ : right_;
    const Hashes& hashes = (all ? right.all : right.some)[state];
    Compare(damage, "after Compact", AskAll(*store, all), hashes);
    Close(damage, "after Compact", *store);
    store.reset();
    const bool read_only = shared_->seed % 8 == 0;
    const std::string how = read_only ? "opened again read-only" : "opened again for writing";
    const auto again = Store::Open(Options(read_only), dir_ / "case");
    if (!again.ok()) {
      if (!MayRefuse(damage, again.status())) Fail(damage, how, again.status().ToString());
      return;
    }
    Compare(damage, how, AskAll(**again, all), hashes);
    Close(damage, how, **again);
  }

  void Close(const DamageCase& damage, const std::string& how, Store& store) {
    const absl::Status closed = store.Close();
    if (!closed.ok() && (damage.same || !absl::IsDataLoss(closed))) {
      Fail(damage, how, "Close: " + closed.ToString());
    }
  }

  // What can be kept of it, which is nothing where nobody can tell what it was.
  void CheckRepair(const DamageCase& damage, const std::string& path) {
    const std::string into = dir_ / "repaired";
    std::filesystem::remove_all(into);
    const auto report = Store::Repair({}, path, into);
    if (!report.ok()) {
      if (!MayRefuse(damage, report.status())) Fail(damage, "Repair", report.status().ToString());
      return;
    }
    ++shared_->repaired;
    const auto store = Store::Open(Options(true), into);
    if (!store.ok()) return Fail(damage, "repaired", store.status().ToString());
    if (const std::string wrong = CheckRepaired(**store); !wrong.empty()) {
      Fail(damage, "repaired", wrong);
    }
    if (damage.same) Compare(damage, "repaired", AskAll(**store, true), right_.all[kBatches]);
  }

  void RunCase(std::uint64_t seed) {
    shared_->seed = seed;
    ::alarm(kSecondsPerCase);
    const DamageCase damage = MakeCase(pristine_, seed);
    const std::string path = dir_ / "case";
    std::filesystem::remove_all(path);
    CopyDamaged(pristine_, whole_, damage, path);
    const bool all = seed % 16 == 0;
    if (seed % 16 == 4) CheckRepair(damage, path);
    for (const bool read_only : {true, false}) {
      const std::string how = read_only ? "read-only" : "for writing";
      auto store = Store::Open(Options(read_only), path);
      if (!store.ok()) {
        ++shared_->refused;
        if (!MayRefuse(damage, store.status())) Fail(damage, how, store.status().ToString());
        continue;
      }
      if (const std::string wrong = AskBlindly(**store); !wrong.empty()) Fail(damage, how, wrong);
      const std::vector<Answer> answers = AskAll(**store, all);
      const std::uint64_t state = StateOf(damage, how, answers);
      Compare(damage, how, answers, (all ? right_.all : right_.some)[state]);
      CheckVerify(damage, how, **store);
      if (!read_only && (is_long_ || seed % 4 == 0)) {
        GoOn(damage, *std::move(store), state, all);
      } else {
        Close(damage, how, **store);
      }
    }
  }

  void ExpectUntouched() const {
    for (const auto& [name, bytes] : pristine_.files) {
      EXPECT_EQ(testing::ReadFile(whole_ + "/" + name), bytes) << name;
    }
  }

  testing::TempDir dir_;
  const std::string whole_ = dir_ / "whole";
  Shared* shared_ = nullptr;
  std::string log_;  // the newest: an older one holds nothing that is not in tables
  Pristine pristine_;
  Right right_, right_with_more_;  // with kOneMore
  const bool is_long_ = testing::FromEnvironment("ENGRAM_LONG", 0) != 0;
};

TEST_F(Damage, EndsInDataLossOrInTheRightAnswer) {
  const std::uint64_t first = testing::FromEnvironment("ENGRAM_SEED", 1);
  const std::uint64_t cases =
      testing::FromEnvironment("ENGRAM_CASES", is_long_ ? kLongCases : kQuickCases);
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(first + cases - 1));
  std::map<std::string, int> kinds;
  for (std::uint64_t i = 0; i < cases; ++i) {
    const DamageCase damage = MakeCase(pristine_, first + i);
    ++kinds[damage.kind + (damage.missing ? " missing" : damage.replaced ? " replaced" : "")];
  }
  for (std::uint64_t next = 0; next < cases;) {
    shared_->seed = 0;
    const std::uint64_t end = std::min(cases, next + kCasesPerChild);
    if (InChild([&] {
          for (std::uint64_t i = next; i < end; ++i) RunCase(first + i);
        })) {
      next = end;
    } else {
      const DamageCase damage = MakeCase(pristine_, shared_->seed);
      ADD_FAILURE() << "a crash or a hang: seed " << shared_->seed << ": " << damage.name << ", "
                    << damage.what;
      next = shared_->seed - first + 1;
    }
    std::filesystem::remove_all(dir_ / "case");
  }
  for (const auto& [kind, count] : kinds) std::printf("%s: %d cases\n", kind.c_str(), count);
  std::printf(
      "opens refused: %llu; answers right: %llu, lost: %llu; opens with a shorter log: "
      "%llu; flipped bits that Verify named: %llu; stores written to: %llu, repaired: %llu\n",
      static_cast<unsigned long long>(shared_->refused),
      static_cast<unsigned long long>(shared_->right),
      static_cast<unsigned long long>(shared_->lost),
      static_cast<unsigned long long>(shared_->shortened),
      static_cast<unsigned long long>(shared_->flips_named),
      static_cast<unsigned long long>(shared_->went_on),
      static_cast<unsigned long long>(shared_->repaired));
  EXPECT_EQ(shared_->failures, 0u) << "each is told above, with its seed";
  EXPECT_GT(shared_->refused, 0u);
  EXPECT_GT(shared_->right, 0u);
  EXPECT_GT(shared_->lost, 0u);
  EXPECT_GT(shared_->shortened, 0u);
  EXPECT_GT(shared_->flips_named, 0u);
  EXPECT_GT(shared_->went_on, 0u);
  EXPECT_GT(shared_->repaired, 0u);
  ExpectUntouched();
}

}  // namespace
}  // namespace engram::damage

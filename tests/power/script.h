// What is written while the disk lies: one script of every kind of change, and what must be
// there of it afterwards.
#ifndef ENGRAM_TESTS_POWER_SCRIPT_H_
#define ENGRAM_TESTS_POWER_SCRIPT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "tests/power/store_model.h"

namespace engram::power {

// Where the store and its backup lie.
struct Site {
  explicit Site(const std::string& root) : path(root + "/a/s"), backup(root + "/backup") {}
  std::string path, backup;
  std::unique_ptr<Store> store;
};

StoreOptions ScriptOptions(bool read_only = false);

// A step of the script. Each is one batch, or changes nothing.
struct Step {
  std::string name;
  // What is safe of all that was acknowledged when it answers OK; kNone: as before.
  Durability makes_safe;
  std::function<absl::Status(Site&)> run;
  std::function<bool(Model&)> apply;  // false: it must be refused; null: nothing changes
  bool is_backup = false;
};

// Returns: every kind of change, of every durability, with what goes on between them.
std::vector<Step> Script();

// What a store may hold, as a run of the script goes on.
class History {
 public:
  History() { levels_.push_back({Model()}); }

  // A change begins: it may be there from now on. Returns: its level.
  std::size_t Begin(const std::function<bool(Model&)>& apply);
  // The change was refused without being tried.
  void TakeBack() { levels_.pop_back(); }
  // It failed: it may be there or not.
  void LeaveOpen();
  // It was found to be so.
  void Found(const Model& model) { levels_.push_back({model}); }

  std::size_t last() const { return levels_.size() - 1; }
  // What may be there after all changes so far; what readers see is the first.
  const std::vector<Model>& now() const { return levels_.back(); }
  // Returns: whether `model` is what was there between two levels, ends included.
  bool Has(const Model& model, std::size_t first, std::size_t last) const;
  std::string Summary(std::size_t first, std::size_t last) const;

 private:
  std::vector<std::vector<Model>> levels_;
};

// What must be there and what may be, as levels of the history.
struct Bounds {
  std::size_t power = 0;                          // after power loss, at least
  std::size_t process = 0;                        // after the process died, at least
  std::size_t acknowledged = 0;                   // while it lives, at least
  std::size_t begun = 0;                          // at most
  bool backup_made = false;                       // the backup must be there
  std::size_t backup_first = 1, backup_last = 0;  // what it may hold; nothing may be there yet
};

// Runs the script.
class ScriptRun {
 public:
  explicit ScriptRun(const std::string& root) : site_(root), steps_(Script()) {}

  // Called before and after each step, with what is known then.
  using Watcher = std::function<void(const Bounds&)>;
  // Whatever fails, all steps are tried. Returns: how many failed.
  std::size_t Run(const Watcher& watch = nullptr);
  // What must be there afterwards is in bounds().process; after power loss before it, what
  // power_before_close() says.
  absl::Status Close();
  std::size_t power_before_close() const { return power_before_close_; }

  Site& site() { return site_; }
  History& history() { return history_; }
  const Bounds& bounds() const { return bounds_; }
  const absl::Status& first_failure() const { return first_failure_; }

 private:
  bool RunStep(const Step& step);
  void Acknowledge(Durability durability);
  // Opens the store if it is not open. What it holds is from now on all it may hold.
  bool MakeOpen();
  void CheckReadable();

  Site site_;
  const std::vector<Step> steps_;
  Watcher watch_;
  History history_;
  Bounds bounds_;
  std::size_t power_before_close_ = 0;
  absl::Status first_failure_;
};

// Opens what was left in `root`, expects it to be what it was at a level from `least` to
// `bounds`.begun, and the backup to be whole; writes on, and expects all of that to be there.
// Returns: whether it is less than was acknowledged.
bool CheckWhatIsLeft(const std::string& root, const History& history, const Bounds& bounds,
                     std::size_t least, bool read_only_too);

}  // namespace engram::power

#endif  // ENGRAM_TESTS_POWER_SCRIPT_H_

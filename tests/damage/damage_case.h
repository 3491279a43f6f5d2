// One damage: which file of a store, and what was done to its bytes: some are changed, or it is not
// there, or it has those of another file of its kind, as after a write to the wrong place. All of
// it follows from the seed.
#ifndef ENGRAM_TESTS_DAMAGE_DAMAGE_CASE_H_
#define ENGRAM_TESTS_DAMAGE_DAMAGE_CASE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/block_table.h"

namespace engram::damage {

// The files of the store as it was, in memory.
struct Pristine {
  std::map<std::string, std::string> files;                    // name -> bytes
  std::map<std::string, std::vector<testing::Place>> columns;  // of table files
  std::map<std::string, std::vector<std::string>> kinds;       // kind -> names

  static Pristine Read(const std::string& folder);
};

struct DamageCase {
  std::string kind;  // of the file: "table", "log", ...
  std::string name;
  std::string what;         // that was done, in words
  std::string bytes;        // of the file now
  bool missing = false;     // there is no file
  bool replaced = false;    // `bytes` are those of another file
  std::size_t changed = 0;  // the first byte that differs
  bool same = false;        // nothing differs
  const testing::Place* flipped =
      nullptr;  // the column in whose payload one bit was flipped, and nothing else
};
DamageCase MakeCase(const Pristine& pristine, std::uint64_t seed);

// A copy of the store in `to`: hard links but for the damaged file, which may be missing.
void CopyDamaged(const Pristine& pristine, const std::string& from, const DamageCase& damage,
                 const std::string& to);

}  // namespace engram::damage

#endif  // ENGRAM_TESTS_DAMAGE_DAMAGE_CASE_H_

#include "tests/damage/damage_case.h"

#include <algorithm>
#include <filesystem>
#include <random>

#include "tests/support/store_surgery.h"

namespace engram::damage {
namespace {

std::string KindOf(const std::string& name) {
  if (name.ends_with(".sst")) return "table";
  if (name.ends_with(".log")) return "log";
  if (name.ends_with("LOCK")) return "lock";
  return name.substr(0, name.find('-'));
}

class Damager {
 public:
  Damager(const Pristine& pristine, std::uint64_t seed) : pristine_(pristine), random_(seed) {}

  DamageCase Make() {
    const auto& names = pristine_.kinds.at(case_.kind = Kind());
    case_.name = names[Below(names.size())];
    const std::string& whole = pristine_.files.at(case_.name);
    case_.bytes = whole;
    const std::uint64_t way = Below(16);
    if (way == 0) {
      case_.bytes.clear();
      case_.missing = true;
      case_.what = "missing";
    } else if (way == 1 && names.size() > 1) {
      Replace(names);
    } else if (whole.empty()) {
      case_.bytes.resize(1 + Below(64));
      for (char& byte : case_.bytes) byte = static_cast<char>(random_());
      case_.what = std::to_string(case_.bytes.size()) + " bytes where there were none";
    } else {
      Apply();
    }
    const auto differs =
        std::mismatch(whole.begin(), whole.end(), case_.bytes.begin(), case_.bytes.end());
    case_.changed = static_cast<std::size_t>(differs.first - whole.begin());
    case_.same = case_.bytes == whole && !case_.missing;
    return std::move(case_);
  }

 private:
  std::uint64_t Below(std::uint64_t end) { return random_() % end; }

  std::string Kind() {
    static constexpr std::pair<const char*, std::uint64_t> kShares[] = {
        {"table", 48},  {"log", 27},     {"MANIFEST", 12}, {"CURRENT", 4},
        {"OPTIONS", 3}, {"IDENTITY", 2}, {"lock", 4}};
    for (;;) {
      std::uint64_t at = Below(100);
      for (const auto& [kind, share] : kShares) {
        if (at < share) {
          if (pristine_.kinds.contains(kind)) return kind;
          break;
        }
        at -= share;
      }
    }
  }

  // Payloads are nearly all of a table, and much else can be wrong with it.
  std::size_t Place() {
    const std::size_t size = case_.bytes.size();
    const auto columns = pristine_.columns.find(case_.name);
    switch (Below(4)) {
      case 0: return size - 1 - Below(std::min<std::size_t>(size, 4096));
      case 1:
        if (columns != pristine_.columns.end() && !columns->second.empty()) {
          const std::size_t at = columns->second[Below(columns->second.size())].at;
          return std::min(size - 1, at - std::min<std::size_t>(at, 32) + Below(128));
        }
        return Below(size);
      case 2:
        if (columns != pristine_.columns.end() && !columns->second.empty()) {
          const testing::Place& place = columns->second[Below(columns->second.size())];
          if (place.bytes > 0) {
            return place.payload + Below(place.bytes);
          }
        }
        return Below(size);
      default: return Below(size);
    }
  }

  void Replace(const std::vector<std::string>& names) {
    const std::size_t own =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), case_.name) - names.begin());
    const std::string& other = names[(own + 1 + Below(names.size() - 1)) % names.size()];
    case_.bytes = pristine_.files.at(other);
    case_.replaced = true;
    case_.what = "has the bytes of " + other;
  }

  void Apply() {
    const std::size_t at = Place();
    const std::size_t length =
        std::min<std::size_t>(case_.bytes.size() - at, std::size_t{1} << Below(14));
    case_.what = "at " + std::to_string(at) + " of " + std::to_string(case_.bytes.size()) + ": ";
    switch (Below(8)) {
      case 0:
        std::fill_n(case_.bytes.begin() + static_cast<std::ptrdiff_t>(at), length, '\0');
        case_.what += std::to_string(length) + " zeros";
        break;
      case 1:
        case_.bytes.resize(at);
        case_.what += "truncated";
        break;
      case 2: Swap(at, length); break;
      default: Flip(at);
    }
  }

  void Swap(std::size_t at, std::size_t length) {
    const std::size_t other = Place();
    const std::size_t apart = at < other ? other - at : at - other;
    length = std::min({length, apart, case_.bytes.size() - other});
    std::swap_ranges(case_.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     case_.bytes.begin() + static_cast<std::ptrdiff_t>(at + length),
                     case_.bytes.begin() + static_cast<std::ptrdiff_t>(other));
    case_.what += std::to_string(length) + " bytes swapped with those at " + std::to_string(other);
  }

  void Flip(std::size_t at) {
    const int bit = static_cast<int>(Below(8));
    case_.bytes[at] = static_cast<char>(case_.bytes[at] ^ (1 << bit));
    case_.what += "bit " + std::to_string(bit) + " flipped";
    const auto columns = pristine_.columns.find(case_.name);
    if (columns == pristine_.columns.end()) return;
    for (const testing::Place& place : columns->second) {
      if (at >= place.payload && at - place.payload < place.bytes) case_.flipped = &place;
    }
  }

  const Pristine& pristine_;
  std::mt19937_64 random_;
  DamageCase case_;
};

}  // namespace

Pristine Pristine::Read(const std::string& folder) {
  Pristine pristine;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    pristine.files[name] = testing::ReadFile(entry.path());
    if (name.ends_with(".sst")) pristine.columns[name] = testing::PlacesIn(pristine.files[name]);
  }
  for (const auto& [name, bytes] : pristine.files) pristine.kinds[KindOf(name)].push_back(name);
  return pristine;
}

DamageCase MakeCase(const Pristine& pristine, std::uint64_t seed) {
  return Damager(pristine, seed).Make();
}

void CopyDamaged(const Pristine& pristine, const std::string& from, const DamageCase& damage,
                 const std::string& to) {
  std::filesystem::create_directory(to);
  for (const auto& [name, bytes] : pristine.files) {
    if (name == damage.name) {
      if (damage.missing) continue;
      testing::WriteFile(to + "/" + name, damage.bytes);
    } else {
      std::filesystem::create_hard_link(from + "/" + name, to + "/" + name);
    }
  }
}

}  // namespace engram::damage

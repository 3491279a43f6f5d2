// How long a stress test runs: a default for every day, more by the environment.
#ifndef ENGRAM_TESTS_SUPPORT_SCALE_H_
#define ENGRAM_TESTS_SUPPORT_SCALE_H_

#include <cstdint>
#include <cstdlib>

namespace engram::testing {

// Returns: the number in the environment variable `name`, else `otherwise`.
inline std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr) return otherwise;
  const std::uint64_t number = std::strtoull(text, nullptr, 10);
  return number == 0 ? otherwise : number;
}

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_SCALE_H_

// Where the stores of these tests lie, and how long the tests run.
#ifndef ENGRAM_TESTS_POWER_PLACES_H_
#define ENGRAM_TESTS_POWER_PLACES_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace engram::power {

// In memory where there is such a place: what is synced is of the record, not of the machine.
inline std::string Parent() {
  const std::string memory = "/dev/shm/";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : ::testing::TempDir();
}

// Every point, not a sample.
inline bool IsLong() { return std::getenv("ENGRAM_LONG") != nullptr; }

}  // namespace engram::power

#endif  // ENGRAM_TESTS_POWER_PLACES_H_

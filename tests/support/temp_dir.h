// A directory of one test's own, gone with it.
#ifndef ENGRAM_TESTS_SUPPORT_TEMP_DIR_H_
#define ENGRAM_TESTS_SUPPORT_TEMP_DIR_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace engram::testing {

class TempDir {
 public:
  explicit TempDir(const std::string& parent = ::testing::TempDir()) {
    std::string pattern = parent + "engram-XXXXXX";
    path_ = ::mkdtemp(pattern.data()) == nullptr ? "" : pattern;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_TEMP_DIR_H_

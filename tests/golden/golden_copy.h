// A copy of a golden store: opening for writing changes files.
#ifndef ENGRAM_TESTS_GOLDEN_GOLDEN_COPY_H_
#define ENGRAM_TESTS_GOLDEN_GOLDEN_COPY_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram::golden {

class GoldenCopy {
 protected:
  void Copy(const std::string& name) {
    std::filesystem::copy(std::string(ENGRAM_GOLDEN_FOLDER) + "/" + name, path_,
                          std::filesystem::copy_options::recursive);
  }
  std::unique_ptr<Store> Open(bool read_only) {
    StoreOptions options;
    options.read_only = read_only;
    auto store = Store::Open(options, path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  testing::TempDir dir_;
  std::string path_ = dir_ / "store";
};

}  // namespace engram::golden

#endif  // ENGRAM_TESTS_GOLDEN_GOLDEN_COPY_H_

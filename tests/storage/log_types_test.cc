// A log or manifest of which any record has any type: RocksDB reads for ever where one has the
// type of a log that is used again.
#include "storage/log_types.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engram/engram.h"
#include "tests/support/temp_dir.h"

namespace engram::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLogBlock = 32768, kHeader = 7;
const std::vector<float> kVector = {1, 2, 3, 4};

StoreOptions Options(bool read_only) {
  StoreOptions options;
  options.read_only = read_only;
  if (!read_only) {
    options.dimension = 4;
    options.create_if_missing = true;
  }
  return options;
}

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Where the types of the records of `log` are.
std::vector<std::size_t> TypesOf(const std::string& log) {
  std::vector<std::size_t> types;
  for (std::size_t at = 0; at + kHeader <= log.size();) {
    if (kLogBlock - at % kLogBlock < kHeader) {
      at += kLogBlock - at % kLogBlock;
      continue;
    }
    types.push_back(at + 6);
    at += kHeader + static_cast<std::uint8_t>(log[at + 4]) +
          std::size_t{256} * static_cast<std::uint8_t>(log[at + 5]);
  }
  return types;
}

class LogTypes : public ::testing::Test {
 protected:
  // A store as a process leaves it that dies, with records that cross blocks of the log.
  void Make() {
    const auto store = Store::Open(Options(false), dir_ / "s");
    ASSERT_TRUE(store.ok()) << store.status();
    for (MemoryId id = 0; id < 8; ++id) {
      ASSERT_TRUE((*store)->Put({}, id, kVector, std::string(id * 3000, 'x')).ok());
    }
    fs::copy(dir_ / "s", dir_ / "made");
  }

  // Expects each open of a copy to end, and what it then has to be a prefix of what was put.
  void TryTypes(const std::string& name) {
    const std::string whole = Read((dir_ / "made") + "/" + name);
    const std::vector<std::size_t> types = TypesOf(whole);
    ASSERT_GT(types.size(), 5u) << name;
    for (const std::size_t at : types) {
      for (const int type : {5, 131}) {
        SCOPED_TRACE(name + ", byte " + std::to_string(at) + ", type " + std::to_string(type));
        std::string damaged = whole;
        damaged[at] = static_cast<char>(type);
        const std::string path = dir_ / "damaged";
        fs::copy(dir_ / "made", path);
        std::ofstream(path + "/" + name, std::ios::binary) << damaged;
        ExpectPrefix(path, /*read_only=*/true);
        ExpectPrefix(path, /*read_only=*/false);
        fs::remove_all(path);
      }
    }
  }

  void ExpectPrefix(const std::string& path, bool read_only) {
    const auto store = Store::Open(Options(read_only), path);
    if (!store.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
      return;
    }
    const auto it = (*store)->NewIterator({});
    for (MemoryId next = 0; it->Valid(); it->Next(), ++next) {
      EXPECT_EQ(it->id(), next);
      EXPECT_EQ(it->payload().size(), next * 3000);
    }
    EXPECT_TRUE(it->status().ok()) << it->status();
  }

  const testing::TempDir dir_;
};

TEST_F(LogTypes, OfEveryRecordMayBeAny) {
  Make();
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir_ / "made")) {
    if (IsLogOfRecords(entry.path()) && entry.file_size() > 0) {
      names.push_back(entry.path().filename());
    }
  }
  ASSERT_EQ(names.size(), 2u);
  for (const std::string& name : names) TryTypes(name);
}

}  // namespace
}  // namespace engram::storage

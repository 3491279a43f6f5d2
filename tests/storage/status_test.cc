// What RocksDB reports, as the store passes it on.
#include "storage/base/status.h"

#include <gtest/gtest.h>

#include "rocksdb/status.h"

namespace engram::storage {
namespace {

TEST(Status, SaysTheKindOfAnErrorOnce) {
  const auto text = [](const rocksdb::Status& status) {
    return std::string(FromRocks(status, "opening s").message());
  };
  EXPECT_EQ(text(rocksdb::Status::Corruption("Corruption: IO error: 5.sst")),
            "opening s: Corruption: IO error: 5.sst");
  EXPECT_EQ(text(rocksdb::Status::Corruption("Corruption: Corruption: bad block")),
            "opening s: Corruption: bad block");
  EXPECT_EQ(text(rocksdb::Status::Corruption("bad block")), "opening s: Corruption: bad block");
  EXPECT_EQ(text(rocksdb::Status::Corruption()), "opening s: Corruption: ");
  EXPECT_EQ(text(rocksdb::Status::Busy()), "opening s: Resource busy: ");
}

TEST(Status, ATableFileThatIsCutOffIsDamage) {
  for (const char* said : {"While mmap read offset 9 larger than file length 5: 5.sst",
                           "while mmap file for read: 5.sst"}) {
    EXPECT_TRUE(absl::IsDataLoss(
        FromRocks(rocksdb::Status::IOError(said, "Invalid argument"), "opening s")));
  }
  EXPECT_FALSE(absl::IsDataLoss(FromRocks(rocksdb::Status::IOError("5.sst"), "opening s")));
}

TEST(Status, AFileThatIsMissingIsDamageWhereItIsToBeRead) {
  const auto code = [](const char* said) {
    return FromRocks(rocksdb::Status::IOError(said, "No such file or directory"), "opening s")
        .code();
  };
  EXPECT_EQ(code("While opening a file for sequentially reading: MANIFEST-9"),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(code("While open a file for random read: 5.sst"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code("while open a file for appending: 5.sst"), absl::StatusCode::kInternal);
}

TEST(Status, IsOneLine) {
  const auto text = [](const rocksdb::Status& status) {
    return std::string(FromRocks(status, "opening s").message());
  };
  EXPECT_EQ(text(rocksdb::Status::Corruption("IO error: no 5.sst\n")),
            "opening s: Corruption: IO error: no 5.sst");
  EXPECT_EQ(text(rocksdb::Status::Corruption("missing:\n5.sst\r\n\n6.sst\n")),
            "opening s: Corruption: missing: 5.sst; 6.sst");
}

}  // namespace
}  // namespace engram::storage

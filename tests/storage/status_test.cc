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

}  // namespace
}  // namespace engram::storage

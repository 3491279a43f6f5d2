// Changes a closed store behind its back, for tests of damage: through RocksDB, so that its
// checksums are right, or by the bytes of its files.
#ifndef ENGRAM_TESTS_SUPPORT_STORE_SURGERY_H_
#define ENGRAM_TESTS_SUPPORT_STORE_SURGERY_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rocksdb/sst_file_writer.h"
#include "storage/database.h"
#include "storage/format/block_format.h"
#include "storage/format/record_format.h"

namespace engram::testing {

class StoreSurgery {
 public:
  explicit StoreSurgery(const std::string& path) {
    auto database = storage::Database::Open({}, path);
    EXPECT_TRUE(database.ok()) << database.status();
    if (database.ok()) database_ = *std::move(database);
  }
  ~StoreSurgery() { EXPECT_TRUE(database_->FlushFamilies().ok()); }

  void Put(storage::Family family, const std::string& key, const std::string& value) {
    EXPECT_TRUE(database_->db().Put({}, database_->family(family), key, value).ok());
  }
  // By a table that does not lie as those of the store do: behind another value, `value` is not
  // aligned.
  void PutMisaligned(storage::Family family, const std::string& key, const std::string& value) {
    rocksdb::Options options;
    options.compression = rocksdb::kNoCompression;
    const std::string path = std::filesystem::temp_directory_path() /
                             ("engram-misaligned-" + std::to_string(::getpid()) + ".sst");
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
    ASSERT_TRUE(writer.Open(path).ok());
    ASSERT_TRUE(writer.Put(std::string(1, '\0'), "odd").ok());
    ASSERT_TRUE(writer.Put(key, value).ok());
    ASSERT_TRUE(writer.Finish().ok());
    rocksdb::IngestExternalFileOptions ingest;
    ingest.move_files = true;
    const auto status =
        database_->db().IngestExternalFile(database_->family(family), {path}, ingest);
    EXPECT_TRUE(status.ok()) << status.ToString();
    std::filesystem::remove(path);
  }
  void Delete(storage::Family family, const std::string& key) {
    EXPECT_TRUE(database_->db().Delete({}, database_->family(family), key).ok());
  }
  std::string Get(storage::Family family, const std::string& key) {
    const auto value = database_->Get(family, key);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? *value : "";
  }

  // The payload of the column of that kind, of the first block that has one; `key` becomes its key.
  std::string Column(storage::Family family, storage::ColumnKind column, std::string* key,
                     storage::BlockHeader* header) {
    const std::unique_ptr<rocksdb::Iterator> it(
        database_->db().NewIterator({}, database_->family(family)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const auto found = storage::DecodeBlockKey(it->key().ToStringView());
      if (!found.has_value() || found->column != column) continue;
      const auto decoded = storage::DecodeBlockColumn(it->value().ToStringView());
      EXPECT_TRUE(decoded.ok()) << decoded.status();
      *key = it->key().ToString();
      *header = decoded->header;
      return std::string(decoded->payload);
    }
    ADD_FAILURE() << "no column " << storage::ColumnName(column);
    return "";
  }

  // Gives value `index` of that column another content, with checksums that match.
  template <typename T>
  void SetInColumn(storage::Family family, storage::ColumnKind column, std::size_t index,
                   T content) {
    std::string key;
    storage::BlockHeader header;
    std::string payload = Column(family, column, &key, &header);
    ASSERT_LE((index + 1) * sizeof(T), payload.size());
    payload.replace(index * sizeof(T), sizeof(T), reinterpret_cast<const char*>(&content),
                    sizeof(T));
    Put(family, key, storage::EncodeBlockColumn(header, payload));
  }

  std::vector<storage::FileEntry> FileEntries() {
    std::vector<storage::FileEntry> entries;
    const std::unique_ptr<rocksdb::Iterator> it(
        database_->db().NewIterator({}, database_->family(storage::Family::kCatalog)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      if (it->key()[0] != storage::kFilePrefix) continue;
      const auto entry = storage::DecodeFileEntry(it->value().ToStringView());
      EXPECT_TRUE(entry.ok()) << entry.status();
      if (entry.ok()) entries.push_back(*entry);
    }
    return entries;
  }

  // Makes the store one of before there were codes.
  void DropCodes() {
    for (storage::FileEntry entry : FileEntries()) {
      std::erase_if(entry.columns,
                    [](storage::ColumnKind kind) { return kind >= storage::ColumnKind::kCode; });
      Put(storage::Family::kCatalog, storage::FileKey(entry.first_row()),
          storage::EncodeFileEntry(entry));
    }
    rocksdb::ColumnFamilyHandle* blocks = database_->family(storage::Family::kBlocks);
    {
      const std::unique_ptr<rocksdb::Iterator> it(database_->db().NewIterator({}, blocks));
      for (it->SeekToFirst(); it->Valid(); it->Next()) {
        const auto key = storage::DecodeBlockKey(it->key().ToStringView());
        if (key.has_value() && key->column >= storage::ColumnKind::kCode) {
          Delete(storage::Family::kBlocks, it->key().ToString());
        }
      }
    }
    // Not even a deletion may be left: files are later ingested below it.
    EXPECT_TRUE(database_->db().CompactRange({}, blocks, nullptr, nullptr).ok());
  }

 private:
  std::shared_ptr<storage::Database> database_;
};

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::vector<std::string> TableFiles(const std::string& path) {
  std::vector<std::string> tables;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".sst") tables.push_back(entry.path());
  }
  return tables;
}

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_STORE_SURGERY_H_

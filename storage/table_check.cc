#include "storage/table_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "rocksdb/metadata.h"
#include "rocksdb/sst_file_reader.h"
#include "rocksdb/table_properties.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/format/block_format.h"

namespace engram::storage {
namespace {

// RocksDB writes this into every file that is made outside and taken in.
constexpr const char* kIngestedProperty = "rocksdb.external_sst_file.version";

// A data block of RocksDB with one entry: varints of the bytes its key shares with the key before,
// of the key's others and of the value; key; value; then where the only restart is, and that there
// is one; a byte for the compression, and a checksum.
constexpr std::size_t kLongestVarint = 5;
constexpr std::size_t kTagBytes = 8;  // a sequence number and the kind of entry
constexpr std::size_t kEntryHeadBytes = 2 + kLongestVarint + kBlockKeyBytes + kTagBytes;
constexpr std::string_view kRestarts("\0\0\0\0\1\0\0\0", 8);
constexpr std::size_t kTrailerBytes = 5;
// Ingested entries have number 0, and kind 1 is a value.
constexpr std::string_view kTag("\1\0\0\0\0\0\0\0", kTagBytes);

// RocksDB has opened it before it went.
absl::Status Gone(const std::string& path) {
  return absl::UnavailableError(absl::StrFormat("table file %s was replaced by a writer", path));
}

class TableFile {
 public:
  explicit TableFile(const std::string& path)
      : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~TableFile() {
    if (file_ >= 0) ::close(file_);
  }
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  absl::Status Check(const rocksdb::TableProperties& properties) {
    if (file_ < 0) return Failed(errno);
    std::uint64_t at = 0;
    std::string last;  // key
    for (std::uint64_t i = 0; i < properties.num_entries; ++i) {
      ENGRAM_RETURN_IF_ERROR(CheckEntry(properties.data_size, &at, &last));
    }
    if (at == properties.data_size) return absl::OkStatus();
    return Damaged(at, absl::StrFormat("its columns end here, expected %d", properties.data_size));
  }

 private:
  // An entry that begins at *at, which becomes where the next one begins.
  absl::Status CheckEntry(std::uint64_t end, std::uint64_t* at, std::string* last) {
    std::string head(kEntryHeadBytes, '\0');
    ENGRAM_RETURN_IF_ERROR(Read(*at, &head));
    std::size_t size = 2;
    const std::optional<std::uint32_t> value = TakeVarint(head, &size);
    if (head[0] != 0 || head[1] != kBlockKeyBytes + kTagBytes || !value.has_value() ||
        *value < kTableBlockBytes || *at >= end || *value > end - *at) {
      return Damaged(*at, "no column of a block begins here");
    }
    const std::string key = head.substr(size, kBlockKeyBytes);
    if (head.substr(size + kBlockKeyBytes, kTagBytes) != kTag || !DecodeBlockKey(key).has_value() ||
        key <= *last) {
      return Damaged(*at, "the key of the column is not one, or not above the last");
    }
    *last = key;
    const std::uint64_t tail_at = *at + size + kBlockKeyBytes + kTagBytes + *value;
    std::string tail(kRestarts.size() + 1, '\0');
    ENGRAM_RETURN_IF_ERROR(Read(tail_at, &tail));
    if (!tail.starts_with(kRestarts) || tail.back() != rocksdb::kNoCompression) {
      return Damaged(tail_at, "no column of a block ends here");
    }
    const std::uint64_t next = tail_at + kRestarts.size() + kTrailerBytes;
    *at = (next + kTableBlockBytes - 1) / kTableBlockBytes * kTableBlockBytes;
    return absl::OkStatus();
  }

  static std::optional<std::uint32_t> TakeVarint(std::string_view bytes, std::size_t* at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < kLongestVarint; ++i) {
      const auto byte = static_cast<unsigned char>(bytes[(*at)++]);
      value |= std::uint64_t{byte & 0x7fu} << (7 * i);
      if (byte < 0x80) {
        if (value > 0xffffffffu) return std::nullopt;
        return static_cast<std::uint32_t>(value);
      }
    }
    return std::nullopt;
  }

  absl::Status Read(std::uint64_t at, std::string* bytes) const {
    for (std::size_t done = 0; done < bytes->size();) {
      const ssize_t got =
          ::pread(file_, bytes->data() + done, bytes->size() - done, static_cast<off_t>(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failed(errno);
      if (got == 0) return Damaged(at, "the file ends here");
      done += static_cast<std::size_t>(got);
    }
    return absl::OkStatus();
  }

  absl::Status Damaged(std::uint64_t at, std::string_view what) const {
    return absl::DataLossError(absl::StrFormat("table file %s: byte %d: %s", path_, at, what));
  }
  absl::Status Failed(int error) const {
    if (error == ENOENT) return Gone(path_);
    return absl::InternalError(absl::StrFormat("table file %s: %s", path_, std::strerror(error)));
  }

  const std::string path_;
  const int file_;
};

}  // namespace

absl::Status CheckWholeTable(const std::string& path, Family family) {
  rocksdb::SstFileReader reader(
      rocksdb::Options(OpenOptions(/*read_only=*/true), FamilyOptions(family, nullptr)));
  const rocksdb::Status opened = reader.Open(path);
  if (opened.IsPathNotFound()) return Gone(path);
  ENGRAM_RETURN_IF_ERROR(FromRocks(opened, "opening " + path));
  return FromRocks(reader.VerifyChecksum(), "reading " + path);
}

std::vector<absl::Status> CheckAllTables(const Database& database, Family family) {
  std::optional<StoreFileSystem::Hold> hold;  // or a compaction would take them away
  if (!database.read_only()) hold.emplace(database.files());
  rocksdb::ColumnFamilyMetaData meta;
  database.db().GetColumnFamilyMetaData(database.family(family), &meta);
  std::vector<absl::Status> damage;
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const std::string path = file.directory + "/" + file.relative_filename;
      absl::Status whole = CheckWholeTable(path, family);
      if (absl::IsUnavailable(whole)) {
        if (database.read_only()) continue;
        whole = absl::DataLossError(absl::StrFormat("table file %s is missing", path));
      }
      if (!whole.ok()) damage.push_back(std::move(whole));
    }
  }
  return damage;
}

absl::Status NotWritten(const absl::Status& read_back) {
  if (read_back.ok()) return read_back;
  return absl::InternalError(
      absl::StrFormat("what was written does not read back, and nothing goes by it: %s",
                      std::string(read_back.message())));
}

absl::Status CheckTables(const Database& database, Family family) {
  rocksdb::TablePropertiesCollection tables;
  ENGRAM_RETURN_IF_ERROR(
      FromRocks(database.db().GetPropertiesOfAllTables(database.family(family), &tables),
                absl::StrFormat("reading what the files of %s hold", FamilyName(family))));
  for (const auto& [path, properties] : tables) {
    if (properties->user_collected_properties.contains(kIngestedProperty)) {
      ENGRAM_RETURN_IF_ERROR(TableFile(path).Check(*properties));
      continue;
    }
    // RocksDB itself wrote it, which no store of ours asks for: nothing is known of its blocks.
    ENGRAM_RETURN_IF_ERROR(CheckWholeTable(path, family));
  }
  return absl::OkStatus();
}

}  // namespace engram::storage

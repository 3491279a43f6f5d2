#include "storage/log_types.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace engram::storage {
namespace {

// A log is blocks, and a record does not cross them: checksum:u32 length:u16 type:u8 bytes.
constexpr std::size_t kLogBlock = 32768;
constexpr std::size_t kHeader = 7;
constexpr std::size_t kLengthAt = 4, kTypeAt = 6;
// Whole, first, middle and last are 1 to 4; room that was not written has 0.
constexpr std::uint8_t kLastType = 4;
constexpr char kNoType = 0x7f;

class KnownTypes : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  using FSSequentialFileOwnerWrapper::FSSequentialFileOwnerWrapper;

  rocksdb::IOStatus Read(std::size_t n, const rocksdb::IOOptions& options, rocksdb::Slice* result,
                         char* scratch, rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus status =
        FSSequentialFileOwnerWrapper::Read(n, options, result, scratch, debug);
    if (!status.ok()) return status;
    if (result->data() != scratch) {
      std::memcpy(scratch, result->data(), result->size());
      *result = rocksdb::Slice(scratch, result->size());
    }
    for (std::size_t i = 0; i < result->size();) i = Look(scratch, i, result->size());
    at_ += result->size();
    return status;
  }
  rocksdb::IOStatus Skip(std::uint64_t n) override {
    at_ += n;
    return FSSequentialFileOwnerWrapper::Skip(n);
  }

 private:
  // Takes bytes[i, end) as far as it goes in one step. Returns: where the next begins.
  std::size_t Look(char* bytes, std::size_t i, std::size_t end) {
    const std::size_t in_block = (at_ + i) % kLogBlock;
    if (in_block == 0) next_ = at_ + i;
    const std::size_t block_end = std::min(end, i + kLogBlock - in_block);
    // Where the last record ended, or said it would, the next begins.
    if (next_ >= at_ + block_end || next_ < at_ + i) return block_end;
    const std::size_t begin = next_ - at_;
    if (begin + kHeader > block_end) return block_end;
    const auto byte = [&](std::size_t k) { return static_cast<std::uint8_t>(bytes[begin + k]); };
    next_ += kHeader + byte(kLengthAt) + std::size_t{256} * byte(kLengthAt + 1);
    if (byte(kTypeAt) > kLastType) bytes[begin + kTypeAt] = kNoType;
    return std::min<std::size_t>(block_end, next_ - at_);
  }

  std::uint64_t at_ = 0;    // where the next Read() begins
  std::uint64_t next_ = 0;  // where the next record does
};

}  // namespace

bool IsLogOfRecords(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  return name.ends_with(".log") || name.starts_with("MANIFEST-");
}

std::unique_ptr<rocksdb::FSSequentialFile> WithKnownTypes(
    std::unique_ptr<rocksdb::FSSequentialFile> file) {
  return std::make_unique<KnownTypes>(std::move(file));
}

}  // namespace engram::storage

#include "storage/salvage_walk.h"

#include <algorithm>
#include <memory>

namespace engram::storage {
namespace {

// Keys are bisected as numbers of at least so many bytes.
constexpr std::size_t kBisectedBytes = 48;

class Walker {
 public:
  Walker(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view prefix)
      : db_(db), family_(family), prefix_(prefix) {}

  // Checksums are compared always: what is damaged RocksDB would believe, and end the process over.
  std::unique_ptr<rocksdb::Iterator> Open() const {
    rocksdb::ReadOptions options;
    options.fill_cache = false;  // what is damaged must not be found there later
    return std::unique_ptr<rocksdb::Iterator>(db_.NewIterator(options, family_));
  }

  // Returns: a key behind the damage that begins at `at`, from which reading goes on. Where the
  // blocks of tables begin their indexes tell, which have checksums of their own.
  std::string Behind(const std::string& at) const {
    for (std::string next = at;;) {
      next = NextBlock(next);
      if (next >= End() || IsGood(next)) return next;
    }
  }

  bool Within(const rocksdb::Slice& key) const { return key.starts_with(rocksdb::Slice(prefix_)); }
  // Returns: a key above all of the prefix.
  std::string End() const {
    std::string end = prefix_;
    if (end.empty()) return std::string(kBisectedBytes, '\xff');
    end.back() = static_cast<char>(end.back() + 1);
    return end;
  }

 private:
  bool IsGood(const std::string& key) const {
    const auto it = Open();
    it->Seek(key);
    return it->status().ok();
  }

  // Returns: a key above `at` and at most where the next block begins after the one it is in,
  // or End().
  std::string NextBlock(const std::string& at) const {
    const std::size_t size = std::max({at.size(), prefix_.size(), kBisectedBytes});
    std::string low = at, high = End();
    low.resize(size, '\0');
    high.resize(size, '\0');
    const std::uint64_t before = BytesBefore(low);
    if (BytesBefore(high) <= before) return End();
    for (;;) {
      unsigned carry = 0;
      const std::string sum = Sum(low, high, &carry);
      const std::string middle = Halved(sum, carry);
      if (middle <= low || middle >= high) return high;
      (BytesBefore(middle) > before ? high : low) = middle;
    }
  }

  // Returns: how much of the family's tables lies in blocks before the one in which `key` would be.
  std::uint64_t BytesBefore(const std::string& key) const {
    rocksdb::SizeApproximationOptions options;
    options.include_files = true;
    const rocksdb::Range range("", key);
    std::uint64_t bytes = 0;
    // What it does not know is as if there were no block behind.
    return db_.GetApproximateSizes(options, family_, &range, 1, &bytes).ok() ? bytes : 0;
  }

  // Of numbers of equal length; *carry becomes what does not fit.
  static std::string Sum(const std::string& a, const std::string& b, unsigned* carry) {
    std::string sum(a.size(), '\0');
    *carry = 0;
    for (std::size_t i = a.size(); i-- > 0;) {
      *carry += static_cast<unsigned char>(a[i]) + static_cast<unsigned char>(b[i]);
      sum[i] = static_cast<char>(*carry & 0xff);
      *carry >>= 8;
    }
    return sum;
  }

  // Half of a number before which stands `carry`.
  static std::string Halved(const std::string& number, unsigned carry) {
    std::string half(number.size(), '\0');
    for (std::size_t i = 0; i < number.size(); ++i) {
      carry = (carry << 8) | static_cast<unsigned char>(number[i]);
      half[i] = static_cast<char>(carry >> 1);
      carry &= 1;
    }
    return half;
  }

  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle* const family_;
  const std::string prefix_;
};

}  // namespace

void WalkSound(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view prefix,
               absl::FunctionRef<void(std::string_view key, std::string_view value)> visit,
               absl::FunctionRef<void(const std::string& why)> lost) {
  const Walker walker(db, family, prefix);
  std::string at(prefix);
  for (const std::string end = walker.End(); at < end;) {
    const auto it = walker.Open();
    for (it->Seek(at); it->Valid() && walker.Within(it->key()); it->Next()) {
      visit(it->key().ToStringView(), it->value().ToStringView());
      at = it->key().ToString() + '\0';
    }
    if (it->status().ok()) return;
    lost(it->status().ToString());
    at = walker.Behind(at);
  }
}

}  // namespace engram::storage

#include "storage/salvage_walk.h"

#include <algorithm>
#include <memory>
#include <optional>

namespace engram::storage {
namespace {

// Keys are bisected as numbers of so many bytes behind what they share.
constexpr std::size_t kBisectedBytes = 24;

class Walker {
 public:
  Walker(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view prefix)
      : db_(db), family_(family), prefix_(prefix) {}

  std::unique_ptr<rocksdb::Iterator> Open(bool verify) const {
    rocksdb::ReadOptions options;
    options.verify_checksums = verify;
    options.fill_cache = false;  // what is damaged must not be found there later
    return std::unique_ptr<rocksdb::Iterator>(db_.NewIterator(options, family_));
  }

  // Returns: a key behind the damage that begins at `at`, from which reading goes on. Of several
  // damaged places in a row, all but the first cost only themselves.
  std::string Behind(const std::string& at) const {
    std::string good = End();
    // Unchecked, the keys of the damaged block mostly still come.
    const auto plain = Open(/*verify=*/false);
    std::string last = at;
    for (plain->Seek(at); plain->Valid() && Within(plain->key()); plain->Next()) {
      std::string key = plain->key().ToString();
      if (key < last) break;
      last = key;
      if (!IsGood(key)) continue;
      good = std::move(key);
      break;
    }
    return Boundary(at, good);
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
    const auto it = Open(/*verify=*/true);
    it->Seek(key);
    return it->status().ok();
  }

  // Returns: the least key above `bad` from which reading goes on, where `good` is one.
  std::string Boundary(std::string bad, std::string good) const {
    const std::size_t size = std::max({bad.size(), good.size(), kBisectedBytes});
    bad.resize(size, '\0');
    good.resize(size, '\0');
    for (;;) {
      const std::string middle = Middle(bad, good);
      if (middle <= bad || middle >= good) return good;
      (IsGood(middle) ? good : bad) = middle;
    }
  }

  static std::string Middle(const std::string& low, const std::string& high) {
    std::string middle(low.size(), '\0');
    unsigned carry = 0;
    std::string sum(low.size(), '\0');
    for (std::size_t i = low.size(); i-- > 0;) {
      carry += static_cast<unsigned char>(low[i]) + static_cast<unsigned char>(high[i]);
      sum[i] = static_cast<char>(carry & 0xff);
      carry >>= 8;
    }
    for (std::size_t i = 0; i < low.size(); ++i) {
      carry = (carry << 8) | static_cast<unsigned char>(sum[i]);
      middle[i] = static_cast<char>(carry >> 1);
      carry &= 1;
    }
    return middle;
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
    const auto it = walker.Open(/*verify=*/true);
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

// Integers to bytes and back. Keys are big-endian, so that RocksDB's byte order
// is number order; values are little-endian, so that mapped columns can be
// used where they lie.
#ifndef ENGRAM_STORAGE_BASE_CODING_H_
#define ENGRAM_STORAGE_BASE_CODING_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace engram::storage {

static_assert(std::endian::native == std::endian::little,
              "columns are mapped as little-endian arrays");

template <std::unsigned_integral T>
void AppendBigEndian(T value, std::string* out) {
  for (int shift = 8 * (static_cast<int>(sizeof(T)) - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(static_cast<unsigned char>(value >> shift)));
  }
}

// Precondition: bytes.size() >= offset + sizeof(T).
template <std::unsigned_integral T>
T ReadBigEndian(std::string_view bytes, std::size_t offset = 0) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(static_cast<T>(value << 8) | static_cast<unsigned char>(bytes[offset + i]));
  }
  return value;
}

template <typename T>
requires std::is_arithmetic_v<T>
void AppendLittleEndian(T value, std::string* out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

// Takes fixed-size fields off the front of untrusted bytes. After the first
// read past the end every read gives zero and ok() is false, so a decoder
// checks once, before it believes anything.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  requires std::is_arithmetic_v<T> T Read() {
    T value = 0;
    if (rest_.size() < sizeof(T)) {
      ok_ = false;
      rest_ = {};
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }

  bool ok() const { return ok_; }
  std::string_view rest() const { return rest_; }
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_CODING_H_

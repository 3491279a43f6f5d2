// What fuzz targets make of their bytes, and how they say that something is wrong: a target ends
// the process, so that a fuzzer keeps the bytes, and a replay fails.
#ifndef ENGRAM_TESTS_FUZZ_FUZZ_INPUT_H_
#define ENGRAM_TESTS_FUZZ_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace engram::fuzz {

inline void Expect(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : bytes_(reinterpret_cast<const char*>(data), size) {}

  // The next bytes as a number; zeros behind the end.
  template <typename T>
  T Take() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    const std::size_t size = std::min(sizeof value, bytes_.size());
    if (size > 0) std::memcpy(&value, bytes_.data(), size);
    bytes_.remove_prefix(size);
    return value;
  }
  std::uint32_t Below(std::uint32_t end) { return Take<std::uint32_t>() % end; }
  // A copy of its own size, so that a sanitizer sees what is read beyond it.
  std::string TakeBytes(std::size_t size) {
    const std::string taken(bytes_.substr(0, std::min(size, bytes_.size())));
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  std::string TakeRest() { return TakeBytes(bytes_.size()); }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

// Returns: a sum of the bytes, to have read each of them.
inline unsigned Touch(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  unsigned sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += bytes[i];
  volatile unsigned kept = sum;
  return kept;
}

}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#endif  // ENGRAM_TESTS_FUZZ_FUZZ_INPUT_H_

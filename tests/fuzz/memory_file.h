// A file in memory alone, for readers that want a path.
#ifndef ENGRAM_TESTS_FUZZ_MEMORY_FILE_H_
#define ENGRAM_TESTS_FUZZ_MEMORY_FILE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : file_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    Expect(file_ >= 0, "there is a file in memory");
    Expect(::write(file_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
           "a file in memory is written");
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  const int file_;
};

}  // namespace engram::fuzz

#endif  // ENGRAM_TESTS_FUZZ_MEMORY_FILE_H_

// Gives a fuzz target each file of a folder, and so many beginnings of it at most: what a test does
// with a corpus, by any compiler.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_input.h"

namespace {

// A copy of its own size: a read beyond it is seen.
void Give(const std::string& bytes, std::size_t size) {
  const std::vector<std::uint8_t> input(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER BEGINNINGS\n", argv[0]);
    return 2;
  }
  const std::size_t most = std::strtoul(argv[2], nullptr, 10);
  std::error_code error;
  std::size_t files = 0, inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    // The last name is the one that failed.
    std::fprintf(stderr, "%s\n", entry.path().filename().c_str());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    engram::fuzz::Expect(file.is_open() && !bytes.empty(), "an input can be read");
    Give(bytes, bytes.size());
    const std::size_t step = bytes.size() / (most + 1) + 1;
    for (std::size_t size = step; size < bytes.size(); size += step, ++inputs) Give(bytes, size);
    ++files;
  }
  Give("", 0);
  if (files == 0) {
    std::fprintf(stderr, "there are no inputs in %s\n", argv[1]);
    return 1;
  }
  std::printf("%zu files, %zu beginnings of them\n", files, inputs);
  return 0;
}

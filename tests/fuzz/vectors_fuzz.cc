// Files of vectors and of ids, as `engram import` reads them: .npy, .fvecs and .f16.
#include <cstring>

#include "cli/readers.h"
#include "tests/fuzz/memory_file.h"

namespace engram::fuzz {
namespace {

std::vector<float> AllOf(cli::VectorReader& reader, std::size_t dimension, bool* whole) {
  std::vector<float> all;
  std::uint64_t rows = 0;
  for (;; ++rows) {
    const auto row = reader.Next();
    *whole = row.ok();
    if (!row.ok() || !row->has_value()) break;
    Expect((*row)->size() == dimension, "rows have the dimension");
    all.insert(all.end(), (*row)->begin(), (*row)->end());
  }
  if (*whole) Expect(rows == reader.rows(), "there are as many rows as it said");
  return all;
}

void TryVectors(const std::string& path, const char* format, std::size_t dimension) {
  auto reader = cli::VectorReader::Open(path, format, dimension);
  if (!reader.ok()) {
    Expect(!reader.status().message().empty(), "an error says something");
    return;
  }
  bool whole = false, again = false;
  const std::vector<float> first = AllOf(*reader, dimension, &whole);
  Expect(reader->Rewind().ok(), "a file can be read again");
  const std::vector<float> second = AllOf(*reader, dimension, &again);
  Expect(whole == again && first.size() == second.size() &&
             (first.empty() ||
              std::memcmp(first.data(), second.data(), first.size() * sizeof(float)) == 0),
         "it reads the same again");
  const auto matrix = cli::ReadVectors(path, format, dimension);
  Expect(matrix.ok() == whole, "the whole file reads where its rows do");
}

void TryIds(const std::string& path) {
  auto reader = cli::IdReader::Open(path);
  if (!reader.ok()) return;
  for (std::uint64_t i = 0; i < reader->rows(); ++i) {
    if (!reader->Next().ok()) return;
  }
  Expect(reader->Rewind().ok(), "ids can be read again");
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engram::fuzz::Input input(data, size);
  const std::uint8_t kind = input.Take<std::uint8_t>();
  const std::size_t dimension = 1 + input.Take<std::uint8_t>() % 8;
  const engram::fuzz::MemoryFile file(input.TakeRest());
  static constexpr const char* kFormats[] = {"npy", "fvecs", "f16"};
  if (kind % 4 == 3) {
    engram::fuzz::TryIds(file.path());
  } else {
    engram::fuzz::TryVectors(file.path(), kFormats[kind % 4], dimension);
  }
  return 0;
}

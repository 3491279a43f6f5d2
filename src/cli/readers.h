// Files of vectors: .f16 (raw little-endian half floats), .fvecs and .npy. What a
// file says of its sizes is checked against its length before it is believed.
#ifndef ENGRAM_CLI_READERS_H_
#define ENGRAM_CLI_READERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace engram::cli {

struct Matrix {
  std::vector<float> values;  // row-major
  std::size_t rows = 0;
  std::size_t dimension = 0;

  const float* row(std::size_t i) const { return values.data() + i * dimension; }
};

// "-" stands for standard input wherever a file is read.
bool IsStandardInput(const std::string& path);
std::string NameOf(const std::string& path);  // as messages say it

// Returns: "npy", "fvecs", "f16" or "jsonl": `format` if it is one, else by the
// extension of `path` in any case. kInvalidArgument when neither says.
absl::StatusOr<std::string> FormatOf(const std::string& path, const std::string& format);

// Reads the whole file. `dimension` is the store's, which .f16 rows have and the
// others must have. Errors name the file, what was found and what was expected.
absl::StatusOr<Matrix> ReadVectors(const std::string& path, const std::string& format,
                                   std::size_t dimension);

// Reads a one-dimensional .npy of 64-bit integers, none negative.
absl::StatusOr<std::vector<std::uint64_t>> ReadIds(const std::string& path);

absl::StatusOr<std::string> ReadFile(const std::string& path);

// Returns: the lines, without "\n" or "\r\n" at their ends.
absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path);

}  // namespace engram::cli

#endif  // ENGRAM_CLI_READERS_H_

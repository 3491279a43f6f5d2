// Files of vectors: .f16 (raw little-endian half floats), .fvecs and .npy. What a
// file says of its sizes is checked against its length before it is believed.
#ifndef ENGRAM_CLI_READERS_H_
#define ENGRAM_CLI_READERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cli/input_file.h"

namespace engram::cli {

struct Matrix {
  std::vector<float> values;  // row-major
  std::size_t rows = 0;
  std::size_t dimension = 0;

  const float* row(std::size_t i) const { return values.data() + i * dimension; }
};

// Returns: "npy", "fvecs", "f16" or "jsonl": `format` if it is one, else by the
// extension of `path` in any case. kInvalidArgument when neither says.
absl::StatusOr<std::string> FormatOf(const std::string& path, const std::string& format);

// The rows of a file, one after the other. Errors name the file, what was found and what
// was expected.
class VectorReader {
 public:
  // `dimension` is the store's, which .f16 rows have and the others must have.
  static absl::StatusOr<VectorReader> Open(const std::string& path, const std::string& format,
                                           std::size_t dimension);

  std::uint64_t rows() const { return rows_; }

  // Returns: the next row, which lives until the next call; nullopt behind the last one.
  absl::StatusOr<std::optional<absl::Span<const float>>> Next();

  // Next() begins with row 0 again.
  absl::Status Rewind();

 private:
  enum class Kind { kFloats, kHalves, kFvecs };

  explicit VectorReader(InputFile file) : file_(std::move(file)) {}
  absl::Status OpenNpy(std::size_t dimension);
  absl::Status OpenF16(std::size_t dimension);
  absl::Status CheckFvecsRow(std::size_t got) const;

  InputFile file_;
  Kind kind_ = Kind::kFloats;
  std::uint64_t begin_ = 0;  // of the rows
  std::uint64_t rows_ = 0, next_ = 0;
  std::string bytes_;          // of one row in the file
  std::vector<float> values_;  // of one row
};

// The ids in a one-dimensional .npy of 64-bit integers, none negative.
class IdReader {
 public:
  static absl::StatusOr<IdReader> Open(const std::string& path);

  std::uint64_t rows() const { return rows_; }
  // Precondition: it was called fewer than rows() times since Open or Rewind.
  absl::StatusOr<std::uint64_t> Next();
  absl::Status Rewind();

 private:
  explicit IdReader(InputFile file) : file_(std::move(file)) {}

  InputFile file_;
  std::uint64_t begin_ = 0, rows_ = 0, next_ = 0;
  bool has_sign_ = false;
};

// Reads the whole file, as VectorReader.
absl::StatusOr<Matrix> ReadVectors(const std::string& path, const std::string& format,
                                   std::size_t dimension);

// Returns: the lines, without "\n" or "\r\n" at their ends.
absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path);

}  // namespace engram::cli

#endif  // ENGRAM_CLI_READERS_H_

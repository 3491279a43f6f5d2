// A file that is read piece by piece, as often as needed, so that its size does not matter.
// What comes through a pipe is kept in an unnamed file meanwhile.
#ifndef ENGRAM_CLI_INPUT_FILE_H_
#define ENGRAM_CLI_INPUT_FILE_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace engram::cli {

// "-" stands for standard input wherever a file is read.
bool IsStandardInput(const std::string& path);
std::string NameOf(const std::string& path);  // as messages say it

// Without opening it, which a pipe allows once. Errors: kNotFound naming the file and what the
// system says of it.
absl::Status CheckReadable(const std::string& path);

class InputFile {
 public:
  // Errors: kNotFound naming the file and what the system says of it.
  static absl::StatusOr<InputFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // when it was opened

  // Moves to that many bytes behind the beginning.
  absl::Status Seek(std::uint64_t at);

  // Returns: how many bytes it read: fewer than `size` only at the end.
  absl::StatusOr<std::size_t> Read(void* to, std::size_t size);

  // Reads a line, without "\n" or "\r\n" at its end. Returns: false at the end.
  absl::StatusOr<bool> ReadLine(std::string* line);

 private:
  struct Closer {
    void operator()(std::FILE* file) const;
  };
  using File = std::unique_ptr<std::FILE, Closer>;

  explicit InputFile(std::string path) : path_(std::move(path)) {}
  absl::Status KeepPipe();
  absl::Status ReadError() const;

  std::string path_;
  File file_;
  std::uint64_t begin_ = 0;  // where standard input stood
  std::uint64_t size_ = 0;
};

}  // namespace engram::cli

#endif  // ENGRAM_CLI_INPUT_FILE_H_

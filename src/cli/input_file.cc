#include "cli/input_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

}  // namespace

bool IsStandardInput(const std::string& path) { return path == "-"; }

std::string NameOf(const std::string& path) {
  return IsStandardInput(path) ? "standard input" : path;
}

absl::Status CheckReadable(const std::string& path) {
  if (IsStandardInput(path) || ::access(path.c_str(), R_OK) == 0) return absl::OkStatus();
  return absl::NotFoundError(NameOf(path) + " cannot be read: " + std::strerror(errno));
}

void InputFile::Closer::operator()(std::FILE* file) const {
  if (file != stdin) std::fclose(file);
}

absl::Status InputFile::ReadError() const {
  return absl::NotFoundError(NameOf(path_) + ": " + std::strerror(errno));
}

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  InputFile input(path);
  // Not a stream: of a directory it would throw.
  input.file_ = File(IsStandardInput(path) ? stdin : std::fopen(path.c_str(), "rb"));
  struct stat about = {};
  if (input.file_ == nullptr || ::fstat(::fileno(input.file_.get()), &about) != 0) {
    return input.ReadError();
  }
  if (!S_ISREG(about.st_mode)) {
    ENGRAM_RETURN_IF_ERROR(input.KeepPipe());
    return input;
  }
  const auto size = static_cast<std::uint64_t>(about.st_size);
  const off_t at = ::ftello(input.file_.get());
  if (at < 0) return input.ReadError();
  input.begin_ = std::min(static_cast<std::uint64_t>(at), size);
  input.size_ = size - input.begin_;
  return input;
}

absl::Status InputFile::KeepPipe() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  const auto kept_error = [&] {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("keeping %s in a file in %s", NameOf(path_), folder.string()));
  };
  if (error) return absl::NotFoundError("no folder for temporary files: " + error.message());
  std::string name = (folder / "engram-XXXXXX").string();
  const int descriptor = ::mkstemp(name.data());
  if (descriptor < 0) return kept_error();
  ::unlink(name.c_str());
  File kept(::fdopen(descriptor, "w+b"));
  if (kept == nullptr) {
    absl::Status status = kept_error();
    ::close(descriptor);
    return status;
  }
  std::vector<char> buffer(kReadBytes);
  for (std::size_t got = 1; got > 0; size_ += got) {
    got = std::fread(buffer.data(), 1, buffer.size(), file_.get());
    if (std::fwrite(buffer.data(), 1, got, kept.get()) != got) return kept_error();
  }
  if (std::ferror(file_.get()) != 0) return ReadError();
  if (std::fflush(kept.get()) != 0) return kept_error();
  file_ = std::move(kept);
  return Seek(0);
}

absl::Status InputFile::Seek(std::uint64_t at) {
  const bool fits = at <= static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) - begin_;
  if (!fits || ::fseeko(file_.get(), static_cast<off_t>(begin_ + at), SEEK_SET) != 0) {
    return ReadError();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> InputFile::Read(void* to, std::size_t size) {
  const std::size_t got = std::fread(to, 1, size, file_.get());
  if (got < size && std::ferror(file_.get()) != 0) return ReadError();
  return got;
}

absl::StatusOr<bool> InputFile::ReadLine(std::string* line) {
  char* buffer = nullptr;
  std::size_t room = 0;
  const ssize_t got = ::getline(&buffer, &room, file_.get());
  const std::unique_ptr<char, decltype(&std::free)> freed(buffer, &std::free);
  if (got < 0) {
    if (std::feof(file_.get()) == 0) return ReadError();
    return false;
  }
  auto length = static_cast<std::size_t>(got);
  if (length > 0 && buffer[length - 1] == '\n') --length;
  if (length > 0 && buffer[length - 1] == '\r') --length;
  line->assign(buffer, length);
  return true;
}

}  // namespace engram::cli

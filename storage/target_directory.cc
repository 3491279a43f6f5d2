#include "storage/target_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "absl/strings/str_format.h"

namespace engram::storage {
namespace {

constexpr mode_t kOwnersAlone = 0700;
constexpr mode_t kAllModes = 07777;

// Returns: what errno says.
absl::Status FileError(std::string_view doing, const std::string& path) {
  const std::error_code error(errno, std::generic_category());
  const auto text = absl::StrFormat("%s %s: %s", doing, path, error.message());
  if (error == std::errc::file_exists) return absl::AlreadyExistsError(text);
  if (error == std::errc::permission_denied || error == std::errc::operation_not_permitted ||
      error == std::errc::read_only_file_system) {
    return absl::PermissionDeniedError(text);
  }
  if (error == std::errc::no_space_on_device || error.value() == EDQUOT) {
    return absl::ResourceExhaustedError(text);
  }
  return absl::InternalError(text);
}

}  // namespace

absl::Status MakeDirectoryLike(const std::string& path, const std::string& source) {
  struct stat like {};
  if (::stat(source.c_str(), &like) != 0) {
    return FileError("reading the mode of the directory", source);
  }
  // A umask could leave it open to more than `source` is, until the mode is set.
  if (::mkdir(path.c_str(), kOwnersAlone) != 0) {
    return FileError("creating the directory", path);
  }
  if (::chmod(path.c_str(), (like.st_mode & kAllModes) | kOwnersAlone) == 0) {
    return absl::OkStatus();
  }
  const absl::Status failed = FileError("setting the mode of the directory", path);
  ::rmdir(path.c_str());  // where that fails, an empty directory stays
  return failed;
}

}  // namespace engram::storage

#include "tests/power/watched_disk.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace engram::power {
namespace {

// The C library's own, or that of a sanitizer which stands before it.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

int RealOpen(int at, const char* path, int flags, mode_t mode) {
  static const auto next = Next<int(int, const char*, int, mode_t)>("openat");
  return next(at, path, flags, mode);
}
ssize_t RealWrite(int descriptor, const void* bytes, std::size_t size,
                  std::optional<off_t> offset) {
  static const auto write = Next<ssize_t(int, const void*, std::size_t)>("write");
  static const auto at = Next<ssize_t(int, const void*, std::size_t, off_t)>("pwrite");
  return offset.has_value() ? at(descriptor, bytes, size, *offset) : write(descriptor, bytes, size);
}
int RealSync(int descriptor, bool data_only) {
  static const auto data = Next<int(int)>("fdatasync");
  static const auto all = Next<int(int)>("fsync");
  return (data_only ? data : all)(descriptor);
}
int RealRemove(int at, const char* path, int flags) {
  static const auto next = Next<int(int, const char*, int)>("unlinkat");
  return next(at, path, flags);
}

std::uint64_t SizeOf(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

WatchedDisk& WatchedDisk::Get() {
  static auto* const disk = new WatchedDisk;  // outlives every thread that may still call
  return *disk;
}

void WatchedDisk::Begin(const std::string& root) {
  // Not locked: reading a directory makes calls that come here.
  root_ = root;
  next_file_ = 1;
  names_.clear();
  names_[0];
  changes_.clear();
  Load(root, 0);
  initial_ = changes_.size();
  const std::lock_guard lock(mutex_);
  watching_ = true;
}

void WatchedDisk::Load(const std::string& path, int directory) {
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(path)) paths.insert(entry.path());
  for (const auto& entry : paths) {
    const int file = next_file_++;
    const bool is_directory = std::filesystem::is_directory(entry);
    Name({directory, entry.filename(), -1}, file, is_directory);
    if (is_directory) {
      Load(entry, file);
      continue;
    }
    std::ifstream in(entry, std::ios::binary);
    changes_.push_back({.kind = Change::Kind::kWrite,
                        .file = file,
                        .bytes = std::string(std::istreambuf_iterator<char>(in), {})});
  }
}

void WatchedDisk::End() {
  const std::lock_guard lock(mutex_);
  watching_ = false;
  descriptors_.clear();
  fault_ = {};
}

std::size_t WatchedDisk::size() {
  const std::lock_guard lock(mutex_);
  return changes_.size();
}

void WatchedDisk::Arm(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  counted_ = failed_ = 0;
}

std::uint64_t WatchedDisk::Disarm() {
  const std::lock_guard lock(mutex_);
  fault_ = {};
  return failed_;
}

std::uint64_t WatchedDisk::counted() {
  const std::lock_guard lock(mutex_);
  return counted_;
}

bool WatchedDisk::Fails(bool takes_space) {
  if (fault_.garbled || (fault_.space_only && !takes_space)) return false;
  ++counted_;
  if (fault_.at == 0 || counted_ < fault_.at || (counted_ > fault_.at && !fault_.stays)) {
    return false;
  }
  ++failed_;
  errno = fault_.error;
  return true;
}

bool WatchedDisk::Garbles() {
  if (!fault_.garbled || ++counted_ != fault_.at) return false;
  ++failed_;
  return true;
}

std::optional<WatchedDisk::Place> WatchedDisk::Find(int at, const char* path) const {
  std::string rest(path);
  Place place{-1, "", 0};
  if (rest.starts_with(root_) && (rest.size() == root_.size() || rest[root_.size()] == '/')) {
    rest.erase(0, root_.size());
  } else {
    const auto base = descriptors_.find(at);
    if (rest.starts_with('/') || base == descriptors_.end()) return std::nullopt;
    place.file = base->second.file;
  }
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string name = rest.substr(0, slash);
    rest = slash == std::string::npos ? "" : rest.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    const auto directory = names_.find(place.file);
    if (directory == names_.end()) return std::nullopt;  // the call fails without us
    const auto found = directory->second.find(name);
    place = {place.file, name, found == directory->second.end() ? -1 : found->second};
  }
  return place;
}

void WatchedDisk::Name(const Place& place, int file, bool is_directory) {
  names_[place.directory][place.name] = file;
  if (is_directory) names_[file];
  changes_.push_back({.kind = Change::Kind::kName,
                      .file = file,
                      .directory = place.directory,
                      .name = place.name,
                      .is_directory = is_directory});
}

WatchedDisk::Descriptor* WatchedDisk::Known(int descriptor) {
  const auto known = descriptors_.find(descriptor);
  return watching_ && known != descriptors_.end() ? &known->second : nullptr;
}

int WatchedDisk::Open(int at, const char* path, int flags, mode_t mode) {
  const std::lock_guard lock(mutex_);
  const auto place = watching_ ? Find(at, path) : std::nullopt;
  const bool creates = place.has_value() && place->file < 0 && (flags & O_CREAT) != 0;
  if (place.has_value() && (creates || place->file >= 0) && Fails(creates)) return -1;
  const int descriptor = RealOpen(at, path, flags, mode);
  if (descriptor < 0) return descriptor;
  descriptors_.erase(descriptor);  // it was somebody's who closed it behind our back
  if (!place.has_value()) return descriptor;
  int file = place->file;
  if (creates) {
    file = next_file_++;
    Name(*place, file, /*is_directory=*/false);
  } else if ((flags & O_TRUNC) != 0) {
    changes_.push_back({.kind = Change::Kind::kResize, .file = file});
  }
  descriptors_[descriptor] = {file, false};
  return descriptor;
}

int WatchedDisk::Close(int descriptor) {
  static const auto next = Next<int(int)>("close");
  const std::lock_guard lock(mutex_);
  descriptors_.erase(descriptor);
  return next(descriptor);
}

ssize_t WatchedDisk::Write(int descriptor, const void* bytes, std::size_t size,
                           std::optional<off_t> offset) {
  const std::lock_guard lock(mutex_);
  Descriptor* const known = Known(descriptor);
  if (known == nullptr) return RealWrite(descriptor, bytes, size, offset);
  if (known->fail_next_write || Fails(/*takes_space=*/true)) {
    const bool half = fault_.half_written && !known->fail_next_write && size > 1;
    known->fail_next_write = half;
    errno = fault_.error;
    if (!half) return -1;
    size /= 2;
  }
  std::string garbled;
  if (size > 0 && Garbles()) {
    garbled.assign(static_cast<const char*>(bytes), size);
    garbled[size / 2] ^= 4;
    bytes = garbled.data();
  }
  std::uint64_t begin = 0;
  if (offset.has_value()) {
    begin = static_cast<std::uint64_t>(*offset);
  } else if ((::fcntl(descriptor, F_GETFL) & O_APPEND) != 0) {
    begin = SizeOf(descriptor);
  } else {
    begin = static_cast<std::uint64_t>(::lseek(descriptor, 0, SEEK_CUR));
  }
  const ssize_t written = RealWrite(descriptor, bytes, size, offset);
  if (written > 0) {
    changes_.push_back(
        {.kind = Change::Kind::kWrite,
         .file = known->file,
         .offset = begin,
         .bytes = std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(written))});
  }
  return written;
}

int WatchedDisk::Resize(int descriptor, off_t size) {
  static const auto next = Next<int(int, off_t)>("ftruncate");
  const std::lock_guard lock(mutex_);
  const Descriptor* const known = Known(descriptor);
  if (known != nullptr && Fails(static_cast<std::uint64_t>(size) > SizeOf(descriptor))) return -1;
  const int result = next(descriptor, size);
  if (known != nullptr && result == 0) {
    changes_.push_back({.kind = Change::Kind::kResize,
                        .file = known->file,
                        .offset = static_cast<std::uint64_t>(size)});
  }
  return result;
}

int WatchedDisk::Allocate(int descriptor, int mode, off_t offset, off_t size) {
  static const auto next = Next<int(int, int, off_t, off_t)>("fallocate");
  const std::lock_guard lock(mutex_);
  const Descriptor* const known = Known(descriptor);
  const bool punches = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
  if (known != nullptr && Fails(!punches)) return -1;
  if (mode == FALLOC_FL_KEEP_SIZE) return 0;  // room for a log, tens of megabytes of it
  const std::uint64_t before = SizeOf(descriptor);
  const int result = next(descriptor, mode, offset, size);
  if (known == nullptr || result != 0) return result;
  const auto begin = static_cast<std::uint64_t>(offset);
  const std::uint64_t end = begin + static_cast<std::uint64_t>(size);
  if (punches && begin < before) {
    changes_.push_back({.kind = Change::Kind::kWrite,
                        .file = known->file,
                        .offset = begin,
                        .bytes = std::string(std::min(end, before) - begin, '\0')});
  } else if (SizeOf(descriptor) != before) {
    changes_.push_back({.kind = Change::Kind::kResize, .file = known->file, .offset = end});
  }
  return result;
}

int WatchedDisk::Sync(int descriptor, bool data_only) {
  const std::lock_guard lock(mutex_);
  const Descriptor* const known = Known(descriptor);
  const bool fails = known != nullptr && Fails(/*takes_space=*/true);
  const int result = fails ? -1 : RealSync(descriptor, data_only);
  if (known != nullptr) {
    changes_.push_back({.kind = result == 0 ? Change::Kind::kSync : Change::Kind::kSyncFailed,
                        .file = known->file});
  }
  return result;
}

int WatchedDisk::Rename(const char* from, const char* to) {
  static const auto next = Next<int(const char*, const char*)>("rename");
  const std::lock_guard lock(mutex_);
  const auto source = watching_ ? Find(AT_FDCWD, from) : std::nullopt;
  const auto target = watching_ ? Find(AT_FDCWD, to) : std::nullopt;
  const bool known = source.has_value() && target.has_value() && source->file >= 0;
  if (known && Fails(/*takes_space=*/true)) return -1;
  const int result = next(from, to);
  if (!known || result != 0) return result;
  names_[source->directory].erase(source->name);
  names_[target->directory][target->name] = source->file;
  changes_.push_back({.kind = Change::Kind::kRename,
                      .file = source->file,
                      .directory = source->directory,
                      .to_directory = target->directory,
                      .name = source->name,
                      .to_name = target->name});
  return result;
}

int WatchedDisk::Link(const char* from, const char* to) {
  static const auto next = Next<int(const char*, const char*)>("link");
  const std::lock_guard lock(mutex_);
  const auto source = watching_ ? Find(AT_FDCWD, from) : std::nullopt;
  const auto target = watching_ ? Find(AT_FDCWD, to) : std::nullopt;
  const bool known = source.has_value() && target.has_value() && source->file >= 0;
  if (known && Fails(/*takes_space=*/true)) return -1;
  const int result = next(from, to);
  if (known && result == 0) Name(*target, source->file, /*is_directory=*/false);
  return result;
}

int WatchedDisk::Remove(int at, const char* path, int flags) {
  const std::lock_guard lock(mutex_);
  const auto place = watching_ ? Find(at, path) : std::nullopt;
  const bool known = place.has_value() && place->directory >= 0 && place->file >= 0;
  if (known && Fails(/*takes_space=*/false)) return -1;
  const int result = RealRemove(at, path, flags);
  if (!known || result != 0) return result;
  names_[place->directory].erase(place->name);
  changes_.push_back({.kind = Change::Kind::kUnname,
                      .file = place->file,
                      .directory = place->directory,
                      .name = place->name});
  return result;
}

int WatchedDisk::MakeDirectory(const char* path, mode_t mode) {
  static const auto next = Next<int(const char*, mode_t)>("mkdir");
  const std::lock_guard lock(mutex_);
  const auto place = watching_ ? Find(AT_FDCWD, path) : std::nullopt;
  const bool known = place.has_value() && place->file < 0;
  if (known && Fails(/*takes_space=*/true)) return -1;
  const int result = next(path, mode);
  if (known && result == 0) Name(*place, next_file_++, /*is_directory=*/true);
  return result;
}

void* WatchedDisk::Map(void* address, std::size_t size, int protection, int flags, int descriptor,
                       off_t offset) {
  static const auto next = Next<void*(void*, std::size_t, int, int, int, off_t)>("mmap");
  if (descriptor >= 0) {
    const std::lock_guard lock(mutex_);
    if (Known(descriptor) != nullptr && Fails(/*takes_space=*/false)) return MAP_FAILED;
  }
  return next(address, size, protection, flags, descriptor, offset);
}

}  // namespace engram::power

// Takes the place of the C library's functions, for RocksDB and the C++ library as well.
#undef _FORTIFY_SOURCE  // it would have inline functions of the same names
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/power/watched_disk.h"

using engram::power::WatchedDisk;

namespace {

int OpenAt(int at, const char* path, int flags, va_list more) {
  const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return WatchedDisk::Get().Open(at, path, flags, creates ? va_arg(more, mode_t) : 0);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int descriptor = OpenAt(AT_FDCWD, path, flags, more);
  va_end(more);
  return descriptor;
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int descriptor = OpenAt(AT_FDCWD, path, flags, more);
  va_end(more);
  return descriptor;
}
int openat(int at, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int descriptor = OpenAt(at, path, flags, more);
  va_end(more);
  return descriptor;
}
int openat64(int at, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int descriptor = OpenAt(at, path, flags, more);
  va_end(more);
  return descriptor;
}
int creat(const char* path, mode_t mode) {
  return WatchedDisk::Get().Open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char* path, mode_t mode) { return creat(path, mode); }
int close(int descriptor) { return WatchedDisk::Get().Close(descriptor); }

ssize_t write(int descriptor, const void* bytes, size_t size) {
  return WatchedDisk::Get().Write(descriptor, bytes, size, std::nullopt);
}
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  return WatchedDisk::Get().Write(descriptor, bytes, size, offset);
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  return WatchedDisk::Get().Write(descriptor, bytes, size, offset);
}
ssize_t writev(int descriptor, const iovec* pieces, int count) {
  ssize_t all = 0;
  for (int i = 0; i < count; ++i) {
    const ssize_t written = write(descriptor, pieces[i].iov_base, pieces[i].iov_len);
    if (written < 0) return all > 0 ? all : -1;
    all += written;
    if (static_cast<size_t>(written) < pieces[i].iov_len) break;
  }
  return all;
}

int ftruncate(int descriptor, off_t size) noexcept {
  return WatchedDisk::Get().Resize(descriptor, size);
}
int ftruncate64(int descriptor, off64_t size) noexcept {
  return WatchedDisk::Get().Resize(descriptor, size);
}
int truncate(const char* path, off_t size) noexcept {
  const int descriptor = open(path, O_WRONLY);
  if (descriptor < 0) return -1;
  const int result = ftruncate(descriptor, size);
  close(descriptor);
  return result;
}
int truncate64(const char* path, off64_t size) noexcept { return truncate(path, size); }
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  return WatchedDisk::Get().Allocate(descriptor, mode, offset, size);
}
int fallocate64(int descriptor, int mode, off64_t offset, off64_t size) {
  return WatchedDisk::Get().Allocate(descriptor, mode, offset, size);
}

// RocksDB waits a second after each failure in the background.
int usleep(useconds_t) { return sched_yield(); }

int fsync(int descriptor) { return WatchedDisk::Get().Sync(descriptor, /*data_only=*/false); }
int fdatasync(int descriptor) { return WatchedDisk::Get().Sync(descriptor, /*data_only=*/true); }

int rename(const char* from, const char* to) noexcept {
  return WatchedDisk::Get().Rename(from, to);
}
int link(const char* from, const char* to) noexcept { return WatchedDisk::Get().Link(from, to); }
int unlink(const char* path) noexcept { return WatchedDisk::Get().Remove(AT_FDCWD, path, 0); }
int unlinkat(int at, const char* path, int flags) noexcept {
  return WatchedDisk::Get().Remove(at, path, flags);
}
int rmdir(const char* path) noexcept {
  return WatchedDisk::Get().Remove(AT_FDCWD, path, AT_REMOVEDIR);
}
int remove(const char* path) noexcept {
  struct stat status {};
  const bool directory = ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  return WatchedDisk::Get().Remove(AT_FDCWD, path, directory ? AT_REMOVEDIR : 0);
}
int mkdir(const char* path, mode_t mode) noexcept {
  return WatchedDisk::Get().MakeDirectory(path, mode);
}

void* mmap(void* address, size_t size, int protection, int flags, int descriptor,
           off_t offset) noexcept {
  return WatchedDisk::Get().Map(address, size, protection, flags, descriptor, offset);
}
void* mmap64(void* address, size_t size, int protection, int flags, int descriptor,
             off64_t offset) noexcept {
  return WatchedDisk::Get().Map(address, size, protection, flags, descriptor, offset);
}

}  // extern "C"

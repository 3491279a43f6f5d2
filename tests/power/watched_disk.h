// Stands between this program and the C library for every call that changes files below one
// directory: it writes down what was changed and what was synced, and makes the n-th call fail.
// RocksDB and the C++ library are linked dynamically, so their calls come here too.
#ifndef ENGRAM_TESTS_POWER_WATCHED_DISK_H_
#define ENGRAM_TESTS_POWER_WATCHED_DISK_H_

#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace engram::power {

// Files and directories are numbered as they come; 0 is the watched directory.
struct Change {
  enum class Kind : std::uint8_t {
    kName,        // `file` is called `name` in `directory` (created, or linked)
    kUnname,      // `name` in `directory` is gone
    kRename,      // `file` moves from `name` in `directory` to `to_name` in `to_directory`
    kWrite,       // `bytes` at `offset`
    kResize,      // to `offset` bytes
    kSync,        // of a file its bytes, of a directory its names
    kSyncFailed,  // what was not synced may be lost for ever
  };
  Kind kind;
  int file = 0;
  int directory = 0, to_directory = 0;
  std::string name = {}, to_name = {};
  std::uint64_t offset = 0;
  std::string bytes = {};
  bool is_directory = false;  // of kName
};

// Which call fails, of those that are counted while this is armed.
struct Fault {
  std::uint64_t at = 0;  // from 1
  int error = EIO;
  bool stays = false;         // all after it fail as well
  bool space_only = false;    // counts only calls that a full disk refuses
  bool half_written = false;  // a write that fails has written half before
  bool garbled = false;       // counts only writes; the n-th has one bit wrong, and says nothing
};

// Thread-safe: calls come from the threads of RocksDB too, and are carried out one by one.
class WatchedDisk {
 public:
  // As interposed calls see it: one for the program.
  static WatchedDisk& Get();

  // Watches `root`, which exists. What is there counts as synced, and is the beginning of the
  // record: the first initial() changes. Precondition: nothing is being watched.
  void Begin(const std::string& root);
  // No file below the root may be open for writing.
  void End();

  // The record. Precondition: nobody writes meanwhile.
  const std::deque<Change>& changes() const { return changes_; }
  std::size_t initial() const { return initial_; }
  std::size_t size();

  void Arm(const Fault& fault);
  // Returns: how many calls failed.
  std::uint64_t Disarm();
  // Returns: how many calls were counted since Arm().
  std::uint64_t counted();

  // The calls. Each answers as the C library does.
  int Open(int at, const char* path, int flags, mode_t mode);
  int Close(int descriptor);
  // At `offset`; without one, where the descriptor stands.
  ssize_t Write(int descriptor, const void* bytes, std::size_t size, std::optional<off_t> offset);
  int Resize(int descriptor, off_t size);
  int Allocate(int descriptor, int mode, off_t offset, off_t size);
  int Sync(int descriptor, bool data_only);
  int Rename(const char* from, const char* to);
  int Link(const char* from, const char* to);
  int Remove(int at, const char* path, int flags);
  int MakeDirectory(const char* path, mode_t mode);
  void* Map(void* address, std::size_t size, int protection, int flags, int descriptor,
            off_t offset);

 private:
  struct Place {
    int directory;     // -1: it is the root
    std::string name;  // in the directory
    int file;          // -1: there is none
  };
  struct Descriptor {
    int file;
    bool fail_next_write;
  };

  // Returns: where `path` leads, if it is below the root.
  std::optional<Place> Find(int at, const char* path) const;
  void Load(const std::string& path, int directory);
  void Name(const Place& place, int file, bool is_directory);
  // Counts a call. Returns: whether it is to fail; errno is set then.
  bool Fails(bool takes_space);
  // Counts a write. Returns: whether it is to be garbled.
  bool Garbles();
  Descriptor* Known(int descriptor);

  std::mutex mutex_;
  bool watching_ = false;
  std::string root_;
  int next_file_ = 1;
  std::map<int, std::map<std::string, int>> names_;  // by directory
  std::map<int, Descriptor> descriptors_;
  std::deque<Change> changes_;
  std::size_t initial_ = 0;
  Fault fault_;
  std::uint64_t counted_ = 0, failed_ = 0;
};

}  // namespace engram::power

#endif  // ENGRAM_TESTS_POWER_WATCHED_DISK_H_

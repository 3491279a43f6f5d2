// What a disk holds after power loss, by the record of what was changed and what was synced.
//
// The rules. The bytes of a file that were there when it was synced stay. Of later writes each
// page is kept as of any moment, in any order, whatever became of other pages; so is each change
// of size. A name stays, or stays away, when the directory it is in has been synced since; other
// changes of names may be kept or not, each by itself (Names::kByDirectory). On file systems with
// a journal of names any sync keeps all changes of names before it (Names::kByJournal). A rename
// is all or nothing. After a failed sync, what was to be synced is lost.
//
// RocksDB's manifest grows only by bytes that were written, in order, unless asked otherwise: where
// its unsynced end is zero or garbage RocksDB refuses all of it (docs/durability.md).
#ifndef ENGRAM_TESTS_POWER_DISK_IMAGE_H_
#define ENGRAM_TESTS_POWER_DISK_IMAGE_H_

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/power/watched_disk.h"

namespace engram::power {

enum class Names : std::uint8_t { kByDirectory, kByJournal };

// Of what was not synced.
enum class Loss : std::uint8_t {
  kAll,   // nothing is kept
  kNone,  // everything is
  kSome,  // a random part is, out of order
  kTorn,  // all but the end of the last write: it is missing, zero or garbage
};

class DiskImage {
 public:
  // The first `initial` changes count as synced.
  DiskImage(Names names, std::size_t initial) : by_(names), initial_(initial) {
    files_[0].is_directory = true;
  }

  // Takes the next change of the record, which must outlive this.
  void Apply(const Change& change);

  // Makes the directory `path`, which must not exist.
  void Build(const std::string& path, Loss loss, std::mt19937& random) const;

  // The manifest may have an end that is zero or garbage as well.
  void GarbleManifests() { garbles_manifests_ = true; }

  // Syncs claim to have been done, and were not.
  void IgnoreSyncs() { ignores_syncs_ = true; }

  bool has_unsynced() const { return !names_.empty() || unsynced_writes_ > 0; }

 private:
  struct File {
    bool is_directory = false;
    bool is_manifest = false;
    std::string synced = {};
    std::map<std::string, int> names = {};     // those that are synced, of a directory
    std::vector<const Change*> unsynced = {};  // writes and changes of size, in order
  };
  using Directories = std::map<int, std::map<std::string, int>>;

  void Sync(int file);
  void SyncNames(int directory);  // -1: of all
  static void ApplyName(const Change& change, Directories& directories);
  static void ApplyBytes(const Change& change, std::string& bytes);
  static void ApplySome(const std::vector<const Change*>& changes, std::mt19937& random,
                        std::string& bytes);
  static void ApplyBegin(const std::vector<const Change*>& changes, std::mt19937& random,
                         std::string& bytes);
  static void ApplyTorn(const Change& change, bool may_garble, std::mt19937& random,
                        std::string& bytes);
  std::string BytesOf(const File& file, Loss loss, std::mt19937& random) const;
  void Write(const std::string& path, int directory, const Directories& directories, Loss loss,
             std::mt19937& random) const;

  const Names by_;
  bool garbles_manifests_ = false;
  bool ignores_syncs_ = false;
  const std::size_t initial_;
  std::size_t applied_ = 0;
  std::map<int, File> files_;
  std::vector<const Change*> names_;    // changes of names that are not synced
  const Change* last_write_ = nullptr;  // unsynced or not
  std::size_t unsynced_writes_ = 0;
};

// Returns: whether both directories hold the same files with the same bytes; `*difference`
// names one that is not.
bool SameFiles(const std::string& a, const std::string& b, std::string* difference);

}  // namespace engram::power

#endif  // ENGRAM_TESTS_POWER_DISK_IMAGE_H_

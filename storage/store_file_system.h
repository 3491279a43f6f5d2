// Where RocksDB's own ways with files would cost a store or its readers.
//
// What RocksDB has no use for any more is deleted when no reader is just opening the store
// (reader_gate.h), or has waited long enough. When it could not sync the manifest after an
// ingestion, RocksDB removes its links to the files, though what it had written there may be on
// the disk and name them: such files stay. And it reads logs and manifests as log_types.h says.
#ifndef ENGRAM_STORAGE_STORE_FILE_SYSTEM_H_
#define ENGRAM_STORAGE_STORE_FILE_SYSTEM_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "storage/reader_gate.h"

namespace engram::storage {

// Of one database: a name that waits is never another file's, since RocksDB gives each number once
// and begins, at an open, above those of the files that are there.
// Thread-safe.
class StoreFileSystem : public rocksdb::FileSystemWrapper {
 public:
  using Clock = std::chrono::steady_clock;
  // How long what a reader may need is kept for it, whoever that is.
  static constexpr std::chrono::seconds kPatience{10};

  // `gate` outlives it; null: for a database that is only read.
  explicit StoreFileSystem(ReaderGate* gate, Clock::duration patience = kPatience)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), gate_(gate), patience_(patience) {}

  const char* Name() const override { return "engram.StoreFileSystem"; }
  // OK where the file waits: RocksDB has done with it.
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override ABSL_LOCKS_EXCLUDED(mutex_);
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override;

  // To be told of what else has to stay for a reader.
  void Defer() ABSL_LOCKS_EXCLUDED(mutex_);
  // Deletes what waits and may go. Returns: whether files wait still.
  bool DeleteDeferred() ABSL_LOCKS_EXCLUDED(mutex_);
  // `deferred` is called, by any thread, when something has to wait, and now if a file does; null
  // ends that: no call is under way then. It must not come back here.
  void OnDeferred(std::function<void()> deferred) ABSL_LOCKS_EXCLUDED(mutex_);

  // While it lives nothing goes: for who lists files and comes for them later.
  class Hold {
   public:
    explicit Hold(StoreFileSystem& files);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    StoreFileSystem& files_;
  };

 private:
  ReaderGate* const gate_;
  const Clock::duration patience_;
  absl::Mutex mutex_;
  int holds_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Clock::time_point> waiting_ ABSL_GUARDED_BY(mutex_);  // since when
  std::function<void()> deferred_ ABSL_GUARDED_BY(mutex_);
};

// Returns: the environment of databases that are only read. It lives as long as the process.
rocksdb::Env* ReadersEnv();

// The one way table files become part of the database, such that no failure on the way leaves a
// manifest that names a file which is not there: RocksDB could not open that any more. As
// DB::IngestExternalFiles, of a database with a StoreFileSystem. Where it fails, table files may
// stay that nothing may come to name; the next open removes those.
rocksdb::Status IngestFiles(rocksdb::DB& db,
                            const std::vector<rocksdb::IngestExternalFileArg>& families);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_STORE_FILE_SYSTEM_H_

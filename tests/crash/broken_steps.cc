#include "tests/crash/broken_steps.h"

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "rocksdb/db.h"
#include "rocksdb/utilities/stackable_db.h"
#include "rocksdb/write_batch.h"
#include "storage/format/key_format.h"

namespace engram::crash {
namespace {

using Handles = std::vector<rocksdb::ColumnFamilyHandle*>;

constexpr std::uint32_t kLargeBatch = 50;  // entries

Death death;
std::atomic<std::uint64_t> calls{0};

[[noreturn]] void Die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

// Returns: whether this is the call to die at, or a later one.
bool IsDue() { return death.at > 0 && ++calls >= death.at; }

bool IsWhole(const Death::Order order) {
  return order == Death::Order::kRight || order == Death::Order::kLogLate;
}

// Where each entry of a batch ends among its bytes.
class Ends : public rocksdb::WriteBatch::Handler {
 public:
  explicit Ends(const std::string& bytes) : begin_(bytes.data()) {}
  rocksdb::Status PutCF(std::uint32_t, const rocksdb::Slice&,
                        const rocksdb::Slice& value) override {
    return Note(value);
  }
  rocksdb::Status DeleteCF(std::uint32_t, const rocksdb::Slice& key) override { return Note(key); }
  rocksdb::Status DeleteRangeCF(std::uint32_t, const rocksdb::Slice&,
                                const rocksdb::Slice& end) override {
    return Note(end);
  }
  rocksdb::Status MergeCF(std::uint32_t, const rocksdb::Slice&,
                          const rocksdb::Slice& value) override {
    return Note(value);
  }
  const std::vector<std::size_t>& ends() const { return ends_; }

 private:
  rocksdb::Status Note(const rocksdb::Slice& last) {
    ends_.push_back(static_cast<std::size_t>(last.data() + last.size() - begin_));
    return {};
  }
  const char* const begin_;
  std::vector<std::size_t> ends_;
};

// The first half of the entries of `batch`.
rocksdb::WriteBatch HalfOf(const rocksdb::WriteBatch& batch) {
  constexpr std::size_t kCountAt = 8;  // sequence:u64 count:u32, and then the entries
  std::string bytes = batch.Data();
  Ends ends(batch.Data());
  batch.Iterate(&ends).PermitUncheckedError();
  const auto count = static_cast<std::uint32_t>(ends.ends().size() / 2);
  if (count == 0) return rocksdb::WriteBatch();
  bytes.resize(ends.ends()[count - 1]);
  std::memcpy(bytes.data() + kCountAt, &count, sizeof count);
  return rocksdb::WriteBatch(bytes);
}

class Steps : public rocksdb::StackableDB {
 public:
  Steps(rocksdb::DB* db, const Handles& handles) : StackableDB(db), handles_(handles) {}

  using StackableDB::Flush;
  using StackableDB::Write;
  rocksdb::Status Write(const rocksdb::WriteOptions& options, rocksdb::WriteBatch* batch) override {
    if (IsDue()) {
      if (IsWhole(death.order)) Die();
      if (death.order == Death::Order::kHalfBatch && batch->Count() > kLargeBatch) {
        rocksdb::WriteBatch half = HalfOf(*batch);
        StackableDB::Write(options, &half).PermitUncheckedError();
        StackableDB::FlushWAL(/*sync=*/false).PermitUncheckedError();
        Die();
      }
    }
    if (death.order != Death::Order::kLogLate) return StackableDB::Write(options, batch);
    rocksdb::WriteOptions late = options;
    late.sync = false;
    return StackableDB::Write(late, batch);
  }
  rocksdb::Status FlushWAL(bool sync) override {
    if (IsDue() && IsWhole(death.order)) Die();
    return death.order == Death::Order::kLogLate ? rocksdb::Status() : StackableDB::FlushWAL(sync);
  }
  rocksdb::Status Flush(const rocksdb::FlushOptions& options, const Handles& families) override {
    if (IsDue() && IsWhole(death.order)) Die();
    return StackableDB::Flush(options, families);
  }
  using StackableDB::IngestExternalFiles;
  rocksdb::Status IngestExternalFiles(
      const std::vector<rocksdb::IngestExternalFileArg>& families) override {
    const bool due = IsDue();
    if (due && death.order == Death::Order::kTailFirst && IsSeal(families)) {
      StackableDB::DeleteRange({}, HandleOf(storage::Family::kTail), storage::RowKey(0),
                               storage::RowKey(~std::uint64_t{0}))
          .PermitUncheckedError();
      StackableDB::FlushWAL(/*sync=*/false).PermitUncheckedError();
      Die();
    }
    if (due && IsWhole(death.order)) Die();
    return StackableDB::IngestExternalFiles(families);
  }

 private:
  static bool IsSeal(const std::vector<rocksdb::IngestExternalFileArg>& families) {
    return families.size() == 1 &&
           families[0].column_family->GetName() == storage::FamilyName(storage::Family::kBlocks);
  }
  rocksdb::ColumnFamilyHandle* HandleOf(storage::Family family) const {
    return handles_[static_cast<std::size_t>(family)];
  }

  const Handles handles_;
};

}  // namespace

void SetDeath(const Death& how) { death = how; }

Death::Order OrderNamed(const std::string& name) {
  if (name == "log-late") return Death::Order::kLogLate;
  if (name == "half-batch") return Death::Order::kHalfBatch;
  return name == "tail-first" ? Death::Order::kTailFirst : Death::Order::kRight;
}

}  // namespace engram::crash

// Takes the place of RocksDB's own for the library, which is linked into this program.
rocksdb::Status rocksdb::DB::Open(const DBOptions& options, const std::string& path,
                                  const std::vector<ColumnFamilyDescriptor>& families,
                                  std::vector<ColumnFamilyHandle*>* handles, DB** db) {
  using Function =
      Status(const DBOptions&, const std::string&, const std::vector<ColumnFamilyDescriptor>&,
             std::vector<ColumnFamilyHandle*>*, DB**);
  static auto* const next = reinterpret_cast<Function*>(::dlsym(
      RTLD_NEXT,
      "_ZN7rocksdb2DB4OpenERKNS_9DBOptionsERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
      "RKSt6vectorINS_22ColumnFamilyDescriptorESaISD_EEPSC_IPNS_18ColumnFamilyHandleESaISJ_"
      "EEPPS0_"));
  if (next == nullptr) return Status::NotSupported("RocksDB has no DB::Open of this name");
  Status status = next(options, path, families, handles, db);
  if (status.ok()) *db = new engram::crash::Steps(*db, *handles);
  return status;
}

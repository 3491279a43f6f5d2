// Backing up a store that goes on being used: backup STORE BACKUP.
#include <cstdio>

#include "engram/engram.h"

namespace {

bool Failed(const absl::Status& status) {
  if (status.ok()) return false;
  std::fprintf(stderr, "backup: %s\n", status.ToString().c_str());
  return true;
}

// Prints the payload of memory 1, or why there is none.
void Show(const char* where, const engram::Store& store) {
  const auto record = store.Get({}, 1);
  std::printf("%-8s %s\n", where, record.ok() ? record->payload.c_str() : "memory 1 is gone");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: backup STORE BACKUP\n"), 2;
  engram::StoreOptions options;
  options.dimension = 2;
  options.create_if_missing = true;
  auto store = engram::Store::Open(options, argv[1]);
  if (Failed(store.status())) return 1;
  const float vector[] = {0.6f, 0.8f};
  if (Failed((*store)->Put({}, 1, vector, "as it was"))) return 1;

  // The backup is a store of its own, as of one moment; files that do not change any
  // more are linked, not copied, when both lie on one file system.
  if (Failed((*store)->Backup({}, argv[2]))) return 1;
  if (Failed((*store)->Delete({}, 1))) return 1;
  Show("store", **store);

  engram::StoreOptions read_only;
  read_only.read_only = true;
  auto backup = engram::Store::Open(read_only, argv[2]);
  if (Failed(backup.status())) return 1;
  Show("backup", **backup);
  // A backup that was never checked is a hope.
  const auto report = (*backup)->Verify({});
  if (Failed(report.status())) return 1;
  std::printf("checked  %llu memories, %zu findings\n",
              static_cast<unsigned long long>(report->memories), report->findings.size());
  return 0;
}

// The public entry points that belong to no object.
#include "engram/store.h"

#include "engine/store_engine.h"

namespace engram {

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const StoreOptions& options,
                                                   const std::string& path) {
  return engine::StoreEngine::Open(options, path);
}

absl::Status Store::Destroy(const std::string& path) { return storage::StoreFiles::Destroy(path); }

absl::StatusOr<RepairReport> Store::Repair(const RepairOptions& options, const std::string& damaged,
                                           const std::string& into) {
  return engine::Repair(options, damaged, into);
}

}  // namespace engram

// Status plumbing for the storage layer: the two early-return macros, and the
// one translation of what RocksDB reports.
#ifndef ENGRAM_STORAGE_BASE_STATUS_H_
#define ENGRAM_STORAGE_BASE_STATUS_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define ENGRAM_RETURN_IF_ERROR(expression)                                  \
  do {                                                                      \
    if (::absl::Status engram_status = (expression); !engram_status.ok()) { \
      return engram_status;                                                 \
    }                                                                       \
  } while (false)

#define ENGRAM_CONCAT_INNER(a, b) a##b
#define ENGRAM_CONCAT(a, b) ENGRAM_CONCAT_INNER(a, b)
#define ENGRAM_ASSIGN_OR_RETURN(declaration, expression) \
  ENGRAM_ASSIGN_OR_RETURN_IMPL(ENGRAM_CONCAT(engram_status_or_, __LINE__), declaration, expression)
#define ENGRAM_ASSIGN_OR_RETURN_IMPL(temporary, declaration, expression) \
  auto temporary = (expression);                                         \
  if (!temporary.ok()) return std::move(temporary).status();             \
  declaration = *std::move(temporary)

namespace rocksdb {
class Status;
}  // namespace rocksdb

namespace engram::storage {

// Returns: OK for an ok `status`, else the absl code that store.h promises for
// it, with the message "<doing>: <what RocksDB says>".
absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing);

// Returns: `status` with "<context>: " before its message, or OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_STATUS_H_

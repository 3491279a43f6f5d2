// Whether the columns of a store's table files lie where RocksDB will look for them. Their
// checksums would be of whole payloads, which an open does not read; and what RocksDB reads without
// comparing checksums it believes, up to reading beyond, and to ending the process.
#ifndef ENGRAM_STORAGE_TABLE_CHECK_H_
#define ENGRAM_STORAGE_TABLE_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/database.h"
#include "storage/format/key_format.h"

namespace engram::storage {

// Reads of each table file of `family`, a family of block columns, what stands around the columns:
// some 40 bytes each. Errors: kDataLoss naming the file, where in it, and what is wrong;
// kUnavailable when a file has gone since `database` was opened, which happens beside a writer.
absl::Status CheckTables(const Database& database, Family family);

// Reads all of the table file at `path`, of any family, and compares every checksum. Errors: as
// CheckTables.
absl::Status CheckWholeTable(const std::string& path, Family family);

// As CheckWholeTable, of all table files of `family`. Those that a writer in another process has
// taken away meanwhile are passed over. Returns: what is wrong, of each file that is not whole.
std::vector<absl::Status> CheckAllTables(const Database& database, Family family);

// Of `read_back`, what reading again found of files that were just written and that nothing goes
// by yet: the store is whole, and only what was to come is not. Returns: kInternal, or OK.
absl::Status NotWritten(const absl::Status& read_back);

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_TABLE_CHECK_H_

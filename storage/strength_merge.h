// How RocksDB adds reinforcements up: without one of them ever reading what was
// there, so that a memory in constant use costs a write and no more.
#ifndef ENGRAM_STORAGE_STRENGTH_MERGE_H_
#define ENGRAM_STORAGE_STRENGTH_MERGE_H_

#include <memory>

#include "rocksdb/merge_operator.h"

namespace engram::storage {

// For the family of records; only strengths are ever merged. A value or operand that
// is no strength makes the merge fail, which readers see as damage.
std::shared_ptr<rocksdb::MergeOperator> NewStrengthMerge();

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_STRENGTH_MERGE_H_

#include "storage/strength_merge.h"

#include <string>

#include "storage/format/record_format.h"

namespace engram::storage {
namespace {

class StrengthMerge : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& operand,
             std::string* merged, rocksdb::Logger*) const override {
    const auto added = DecodeStrength(operand.ToStringView());
    if (!added.ok()) return false;
    StrengthRecord sum = *added;
    if (existing != nullptr) {
      const auto before = DecodeStrength(existing->ToStringView());
      if (!before.ok()) return false;
      sum = AddStrengths(*before, *added);
    }
    *merged = EncodeStrength(sum);
    return true;
  }
  const char* Name() const override { return "engram.Strength"; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> NewStrengthMerge() {
  return std::make_shared<StrengthMerge>();
}

}  // namespace engram::storage

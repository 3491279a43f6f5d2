#include "storage/verify_codes.h"

#include "absl/strings/str_format.h"
#include "storage/base/hash.h"
#include "storage/rotation.h"

namespace engram::storage {
namespace {

absl::Status Wrong(const MappedBlock& block, ColumnKind column, std::string_view why) {
  return absl::DataLossError(absl::StrFormat("block at row %d (%d rows): column %s: %s",
                                             block.extent().first_row, block.extent().rows,
                                             ColumnName(column), why));
}

}  // namespace

absl::Status CodesVerifier::Check(const MappedBlock& block) {
  const RowSlice& rows = block.slice();
  if (rows.codes == nullptr) return absl::OkStatus();
  if (rows.rotation != nullptr) {
    const Fault fault = FaultOf(*rows.rotation);
    if (fault == Fault::kDamaged) return absl::OkStatus();
    if (fault == Fault::kLengthens) {
      return Wrong(block, ColumnKind::kRotation, "it makes vectors longer");
    }
  }
  const CodePayloads made =
      EncodeCodes(dimension_, rows.codes->normalised, rows.embeddings, rows.count, rows.rotation);
  for (const BlockColumn& column : block.columns()) {
    const ColumnKind kind = column.header.column;
    if ((kind == ColumnKind::kCode && column.payload != made.codes) ||
        (kind == ColumnKind::kFineCode && column.payload != made.fine)) {
      return Wrong(block, kind, "it is not what the embeddings give");
    }
  }
  return absl::OkStatus();
}

CodesVerifier::Fault CodesVerifier::FaultOf(const RotationView& rotation) {
  const auto known = rotations_.find(rotation.hash);
  if (known != rotations_.end()) return known->second;
  const std::size_t bytes = std::size_t{rotation.code_dimensions} * dimension_ * sizeof(float);
  Fault fault = Fault::kNone;
  if (Hash64({reinterpret_cast<const char*>(rotation.rows), bytes}) != rotation.hash) {
    fault = Fault::kDamaged;
  } else if (!LengthensNothing(rotation, dimension_)) {
    fault = Fault::kLengthens;
  }
  rotations_.emplace(rotation.hash, fault);
  return fault;
}

}  // namespace engram::storage

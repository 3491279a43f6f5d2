#include "cli/readers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// Those of matrices have some 120 bytes; and std::regex needs stack for each byte.
constexpr std::size_t kMaxNpyHeader = 4096;

absl::Status Bad(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(NameOf(path) + ": " + what);
}

// IEEE 754 binary16 to binary32, exactly.
float FromHalf(std::uint16_t half) {
  const bool negative = (half >> 15) != 0;
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  float value = 0.0f;
  if (exponent == 31) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    value = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return negative ? -value : value;
}

struct Npy {
  std::string type;  // "<f4"
  std::vector<std::uint64_t> shape;
  std::size_t data = 0;  // where it begins
};

absl::StatusOr<Npy> ReadNpyHeader(InputFile& file) {
  const std::string& path = file.path();
  std::string bytes(12 + kMaxNpyHeader, '\0');
  ENGRAM_ASSIGN_OR_RETURN(const std::size_t got, file.Read(bytes.data(), bytes.size()));
  bytes.resize(got);
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    return Bad(path, "it is no .npy file: it does not begin with \\x93NUMPY");
  }
  const auto byte = [&bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const std::size_t head = byte(6) == 1 ? 10 : 12;
  if (byte(6) < 1 || byte(6) > 3 || bytes.size() < head) {
    return Bad(path, absl::StrFormat(".npy version %d; 1 to 3 are known", byte(6)));
  }
  std::size_t length = byte(8) + 256u * byte(9);
  if (head == 12) length += 65536u * byte(10) + 16777216u * byte(11);
  if (length > bytes.size() - head || length > kMaxNpyHeader) {
    return Bad(path, absl::StrFormat("its header of %d bytes is cut off or absurd", length));
  }
  const std::string header = bytes.substr(head, length);
  std::smatch type, order, shape;
  if (!std::regex_search(header, type, std::regex("'descr': *'([^']*)'")) ||
      !std::regex_search(header, order, std::regex("'fortran_order': *(True|False)")) ||
      !std::regex_search(header, shape, std::regex("'shape': *\\(([0-9, ]*)\\)"))) {
    return Bad(path, "its .npy header names no descr, fortran_order and shape");
  }
  if (order[1] == "True") return Bad(path, "it is in Fortran order; C order is needed");
  Npy npy{.type = type[1], .shape = {}, .data = head + length};
  const std::string sizes = shape[1];
  const std::regex number("[0-9]+");
  for (std::sregex_iterator it(sizes.begin(), sizes.end(), number), end; it != end; ++it) {
    std::uint64_t size = 0;
    if (!absl::SimpleAtoi(it->str(), &size)) return Bad(path, "its shape is absurd");
    npy.shape.push_back(size);
  }
  return npy;
}

absl::Status CheckNpyBytes(const InputFile& file, const Npy& npy, std::uint64_t row_bytes) {
  const std::uint64_t there = file.size() - std::min<std::uint64_t>(npy.data, file.size());
  const std::uint64_t rows = npy.shape[0];
  if (row_bytes != 0 && rows == there / row_bytes && there % row_bytes == 0) {
    return absl::OkStatus();
  }
  return Bad(file.path(),
             absl::StrFormat("its header tells of %d rows of %d bytes, and %d bytes follow", rows,
                             row_bytes, there));
}

}  // namespace

absl::StatusOr<std::string> FormatOf(const std::string& path, const std::string& format) {
  const std::size_t dot = path.rfind('.');
  const std::string name = !format.empty()            ? format
                           : dot == std::string::npos ? ""
                                                      : absl::AsciiStrToLower(path.substr(dot + 1));
  if (name == "npy" || name == "fvecs" || name == "f16" || name == "jsonl") return name;
  return Bad(path, absl::StrFormat("\"%s\" is no known format; npy, fvecs, f16 and jsonl are, by "
                                   "extension or by --format",
                                   name));
}

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  std::vector<std::string> lines;
  std::string line;
  for (;;) {
    ENGRAM_ASSIGN_OR_RETURN(const bool more, file.ReadLine(&line));
    if (!more) return lines;
    lines.push_back(line);
  }
}

absl::StatusOr<VectorReader> VectorReader::Open(const std::string& path, const std::string& format,
                                                std::size_t dimension) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string name, FormatOf(path, format));
  if (name == "jsonl") return Bad(path, "JSON lines are no matrix of vectors");
  ENGRAM_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  VectorReader reader(std::move(file));
  reader.values_.resize(dimension);
  if (name == "npy") {
    ENGRAM_RETURN_IF_ERROR(reader.OpenNpy(dimension));
  } else if (name == "f16") {
    ENGRAM_RETURN_IF_ERROR(reader.OpenF16(dimension));
  } else {
    reader.kind_ = Kind::kFvecs;
    reader.bytes_.resize(4 + 4 * dimension);
    // The last one may be cut off, which is said when it is read.
    reader.rows_ = (reader.file_.size() + reader.bytes_.size() - 1) / reader.bytes_.size();
  }
  ENGRAM_RETURN_IF_ERROR(reader.Rewind());
  return reader;
}

absl::Status VectorReader::OpenNpy(std::size_t dimension) {
  ENGRAM_ASSIGN_OR_RETURN(const Npy npy, ReadNpyHeader(file_));
  const bool half = npy.type == "<f2";
  if (!half && npy.type != "<f4") {
    return Bad(file_.path(), absl::StrFormat("its type is %s; <f4 or <f2 is needed", npy.type));
  }
  if (npy.shape.size() != 2 || npy.shape[1] != dimension) {
    return Bad(
        file_.path(),
        absl::StrFormat("its shape has %d axes and rows of %d; 2 axes and rows of %d "
                        "are needed",
                        npy.shape.size(), npy.shape.empty() ? 0 : npy.shape.back(), dimension));
  }
  kind_ = half ? Kind::kHalves : Kind::kFloats;
  bytes_.resize(dimension * (half ? 2 : 4));
  begin_ = npy.data;
  rows_ = npy.shape[0];
  return CheckNpyBytes(file_, npy, bytes_.size());
}

absl::Status VectorReader::OpenF16(std::size_t dimension) {
  kind_ = Kind::kHalves;
  bytes_.resize(2 * dimension);
  rows_ = file_.size() / bytes_.size();
  if (file_.size() % bytes_.size() == 0) return absl::OkStatus();
  return Bad(file_.path(), absl::StrFormat("%d bytes are no whole number of rows of %d half floats",
                                           file_.size(), dimension));
}

absl::Status VectorReader::CheckFvecsRow(std::size_t got) const {
  std::int32_t given = 0;
  if (got >= 4) std::memcpy(&given, bytes_.data(), 4);
  if (given < 0 || static_cast<std::size_t>(given) != values_.size()) {
    return Bad(file_.path(), absl::StrFormat("row %d has dimension %d, and the store's is %d",
                                             next_, given, values_.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<absl::Span<const float>>> VectorReader::Next() {
  if (next_ == rows_) return std::nullopt;
  ENGRAM_ASSIGN_OR_RETURN(const std::size_t got, file_.Read(bytes_.data(), bytes_.size()));
  if (kind_ == Kind::kFvecs) ENGRAM_RETURN_IF_ERROR(CheckFvecsRow(got));
  if (got < bytes_.size()) {
    return Bad(file_.path(),
               absl::StrFormat("row %d is cut off: %d of %d bytes", next_, got, bytes_.size()));
  }
  ++next_;
  if (kind_ == Kind::kHalves) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, bytes_.data() + 2 * i, 2);
      values_[i] = FromHalf(half);
    }
  } else {
    const std::size_t head = bytes_.size() - 4 * values_.size();
    std::memcpy(values_.data(), bytes_.data() + head, 4 * values_.size());
  }
  return absl::MakeConstSpan(values_);
}

absl::Status VectorReader::Rewind() {
  next_ = 0;
  return file_.Seek(begin_);
}

absl::StatusOr<Matrix> ReadVectors(const std::string& path, const std::string& format,
                                   std::size_t dimension) {
  ENGRAM_ASSIGN_OR_RETURN(VectorReader reader, VectorReader::Open(path, format, dimension));
  Matrix matrix{.values = {}, .rows = 0, .dimension = dimension};
  matrix.values.reserve(reader.rows() * dimension);
  for (;; ++matrix.rows) {
    ENGRAM_ASSIGN_OR_RETURN(const auto row, reader.Next());
    if (!row.has_value()) return matrix;
    matrix.values.insert(matrix.values.end(), row->begin(), row->end());
  }
}

absl::StatusOr<IdReader> IdReader::Open(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  IdReader reader(std::move(file));
  ENGRAM_ASSIGN_OR_RETURN(const Npy npy, ReadNpyHeader(reader.file_));
  if ((npy.type != "<u8" && npy.type != "<i8") || npy.shape.size() != 1) {
    return Bad(path, absl::StrFormat("its type is %s with %d axes; one axis of <u8 or <i8 is "
                                     "needed",
                                     npy.type, npy.shape.size()));
  }
  ENGRAM_RETURN_IF_ERROR(CheckNpyBytes(reader.file_, npy, sizeof(std::uint64_t)));
  reader.begin_ = npy.data;
  reader.rows_ = npy.shape[0];
  reader.has_sign_ = npy.type == "<i8";
  ENGRAM_RETURN_IF_ERROR(reader.Rewind());
  return reader;
}

absl::StatusOr<std::uint64_t> IdReader::Next() {
  std::uint64_t id = 0;
  ENGRAM_ASSIGN_OR_RETURN(const std::size_t got, file_.Read(&id, sizeof(id)));
  if (got < sizeof(id)) return Bad(file_.path(), absl::StrFormat("id %d is cut off", next_));
  if (has_sign_ && id >> 63 != 0) {
    return Bad(file_.path(), absl::StrFormat("the id at position %d is %d; none may be negative",
                                             next_, static_cast<std::int64_t>(id)));
  }
  ++next_;
  return id;
}

absl::Status IdReader::Rewind() {
  next_ = 0;
  return file_.Seek(begin_);
}

}  // namespace engram::cli

#include "cli/readers.h"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

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

absl::StatusOr<Matrix> ReadF16(const std::string& path, const std::string& bytes,
                               std::size_t dimension) {
  if (bytes.size() % (2 * dimension) != 0) {
    return Bad(path, absl::StrFormat("%d bytes are no whole number of rows of %d half floats",
                                     bytes.size(), dimension));
  }
  Matrix matrix{.values = {}, .rows = bytes.size() / (2 * dimension), .dimension = dimension};
  matrix.values.reserve(matrix.rows * dimension);
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + i, 2);
    matrix.values.push_back(FromHalf(half));
  }
  return matrix;
}

absl::StatusOr<Matrix> ReadFvecs(const std::string& path, const std::string& bytes,
                                 std::size_t dimension) {
  Matrix matrix{.values = {}, .rows = 0, .dimension = dimension};
  const std::size_t row_bytes = 4 + 4 * dimension;
  for (std::size_t at = 0; at < bytes.size(); at += row_bytes) {
    std::int32_t given = 0;
    if (bytes.size() - at >= 4) std::memcpy(&given, bytes.data() + at, 4);
    if (given < 0 || static_cast<std::size_t>(given) != dimension) {
      return Bad(path, absl::StrFormat("row %d has dimension %d, and the store's is %d",
                                       matrix.rows, given, dimension));
    }
    if (bytes.size() - at < row_bytes) {
      return Bad(path, absl::StrFormat("row %d is cut off: %d of %d bytes", matrix.rows,
                                       bytes.size() - at, row_bytes));
    }
    matrix.values.resize(matrix.values.size() + dimension);
    std::memcpy(matrix.values.data() + matrix.rows * dimension, bytes.data() + at + 4,
                4 * dimension);
    ++matrix.rows;
  }
  return matrix;
}

struct Npy {
  std::string type;  // "<f4"
  std::vector<std::uint64_t> shape;
  std::size_t data = 0;  // where it begins
};

absl::StatusOr<Npy> ParseNpy(const std::string& path, const std::string& bytes) {
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

absl::Status CheckNpyBytes(const std::string& path, const std::string& bytes, const Npy& npy,
                           std::uint64_t rows, std::uint64_t row_bytes) {
  const std::uint64_t there = bytes.size() - npy.data;
  if (row_bytes != 0 && rows == there / row_bytes && there % row_bytes == 0) {
    return absl::OkStatus();
  }
  return Bad(path, absl::StrFormat("its header tells of %d rows of %d bytes, and %d bytes follow",
                                   rows, row_bytes, there));
}

absl::StatusOr<Matrix> ReadNpy(const std::string& path, const std::string& bytes,
                               std::size_t dimension) {
  ENGRAM_ASSIGN_OR_RETURN(const Npy npy, ParseNpy(path, bytes));
  const bool half = npy.type == "<f2";
  if (!half && npy.type != "<f4") {
    return Bad(path, absl::StrFormat("its type is %s; <f4 or <f2 is needed", npy.type));
  }
  if (npy.shape.size() != 2 || npy.shape[1] != dimension) {
    return Bad(path, absl::StrFormat("its shape has %d axes and rows of %d; 2 axes and rows of %d "
                                     "are needed",
                                     npy.shape.size(), npy.shape.empty() ? 0 : npy.shape.back(),
                                     dimension));
  }
  ENGRAM_RETURN_IF_ERROR(CheckNpyBytes(path, bytes, npy, npy.shape[0], dimension * (half ? 2 : 4)));
  if (half) return ReadF16(path, bytes.substr(npy.data), dimension);
  Matrix matrix{.values = {}, .rows = npy.shape[0], .dimension = dimension};
  matrix.values.resize(matrix.rows * dimension);
  std::memcpy(matrix.values.data(), bytes.data() + npy.data, bytes.size() - npy.data);
  return matrix;
}

}  // namespace

bool IsStandardInput(const std::string& path) { return path == "-"; }

std::string NameOf(const std::string& path) {
  return IsStandardInput(path) ? "standard input" : path;
}

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

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto error = [&path] {
    return absl::NotFoundError(NameOf(path) + ": " + std::strerror(errno));
  };
  // Not a stream: of a directory it would throw.
  const bool standard = IsStandardInput(path);
  std::FILE* file = standard ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) return error();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> closed(standard ? nullptr : file,
                                                               &std::fclose);
  std::string bytes;
  std::vector<char> buffer(kReadBytes);
  for (std::size_t got = 1; got > 0;) {
    got = std::fread(buffer.data(), 1, buffer.size(), file);
    bytes.append(buffer.data(), got);
  }
  if (std::ferror(file) != 0) return error();
  return bytes;
}

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const bool carriage_return = end > begin && bytes[end - 1] == '\r';
    lines.push_back(bytes.substr(begin, end - begin - (carriage_return ? 1 : 0)));
    begin = end + 1;
  }
  return lines;
}

absl::StatusOr<Matrix> ReadVectors(const std::string& path, const std::string& format,
                                   std::size_t dimension) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string name, FormatOf(path, format));
  if (name == "jsonl") return Bad(path, "JSON lines are no matrix of vectors");
  ENGRAM_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  if (name == "npy") return ReadNpy(path, bytes, dimension);
  return name == "f16" ? ReadF16(path, bytes, dimension) : ReadFvecs(path, bytes, dimension);
}

absl::StatusOr<std::vector<std::uint64_t>> ReadIds(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  ENGRAM_ASSIGN_OR_RETURN(const Npy npy, ParseNpy(path, bytes));
  if ((npy.type != "<u8" && npy.type != "<i8") || npy.shape.size() != 1) {
    return Bad(path, absl::StrFormat("its type is %s with %d axes; one axis of <u8 or <i8 is "
                                     "needed",
                                     npy.type, npy.shape.size()));
  }
  ENGRAM_RETURN_IF_ERROR(CheckNpyBytes(path, bytes, npy, npy.shape[0], 8));
  std::vector<std::uint64_t> ids(npy.shape[0]);
  std::memcpy(ids.data(), bytes.data() + npy.data, bytes.size() - npy.data);
  for (std::size_t i = 0; npy.type == "<i8" && i < ids.size(); ++i) {
    if (ids[i] >> 63 != 0) {
      return Bad(path, absl::StrFormat("the id at position %d is %d; none may be negative", i,
                                       static_cast<std::int64_t>(ids[i])));
    }
  }
  return ids;
}

}  // namespace engram::cli

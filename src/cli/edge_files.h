// Files of edges: TSV, whose header names the columns, and JSON lines. They are read line by
// line, so that a file may be larger than memory.
#ifndef ENGRAM_CLI_EDGE_FILES_H_
#define ENGRAM_CLI_EDGE_FILES_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/names.h"

namespace engram::cli {

// An edge as a file says it.
struct EdgeLine {
  Name from, to;
  float weight = 1.0f;
  Name type = {.number = std::nullopt, .text = "link"};
};

// Reads {"from":1,"to":"a key","weight":1,"type":"link"}; from and to are needed.
// Errors: kInvalidArgument saying what is wrong; the caller names the line.
absl::StatusOr<EdgeLine> ParseEdge(const std::string& line);

// Returns: a line that ParseEdge reads back whole, without the newline.
std::string EdgeJson(const Edge& edge, const TypeNames& types);

class EdgeReader {
 public:
  // `format` is "tsv", "jsonl", or "" for what the extension says.
  static absl::StatusOr<std::unique_ptr<EdgeReader>> Open(const std::string& path,
                                                          const std::string& format);

  // Returns: false at the end. An error names file and line.
  absl::StatusOr<bool> Next(EdgeLine* edge);

  // Returns: the number of the line that was read last; the first is 1.
  std::uint64_t line() const { return line_; }

 private:
  enum class Column : std::uint8_t { kFrom, kFromKey, kTo, kToKey, kWeight, kType };
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  EdgeReader(const std::string& path, File file, bool tsv)
      : path_(path), file_(std::move(file)), tsv_(tsv) {}

  absl::StatusOr<bool> ReadLine();  // into text_, without its end
  absl::Status ReadHeader();
  absl::StatusOr<EdgeLine> ParseRow() const;
  absl::Status At(const absl::Status& status) const;

  const std::string path_;
  const File file_;
  const bool tsv_;
  std::vector<Column> columns_;
  std::string buffer_, text_;
  std::size_t position_ = 0;  // in buffer_
  std::uint64_t line_ = 0;
};

}  // namespace engram::cli

#endif  // ENGRAM_CLI_EDGE_FILES_H_

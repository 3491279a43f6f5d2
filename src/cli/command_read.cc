// The commands that only look at memories. They open read-only, so that they work beside a
// writer.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/readers.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

constexpr std::size_t kBatch = 256;
constexpr std::size_t kShownValues = 8;

const char* Bool(bool value) { return value ? "true" : "false"; }

// Searches for one batch of the queries. An error of a query names its row in the file.
absl::StatusOr<std::vector<SearchResults>> SearchRows(const Arguments& arguments,
                                                      const Store& store,
                                                      const SearchOptions& options,
                                                      const Matrix& queries, std::size_t begin,
                                                      std::size_t count) {
  auto results = store.SearchBatch(
      options, {.data = queries.row(begin), .rows = count, .dimension = queries.dimension});
  if (results.ok() || arguments.file.empty()) return results;
  for (std::size_t i = begin; i < begin + count; ++i) {
    const auto alone =
        store.Search(options, absl::MakeConstSpan(queries.row(i), queries.dimension));
    ENGRAM_RETURN_IF_ERROR(storage::Annotate(
        alone.status(), absl::StrFormat("%s: row %d", NameOf(arguments.file), i)));
  }
  return results;
}

std::string HitForPeople(std::size_t rank, const Hit& hit, const Record& record) {
  std::string score = absl::StrFormat("%.6f", hit.score);
  if (score == "-0.000000") score.erase(0, 1);
  return absl::StrFormat("%4d  %-20s  %10s  %s", rank, ShortName(record), score,
                         ShortPayload(record));
}

absl::Status PrintForPeople(const Store& store, const ReadOptions& read, std::size_t query,
                            const SearchResults& results) {
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("query %d", query)));
  if (results.hits.empty()) return Print("      no hits");
  for (std::size_t i = 0; i < results.hits.size(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(const Record record, store.Get(read, results.hits[i].id));
    ENGRAM_RETURN_IF_ERROR(Print(HitForPeople(i + 1, results.hits[i], record)));
  }
  return absl::OkStatus();
}

absl::Status PrintJson(const Arguments& arguments, const Store& store, const ReadOptions& read,
                       std::size_t query, const SearchResults& results) {
  std::string json = absl::StrFormat("{\"query\":%d,\"hits\":[", query);
  for (std::size_t i = 0; i < results.hits.size(); ++i) {
    const Hit& hit = results.hits[i];
    json +=
        absl::StrFormat("%s{\"id\":%d,\"score\":%s", i == 0 ? "" : ",", hit.id, Number(hit.score));
    if (arguments.payload) {
      ENGRAM_ASSIGN_OR_RETURN(const Record record, store.Get(read, hit.id));
      json += ",\"payload\":" + Quoted(record.payload);
    }
    json += "}";
  }
  const SearchInfo& info = results.info;
  return Print(json + absl::StrFormat("],\"info\":{\"exact\":%s,\"rows_scored\":%d,"
                                      "\"rows_rescored\":%d,\"rows_in_store\":%d,\"path\":\"%s\","
                                      "\"truncated\":%s}}",
                                      Bool(info.exact), info.rows_scored, info.rows_rescored,
                                      info.rows_in_store, PathName(info.path),
                                      Bool(info.truncated)));
}

std::string VectorForPeople(const std::vector<float>& vector) {
  if (vector.empty()) return "none";
  std::vector<std::string> values;
  for (std::size_t i = 0; i < std::min(vector.size(), kShownValues); ++i) {
    values.push_back(absl::StrFormat("%.6g", vector[i]));
  }
  return absl::StrFormat("%d values: %s%s", vector.size(), absl::StrJoin(values, " "),
                         vector.size() > kShownValues ? " …" : "");
}

}  // namespace

absl::StatusOr<Matrix> CueVectors(const Arguments& arguments, const Store& store) {
  const std::size_t dimension = store.Stats().dimension;
  ENGRAM_RETURN_IF_ERROR(CheckDimension(arguments, store));
  if (!arguments.file.empty()) return ReadVectors(arguments.file, arguments.format, dimension);
  if (arguments.ids.empty() && arguments.vector.empty()) {
    return Matrix{.values = {}, .rows = 0, .dimension = dimension};
  }
  Matrix matrix{.values = {}, .rows = 1, .dimension = dimension};
  if (!arguments.ids.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(const Record record, store.Get({}, arguments.ids[0]));
    if (record.vector.empty()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("memory %d has no embedding to search with", record.id));
    }
    matrix.values = record.vector;
  } else {
    ENGRAM_ASSIGN_OR_RETURN(matrix.values, ParseVector(arguments.vector));
    if (matrix.values.size() != dimension) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--vector has %d values, and the store's dimension is %d",
                          matrix.values.size(), dimension));
    }
  }
  return matrix;
}

absl::StatusOr<MemoryId> OneMemory(const Arguments& arguments, const Store& store) {
  if (!arguments.ids.empty()) return arguments.ids[0];
  return store.IdForKey({}, arguments.keys[0]);
}

CommandResult Get(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const MemoryId id, OneMemory(arguments, *store));
  ENGRAM_ASSIGN_OR_RETURN(const Record record, store->Get({}, id));
  if (arguments.json) {
    std::string line = MemoryLine(id, record.vector, record.payload, record.keys);
    line.back() = ',';
    const auto& used = record.last_use_unix_seconds;
    ENGRAM_RETURN_IF_ERROR(
        Print(absl::StrFormat("%s\"strength\":%s,\"last_use\":%s}", line, Number(record.strength),
                              used.has_value() ? std::to_string(*used) : "null")));
    return 0;
  }
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("id       %d", id)));
  for (const std::string& key : record.keys) {
    ENGRAM_RETURN_IF_ERROR(Print("key      " + Visible(key)));
  }
  ENGRAM_RETURN_IF_ERROR(Print("vector   " + VectorForPeople(record.vector)));
  ENGRAM_RETURN_IF_ERROR(Print("payload  " + Visible(record.payload)));
  std::string used;
  if (record.last_use_unix_seconds.has_value()) {
    used =
        absl::FormatTime(", when it was last used, %Y-%m-%dT%H:%M:%SZ",
                         absl::FromUnixSeconds(*record.last_use_unix_seconds), absl::UTCTimeZone());
  }
  ENGRAM_RETURN_IF_ERROR(Print(absl::StrFormat("strength %.6g%s", record.strength, used)));
  return 0;
}

CommandResult Search(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const Matrix queries, CueVectors(arguments, *store));
  SearchOptions options;
  options.k = arguments.k;
  options.threads = arguments.threads;
  options.min_score = arguments.min_score;
  options.plain = arguments.plain;  // and --mode is exact, which is all there is
  for (std::size_t begin = 0; begin < queries.rows; begin += kBatch) {
    const std::size_t count = std::min(kBatch, queries.rows - begin);
    ENGRAM_ASSIGN_OR_RETURN(const auto results,
                            SearchRows(arguments, *store, options, queries, begin, count));
    for (std::size_t i = 0; i < count; ++i) {
      ENGRAM_RETURN_IF_ERROR(arguments.json
                                 ? PrintJson(arguments, *store, options, begin + i, results[i])
                                 : PrintForPeople(*store, options, begin + i, results[i]));
    }
  }
  return 0;
}

}  // namespace engram::cli

// Writing all memories, or all edges, in a form that `engram import` and `engram link` read back.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/edge_files.h"
#include "cli/json_lines.h"
#include "cli/names.h"
#include "storage/base/status.h"

namespace engram::cli {
namespace {

// The opening of a .npy file, version 1.0: numpy.lib.format says how it is laid out.
std::string NpyHeader(const std::string& type, const std::string& shape) {
  std::string text =
      absl::StrFormat("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);
  constexpr std::size_t kFixed = 10, kAlignment = 64;
  text.append(kAlignment - (kFixed + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

absl::Status Write(std::FILE* file, const void* bytes, std::size_t size, const std::string& name) {
  if (std::fwrite(bytes, 1, size, file) == size) return absl::OkStatus();
  return absl::InternalError(name + " takes no more");
}

// A file of ids, opened before anything is written anywhere.
class IdsFile {
 public:
  explicit IdsFile(const std::string& path)
      : path_(path), file_(path.empty() ? nullptr : std::fopen(path.c_str(), "wb")) {}
  ~IdsFile() { Close().IgnoreError(); }
  IdsFile(const IdsFile&) = delete;
  IdsFile& operator=(const IdsFile&) = delete;

  absl::Status status() const {
    if (path_.empty() || file_ != nullptr) return absl::OkStatus();
    return absl::InvalidArgumentError(path_ + " cannot be written");
  }

  absl::Status Finish(const std::vector<MemoryId>& ids) {
    if (file_ == nullptr) return status();
    const std::string header = NpyHeader("<u8", absl::StrFormat("%d,", ids.size()));
    ENGRAM_RETURN_IF_ERROR(Write(file_, header.data(), header.size(), path_));
    ENGRAM_RETURN_IF_ERROR(Write(file_, ids.data(), ids.size() * sizeof(MemoryId), path_));
    return Close();
  }

 private:
  absl::Status Close() {
    std::FILE* file = std::exchange(file_, nullptr);
    if (file == nullptr || std::fclose(file) == 0) return absl::OkStatus();
    return absl::InternalError(path_ + " takes no more");
  }

  const std::string path_;
  std::FILE* file_;
};

// The embeddings to stdout; memories without one are no rows.
absl::Status ExportNpy(const Store& store, const std::string& ids_path) {
  IdsFile ids_file(ids_path);
  ENGRAM_RETURN_IF_ERROR(ids_file.status());
  const StoreStats stats = store.Stats();
  const std::string header =
      NpyHeader("<f4", absl::StrFormat("%d, %d", stats.rows, stats.dimension));
  ENGRAM_RETURN_IF_ERROR(WriteOutput(header.data(), header.size()));
  std::vector<MemoryId> ids;
  const auto it = store.NewIterator({});
  for (; it->Valid(); it->Next()) {
    const absl::Span<const float> vector = it->vector();
    if (vector.empty()) continue;
    ENGRAM_RETURN_IF_ERROR(WriteOutput(vector.data(), vector.size() * sizeof(float)));
    ids.push_back(it->id());
  }
  ENGRAM_RETURN_IF_ERROR(it->status());
  if (ids.size() != stats.rows) {
    return absl::DataLossError(absl::StrFormat("the store says it has %d rows, and %d were found",
                                               stats.rows, ids.size()));
  }
  return ids_file.Finish(ids);
}

// Every edge once, by the memory it leaves.
absl::Status ExportEdges(const Store& store) {
  ENGRAM_ASSIGN_OR_RETURN(const TypeNames types, TypeNames::Of(store));
  const auto it = store.NewIterator({});
  for (; it->Valid(); it->Next()) {
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<Edge> edges,
                            store.Neighbors({}, it->id(), Direction::kOut));
    for (const Edge& edge : edges) ENGRAM_RETURN_IF_ERROR(Print(EdgeJson(edge, types)));
  }
  return it->status();
}

}  // namespace

CommandResult Export(const Arguments& arguments) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, OpenStore(arguments, /*read_only=*/true));
  if (arguments.format == "npy") {
    ENGRAM_RETURN_IF_ERROR(ExportNpy(*store, arguments.ids_file));
    return 0;
  }
  if (arguments.edges) {
    ENGRAM_RETURN_IF_ERROR(ExportEdges(*store));
    return 0;
  }
  const auto it = store->NewIterator({});
  for (; it->Valid(); it->Next()) {
    ENGRAM_RETURN_IF_ERROR(Print(MemoryLine(it->id(), it->vector(), it->payload(), it->keys())));
  }
  ENGRAM_RETURN_IF_ERROR(it->status());
  return 0;
}

}  // namespace engram::cli

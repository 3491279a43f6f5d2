// The MuSiQue questions as a store: passages with embeddings, the names that occur in
// them as bare memories, and the graph between them. The set is not part of the
// repository: ENGRAM_DATA names the folder that has it.
#ifndef ENGRAM_TESTS_SUPPORT_MUSIQUE_H_
#define ENGRAM_TESTS_SUPPORT_MUSIQUE_H_

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "engram/engram.h"

namespace engram::testing {

// Returns: the folder of a data set, empty when it is not there.
inline std::string DataFolder(const std::string& name) {
  const char* variable = std::getenv("ENGRAM_DATA");
  if (variable == nullptr) return "";
  const std::string folder = std::string(variable) + "/" + name;
  return std::filesystem::is_directory(folder) ? folder : "";
}

template <typename T>
std::vector<T> ReadArray(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<T> values(file ? static_cast<std::size_t>(file.tellg()) / sizeof(T) : 0);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

// Returns: the lines below the header, cut at tabs.
inline std::vector<std::vector<std::string>> ReadTable(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::vector<std::string>> rows;
  std::string line, cell;
  for (std::getline(file, line); std::getline(file, line);) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream cells(line + "\t");
    while (std::getline(cells, cell, '\t')) row.push_back(cell);
  }
  return rows;
}

inline std::vector<MemoryId> ReadIds(const std::string& text) {
  std::vector<MemoryId> ids;
  std::istringstream numbers(text);
  for (std::string number; std::getline(numbers, number, ',');) ids.push_back(std::stoull(number));
  return ids;
}

inline std::vector<float> ReadHalves(const std::string& path) {
  std::vector<float> values;
  for (const _Float16 half : ReadArray<_Float16>(path)) values.push_back(static_cast<float>(half));
  return values;
}

struct Musique {
  static constexpr std::uint32_t kDimension = 384;
  std::vector<float> base, queries;
  std::vector<std::uint32_t> offsets, targets;
  std::vector<float> weights;
  std::vector<std::string> names;  // of all nodes; passages first
  std::vector<std::string> questions;
  std::vector<std::vector<MemoryId>> gold, named, expected;  // by question

  std::size_t passages() const { return base.size() / kDimension; }
  absl::Span<const float> query(std::size_t q) const {
    return absl::MakeConstSpan(queries).subspan(q * kDimension, kDimension);
  }

  explicit Musique(const std::string& folder)
      : base(ReadHalves(folder + "/base.f16")),
        queries(ReadHalves(folder + "/queries.f16")),
        offsets(ReadArray<std::uint32_t>(folder + "/graph_default/indptr.u32")),
        targets(ReadArray<std::uint32_t>(folder + "/graph_default/indices.u32")),
        weights(ReadArray<float>(folder + "/graph_default/weights.f32")) {
    for (const auto& row : ReadTable(folder + "/graph.nodes.tsv")) names.push_back(row[2]);
    for (const auto& row : ReadTable(folder + "/queries.tsv")) {
      questions.push_back(row[1]);
      gold.push_back(ReadIds(row[2]));
    }
    for (const auto& row : ReadTable(folder + "/query_entities.tsv")) {
      named.push_back(row.size() > 1 ? ReadIds(row[1]) : std::vector<MemoryId>());
    }
    for (const auto& row : ReadTable(folder + "/graph_default/expected_top10.tsv")) {
      expected.push_back(ReadIds(row[1]));
    }
  }

  // Creates the store in `path`: ids are node numbers, the names of bare memories keys.
  absl::StatusOr<std::unique_ptr<Store>> Create(const std::string& path) const {
    StoreOptions options;
    options.dimension = kDimension;
    options.metric = Metric::kDot;
    options.create_if_missing = true;
    auto opened = Store::Open(options, path);
    if (!opened.ok()) return opened.status();
    const std::unique_ptr<Store> store = *std::move(opened);
    std::size_t node = 0;
    std::vector<std::string> keys;
    const auto memories = store->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (node == names.size()) return false;
      keys.clear();
      row->id = node;
      if (node < passages()) {
        row->vector = absl::MakeConstSpan(base).subspan(node * kDimension, kDimension);
      } else if (names[node].size() <= kMaxKeyBytes) {
        keys.push_back(names[node]);
      }
      row->payload = names[node++];
      row->keys = keys;
      return true;
    });
    if (!memories.ok()) return memories.status();
    std::size_t from = 0, edge = 0;
    const auto linked = store->Link({}, [&](Edge* put) -> absl::StatusOr<bool> {
      if (edge == targets.size()) return false;
      while (edge == offsets[from + 1]) ++from;
      *put = {.from = from, .to = targets[edge], .weight = weights[edge], .type = 0};
      ++edge;
      return true;
    });
    if (!linked.ok()) return linked.status();
    if (const absl::Status sealed = store->Seal(); !sealed.ok()) return sealed;
    if (const absl::Status closed = store->Close(); !closed.ok()) return closed;
    return Store::Open({}, path);
  }
};

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_MUSIQUE_H_

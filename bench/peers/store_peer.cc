// A store for stores.py, one phase in each process:
//   store_peer put FOLDER VECTORS DIMENSION PAYLOADS kProcess|kPower SECONDS
//   store_peer import FOLDER VECTORS DIMENSION PAYLOADS
//   store_peer reopen FOLDER QUERY DIMENSION K
// VECTORS and QUERY are raw f32, PAYLOADS has 200 bytes a row. Each prints its figures in JSON.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "bench/support.h"
#include "engram/engram.h"
#include "tests/support/musique.h"

namespace engram::bench {
namespace {

constexpr std::size_t kPayload = 200;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::uint64_t AnonymousBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

int Fail(const absl::Status& status) {
  return std::fprintf(stderr, "%s\n", status.ToString().c_str()), 1;
}

struct Rows {
  Rows(const char* vectors_path, const char* dimension_text, const char* payloads_path)
      : vectors(testing::ReadArray<float>(vectors_path)),
        payloads(testing::ReadArray<char>(payloads_path)),
        dimension(static_cast<std::uint32_t>(std::atoi(dimension_text))) {}
  std::size_t count() const { return vectors.size() / dimension; }
  absl::Span<const float> vector(std::size_t i) const {
    return absl::MakeConstSpan(vectors).subspan(i * dimension, dimension);
  }
  std::string_view payload(std::size_t i) const {
    return std::string_view(payloads.data() + i * kPayload, kPayload);
  }
  std::vector<float> vectors;
  std::vector<char> payloads;
  std::uint32_t dimension;
};

absl::StatusOr<std::unique_ptr<Store>> Create(const char* folder, std::uint32_t dimension) {
  StoreOptions options;
  options.dimension = dimension;
  options.create_if_missing = true;
  return Store::Open(options, folder);
}

int Put(char** argv) {
  const Rows rows(argv[3], argv[4], argv[5]);
  const auto store = Create(argv[2], rows.dimension);
  if (!store.ok()) return Fail(store.status());
  WriteOptions options;
  options.durability =
      std::strcmp(argv[6], "kPower") == 0 ? Durability::kPower : Durability::kProcess;
  const double begin = Now(), end = begin + std::atof(argv[7]);
  std::size_t put = 0;
  while (put < rows.count() && Now() < end) {
    const absl::Status status = (*store)->Put(options, put, rows.vector(put), rows.payload(put));
    if (!status.ok()) return Fail(status);
    ++put;
  }
  const double seconds = Now() - begin;
  if (const absl::Status closed = (*store)->Close(); !closed.ok()) return Fail(closed);
  const auto again = Store::Open({}, argv[2]);
  if (!again.ok()) return Fail(again.status());
  std::printf("{\"rows\": %zu, \"seconds\": %.6f, \"held\": %llu}\n", put, seconds,
              static_cast<unsigned long long>((*again)->Stats().memories));
  return 0;
}

int Import(char** argv) {
  const Rows rows(argv[3], argv[4], argv[5]);
  const auto store = Create(argv[2], rows.dimension);
  if (!store.ok()) return Fail(store.status());
  const double begin = Now();
  std::size_t next = 0;
  const auto report = (*store)->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
    if (next == rows.count()) return false;
    row->id = next;
    row->vector = rows.vector(next);
    row->payload = rows.payload(next++);
    return true;
  });
  if (!report.ok()) return Fail(report.status());
  if (const absl::Status sealed = (*store)->Seal(); !sealed.ok()) return Fail(sealed);
  if (const absl::Status closed = (*store)->Close(); !closed.ok()) return Fail(closed);
  std::printf("{\"rows\": %zu, \"seconds\": %.6f}\n", next, Now() - begin);
  return 0;
}

int Reopen(char** argv) {
  const auto query = testing::ReadArray<float>(argv[3]);
  SearchOptions options;
  options.k = static_cast<std::uint32_t>(std::atoi(argv[5]));
  options.threads = 1;
  const std::uint64_t before = AnonymousBytes();
  const double begin = Now();
  const auto store = Store::Open({}, argv[2]);
  if (!store.ok()) return Fail(store.status());
  const auto found = (*store)->Search(options, query);
  if (!found.ok()) return Fail(found.status());
  const double seconds = Now() - begin;
  std::printf("{\"seconds\": %.6f, \"anonymous_before\": %llu, \"anonymous\": %llu, \"ids\": [",
              seconds, static_cast<unsigned long long>(before),
              static_cast<unsigned long long>(AnonymousBytes()));
  for (const Hit& hit : found->hits) {
    std::printf("%s%llu", &hit == found->hits.data() ? "" : ", ",
                static_cast<unsigned long long>(hit.id));
  }
  std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  using namespace engram::bench;
  const std::string phase = argc > 1 ? argv[1] : "";
  if (phase == "put" && argc == 8) return Put(argv);
  if (phase == "import" && argc == 6) return Import(argv);
  if (phase == "reopen" && argc == 6) return Reopen(argv);
  return 2;
}

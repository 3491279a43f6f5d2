// Writes the golden stores of the format version this library has, once, for
// the folder that is kept: golden_writer FOLDER. Never run over a kept folder.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "storage/format/block_format.h"
#include "storage/format/record_format.h"
#include "tests/golden/golden_associations.h"
#include "tests/golden/golden_codes.h"
#include "tests/golden/golden_content.h"
#include "tests/golden/golden_values.h"

namespace engram::golden {
namespace {

namespace fs = std::filesystem;

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "golden_writer: %s\n", status.ToString().c_str());
  std::exit(1);
}

// Seals and compactions happen only in the stores that are closed.
void Fill(Store& store, bool sealed) {
  WriteBatch batch;
  for (MemoryId id = 0; id < 300; ++id) {
    batch.Put(id, Embedding(id), Payload(id));
    if (id % 50 == 0) batch.SetKey("key " + std::to_string(id), id);
  }
  Must(store.Write({}, batch));
  if (sealed) Must(store.Seal());
  for (MemoryId id = 0; id < 300; ++id) {
    if (DeletedBeforeCompaction(id)) Must(store.Delete({}, id));
  }
  if (sealed) Must(store.Compact({}));
  for (MemoryId id = 300; id < 400; ++id) Must(store.Put({}, id, Embedding(id), Payload(id)));
  if (sealed) Must(store.Seal());
  batch.Clear();
  for (MemoryId id = 400; id < 420; ++id) batch.Put(id, Embedding(id), Payload(id));
  for (MemoryId id = 300; id < 400; ++id) {
    if (DeletedAfterSeal(id)) batch.Delete(id);
  }
  batch.Delete(405);
  batch.Put(5, Embedding(1005), Payload(1005));
  batch.Put(kFarId, {}, Payload(7));
  batch.SetKey("far\xff", kFarId);
  batch.SetKey("key 50", kFarId);
  WriteOptions power;
  power.durability = Durability::kPower;
  Must(store.Write(power, batch));
}

// OPTIONS, LOG and LOCK are made anew by whoever opens the store.
void Keep(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("OPTIONS-") || name == "LOCK" || name == "ENGRAM.LOCK" ||
        name.starts_with("LOG"))
      continue;
    fs::copy_file(entry.path(), to / name);
  }
}

void WriteAnswers(const Store& store, const std::vector<std::vector<float>>& queries,
                  const fs::path& path) {
  std::ofstream out(path);
  SearchOptions options;
  options.k = 20;
  options.plain = true;
  for (const std::vector<float>& query : queries) {
    const auto found = store.Search(options, query);
    Must(found.status());
    for (const Hit& hit : found->hits) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &hit.score, sizeof bits);
      out << hit.id << ' ' << bits << '\n';
    }
  }
}

void WriteStore(const StoreKind& kind, const fs::path& folder) {
  const fs::path scratch = folder / "scratch";
  StoreOptions options;
  options.dimension = kDimension;
  options.metric = kind.metric;
  options.rows_per_block = kRowsPerBlock;
  options.create_if_missing = true;
  auto store = Store::Open(options, scratch);
  Must(store.status());
  Fill(**store, kind.sealed);
  WriteAnswers(**store, Queries(), folder / (std::string(kind.name) + ".answers"));
  if (!kind.sealed) Keep(scratch, folder / kind.name);
  Must((*store)->Close());
  if (kind.sealed) Keep(scratch, folder / kind.name);
  fs::remove_all(scratch);
}

void WriteAssociations(const fs::path& folder) {
  const fs::path scratch = folder / "scratch";
  StoreOptions options;
  options.dimension = 2;
  options.create_if_missing = true;
  auto store = Store::Open(options, scratch);
  Must(store.status());
  Must(FillAssociations(**store));
  Must((*store)->Close());
  Keep(scratch, folder / "associations");
  fs::remove_all(scratch);
}

void WriteCodes(const CodesKind& kind, const fs::path& folder) {
  const fs::path scratch = folder / "scratch";
  StoreOptions options;
  options.dimension = kCodesDimension;
  options.metric = kind.metric;
  options.rows_per_block = kCodesRowsPerBlock;
  options.create_if_missing = true;
  auto store = Store::Open(options, scratch);
  Must(store.status());
  Must(FillCodes(**store));
  WriteAnswers(**store, CodesQueries(), folder / (std::string(kind.name) + ".answers"));
  Must((*store)->Close());
  Keep(scratch, folder / kind.name);
  fs::remove_all(scratch);
}

}  // namespace
}  // namespace engram::golden

int main(int argc, char** argv) {
  if (argc != 2 || std::filesystem::exists(argv[1])) {
    std::fprintf(stderr, "usage: golden_writer FOLDER, which must not exist\n");
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  for (const auto& kind : engram::golden::kStores) engram::golden::WriteStore(kind, argv[1]);
  engram::golden::WriteAssociations(argv[1]);
  for (const auto& kind : engram::golden::kCodesStores) engram::golden::WriteCodes(kind, argv[1]);
  std::ofstream values(std::filesystem::path(argv[1]) / "values.txt");
  for (const auto& [name, bytes] : engram::golden::EncodedValues()) {
    values << name << ' ' << engram::golden::ToHex(bytes) << '\n';
  }
  values.close();
  return values.good() ? 0 : 1;
}

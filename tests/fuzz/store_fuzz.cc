// A whole store some values of which are hostile, with every checksum made to match: what decoders
// let pass leads no call out of bounds, and what is wrong is an answer or DataLoss.
#include <filesystem>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engram/engram.h"
#include "storage/database.h"
#include "storage/format/block_format.h"
#include "tests/fuzz/fuzz_input.h"

namespace engram::fuzz {
namespace {

using storage::Family;

constexpr std::uint32_t kDimension = 12;
constexpr MemoryId kSealed = 130, kAll = 150;
constexpr Family kFamilies[] = {Family::kDefault, Family::kCatalog, Family::kIds,
                                Family::kRecords, Family::kTail,    Family::kTombstones,
                                Family::kBlocks,  Family::kEdges};

void Require(const absl::Status& status) { Expect(status.ok(), status.ToString()); }

std::vector<float> VectorOf(MemoryId id) {
  std::vector<float> vector;
  for (std::uint32_t j = 0; j < kDimension; ++j) {
    vector.push_back(static_cast<float>((id * 7 + j * j * 3) % 23) - 11.0f);
  }
  return vector;
}

StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.rows_per_block = 64;
  options.search_threads = 1;
  return options;
}

void Fill(Store& store, MemoryId begin, MemoryId end) {
  WriteBatch batch;
  for (MemoryId id = begin; id < end; ++id) {
    batch.Put(id, VectorOf(id), "payload " + std::to_string(id));
  }
  for (MemoryId id = begin; id < end; ++id) {
    batch.PutEdge({.from = id, .to = begin + (id * 7) % (end - begin), .weight = 0.5f, .type = 1});
    batch.PutEdge({.from = id, .to = begin, .weight = 1.0f, .type = static_cast<uint32_t>(id % 3)});
    if (id % 9 == 0) batch.SetKey("Key " + std::to_string(id), id);
    if (id % 11 == 0) batch.Reinforce(id, 2.0f);
  }
  WriteOptions options;
  options.now_unix_seconds = 1700000000;
  Require(store.Write(options, batch));
}

struct Entry {
  Family family;
  std::string key, value;
};

// The store that inputs change copies of, and what is in it.
class Sound {
 public:
  Sound() {
    std::string pattern = std::filesystem::temp_directory_path() / "engram-fuzz-XXXXXX";
    Expect(::mkdtemp(pattern.data()) != nullptr, "there is a folder");
    folder_ = pattern;
    StoreOptions options = Options();
    options.create_if_missing = true;
    auto store = Store::Open(options, path());
    Require(store.status());
    Fill(**store, 0, kSealed);
    Require((*store)->EdgeType({}, "part of").status());
    Require((*store)->Seal());
    Fill(**store, kSealed, kAll);
    for (MemoryId id = 3; id < kAll; id += 20) Require((*store)->Delete({}, id));
    Require((*store)->Close());
    store->reset();
    const auto database = storage::Database::Open({}, path());
    Require(database.status());
    for (const Family family : kFamilies) {
      const std::unique_ptr<rocksdb::Iterator> it(
          (*database)->db().NewIterator({}, (*database)->family(family)));
      std::vector<Entry>& entries = entries_[family];
      for (it->SeekToFirst(); it->Valid(); it->Next()) {
        entries.push_back({family, it->key().ToString(), it->value().ToString()});
      }
      Expect(!entries.empty(), "each family has entries");
    }
  }
  ~Sound() { std::filesystem::remove_all(folder_); }
  Sound(const Sound&) = delete;
  Sound& operator=(const Sound&) = delete;

  std::string path() const { return folder_ + "/sound"; }
  std::string folder() const { return folder_; }
  const std::vector<Entry>& entries(Family family) const { return entries_.at(family); }

 private:
  std::string folder_;
  std::map<Family, std::vector<Entry>> entries_;
};

void Change(Input& input, std::string* bytes) {
  const std::uint8_t kind = input.Take<std::uint8_t>();
  const std::size_t at = bytes->empty() ? 0 : input.Take<std::uint16_t>() % bytes->size();
  switch (kind % 5) {
    case 0: *bytes += input.TakeBytes(1 + at % 8); break;
    case 1: bytes->resize(at); break;
    default: {
      static constexpr std::size_t kWidths[] = {1, 4, 8};
      const std::string to = input.TakeBytes(std::min(kWidths[kind % 5 - 2], bytes->size() - at));
      bytes->replace(at, to.size(), to);
    }
  }
}

// Either the payload, or one number of the header.
std::string ChangedColumn(Input& input, const std::string& value) {
  const auto column = storage::DecodeBlockColumn(value);
  Require(column.status());
  storage::BlockHeader header = column->header;
  std::string payload(column->payload);
  switch (input.Take<std::uint8_t>() % 8) {
    case 0: header.first_row = input.Take<std::uint64_t>(); break;
    case 1: header.rows = input.Take<std::uint32_t>(); break;
    case 2: header.span = input.Take<std::uint32_t>(); break;
    case 3: header.bytes_per_row = input.Take<std::uint8_t>(); break;
    default: Change(input, &payload); break;
  }
  return storage::EncodeBlockColumn(header, payload);
}

void ChangeStore(Input& input, const Sound& sound, const std::string& path) {
  auto database = storage::Database::Open({}, path);
  Require(database.status());
  for (int i = 0; i < 6 && !input.empty(); ++i) {
    const Family family = kFamilies[input.Take<std::uint8_t>() % std::size(kFamilies)];
    const auto& entries = sound.entries(family);
    Entry entry = entries[input.Take<std::uint16_t>() % entries.size()];
    const std::uint8_t what = input.Take<std::uint8_t>() % 8;
    const bool column = family == Family::kBlocks || family == Family::kEdges;
    if (what == 1) {
      entry.value = entries[input.Take<std::uint8_t>() % entries.size()].value;
    } else if (what == 2) {
      Change(input, &entry.key);
    } else if (what > 2) {
      if (column) {
        entry.value = ChangedColumn(input, entry.value);
      } else {
        Change(input, &entry.value);
      }
    }
    rocksdb::DB& db = (*database)->db();
    rocksdb::ColumnFamilyHandle* handle = (*database)->family(family);
    const auto done =
        what == 0 ? db.Delete({}, handle, entry.key) : db.Put({}, handle, entry.key, entry.value);
    Expect(done.ok(), done.ToString());
  }
  Require((*database)->FlushFamilies());
}

void Answers(const absl::Status& status) {
  Expect(status.ok() || absl::IsDataLoss(status) || absl::IsNotFound(status),
         "an answer is right, or DataLoss, and not: " + status.ToString());
}

void Ask(const Store& store, bool verify) {
  ReadOptions read;
  read.verify_checksums = verify;
  for (MemoryId id = 0; id < kAll; id += id % 9 == 0 ? 4 : 5) {
    const auto record = store.Get(read, id);
    Answers(record.status());
    if (record.ok()) Touch(record->payload.data(), record->payload.size());
    Answers(store.Neighbors(read, id, Direction::kOut).status());
    Answers(store.Neighbors(read, id, Direction::kIn).status());
  }
  Answers(store.IdForKey(read, "Key 9").status());
  Answers(store.FindNamed(read, "key 18, KEY 9 and key 135").status());
  Answers(store.EdgeTypes(read).status());
  SearchOptions search;
  search.verify_checksums = verify;
  for (const bool plain : {false, true}) {
    search.plain = plain;
    const auto found = store.Search(search, VectorOf(40));
    Answers(found.status());
    Expect(!found.ok() || verify || !found->info.exact, "nothing unverified is called exact");
  }
  RecallOptions recall;
  recall.seeds.verify_checksums = recall.spread.verify_checksums = verify;
  recall.spread.explain = true;
  recall.strength_weight = 0.5f;
  recall.strength.now_unix_seconds = 1800000000;
  recall.include_bare = true;
  Answers(store.Recall(recall, VectorOf(40)).status());
  const Seed seeds[] = {{.id = 0}, {.id = kSealed}};
  Answers(store.Spread(recall.spread, seeds).status());
  const auto it = store.NewIterator(read);
  for (int i = 0; it->Valid() && i < 1000; it->Next(), ++i) {
    Touch(it->payload().data(), it->payload().size());
    Touch(it->vector().data(), it->vector().size() * sizeof(float));
  }
  Answers(it->status());
}

void Write(Store& store) {
  WriteBatch batch;
  batch.Put(5, VectorOf(6), "again");
  batch.Put(kAll + 1, VectorOf(7), "new");
  batch.PutEdge({.from = 1, .to = 2, .weight = 0.25f, .type = 2});
  batch.SetKey("Key 9", 12);
  batch.Reinforce(22, 1.0f);
  batch.Delete(13);
  Answers(store.Write({}, batch));
  Answers(store.Seal());
  Answers(store.Compact({}));
  Ask(store, true);
}

void TryStore(Input& input) {
  static const Sound sound;
  const std::string path = sound.folder() + "/changed";
  const std::uint8_t flags = input.Take<std::uint8_t>();
  std::filesystem::remove_all(path);
  std::filesystem::copy(sound.path(), path);
  ChangeStore(input, sound, path);
  StoreOptions options = Options();
  options.read_only = flags % 4 == 0;
  const auto store = Store::Open(options, path);
  if (!store.ok()) {
    Expect(absl::IsDataLoss(store.status()) || absl::IsInvalidArgument(store.status()) ||
               absl::IsFailedPrecondition(store.status()),
           "a store that does not open says DataLoss, and not: " + store.status().ToString());
    return;
  }
  Ask(**store, flags % 2 == 1);
  Answers((*store)->Verify({}).status());
  if (!options.read_only) Write(**store);
  (void)(*store)->Stats();
  Answers((*store)->Close());
}

}  // namespace
}  // namespace engram::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engram::fuzz::Input input(data, size);
  engram::fuzz::TryStore(input);
  return 0;
}

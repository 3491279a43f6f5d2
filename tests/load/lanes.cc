#include "tests/load/lanes.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_format.h"
#include "storage/base/status.h"

namespace engram::load {
namespace {

constexpr std::uint64_t kRounds = 4;  // the last of them deletes
constexpr MemoryId kLaneIds = 1'000'000;
constexpr MemoryId kFirstBase = MemoryId{1} << 40;
constexpr float kMark = 2.0f;  // of the first float: below zero only in strays
constexpr double kRounding = 2e-6;

float Noise(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9e3779b97f4a7c15u + b * 0xbf58476d1ce4e5b9u + 0x94d049bb133111ebu;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<float>(static_cast<std::int64_t>(x ^ (x >> 31)) >> 40) / 8388608.0f;
}

std::vector<float> VectorOf(MemoryId id, std::uint64_t round, float mark = kMark) {
  std::vector<float> vector(kDimension);
  for (std::uint32_t i = 0; i < kDimension; ++i) vector[i] = Noise(id * kDimension + i, round);
  vector[0] = mark;
  return vector;
}

MemoryId CounterOf(std::uint64_t lane) { return lane * kLaneIds; }
MemoryId IdOf(std::uint64_t lane, std::uint64_t group, MemoryId i) {
  return lane * kLaneIds + 1000 + group * 100 + i;
}
std::string KeyOf(std::uint64_t lane, std::uint64_t group) {
  return absl::StrFormat("lane %d group %d", lane, group);
}
std::uint32_t TypeOf(std::uint64_t lane) { return static_cast<std::uint32_t>(lane % 3); }

// A group as a lane's counter tells it: the batch that wrote it last.
struct Group {
  bool lives = false;
  std::uint64_t batch = 0, round = 0;

  float strength() const { return 1.0f + 0.5f * static_cast<float>(round % kRounds + 1); }
};

Group GroupAt(std::uint64_t written, std::uint64_t group) {
  Group found;
  if (written <= group) return found;
  found.round = (written - 1 - group) / kGroups;
  found.batch = found.round * kGroups + group;
  found.lives = found.round % kRounds != kRounds - 1;
  return found;
}

std::vector<MemoryId> IdsOf(std::uint64_t lane, std::uint64_t group) {
  std::vector<MemoryId> ids;
  for (MemoryId i = 0; i < kGroupSize; ++i) ids.push_back(IdOf(lane, group, i));
  return ids;
}

// Where in the load something is wrong.
std::string Place(std::uint64_t lane, std::uint64_t group, const Counters& counters) {
  return absl::StrFormat("lane %d after %d batches, group %d: ", lane, counters[lane], group);
}

absl::Status CheckDeleted(const Store& store, const ReadOptions& then, std::uint64_t lane,
                          std::uint64_t group, const std::string& place) {
  for (const MemoryId id : IdsOf(lane, group)) {
    const absl::Status status = store.Get(then, id).status();
    if (status.ok()) return absl::InternalError(absl::StrFormat("%sid %d lives", place, id));
    if (!absl::IsNotFound(status)) return status;
  }
  const absl::Status key = store.IdForKey(then, KeyOf(lane, group)).status();
  if (key.ok()) return absl::InternalError(place + "its key names a memory");
  return absl::IsNotFound(key) ? absl::OkStatus() : key;
}

absl::Status CheckRing(const Store& store, const ReadOptions& then, std::uint64_t lane,
                       std::uint64_t group, const Group& expected, const std::string& place) {
  const std::vector<MemoryId> ids = IdsOf(lane, group);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(const auto out, store.Neighbors(then, ids[i], Direction::kOut));
    if (out.size() != 1 || out[0].to != ids[(i + 1) % ids.size()] ||
        out[0].weight != static_cast<float>(expected.round + 1) || out[0].type != TypeOf(lane)) {
      return absl::InternalError(absl::StrFormat("%sid %d has other edges", place, ids[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckGroup(const Store& store, const ReadOptions& then, std::uint64_t lane,
                        std::uint64_t group, const Counters& counters) {
  const std::string place = Place(lane, group, counters);
  const Group expected = GroupAt(counters[lane], group);
  if (!expected.lives) return CheckDeleted(store, then, lane, group, place);
  auto records = store.MultiGet(then, IdsOf(lane, group));
  if (absl::IsNotFound(records.status())) {
    return absl::InternalError(place + std::string(records.status().message()));
  }
  ENGRAM_RETURN_IF_ERROR(records.status());
  for (const Record& record : *records) {
    const bool first = record.id == IdOf(lane, group, 0);
    const std::vector<std::string> keys =
        first ? std::vector<std::string>{KeyOf(lane, group)} : std::vector<std::string>{};
    if (record.payload != std::to_string(expected.batch) || record.keys != keys ||
        record.vector != VectorOf(record.id, expected.round) ||
        record.strength != expected.strength()) {
      return absl::InternalError(
          absl::StrFormat("%sid %d has payload %s, strength %f, %d keys; expected payload %d, "
                          "strength %f",
                          place, record.id, record.payload, record.strength, record.keys.size(),
                          expected.batch, expected.strength()));
    }
  }
  ENGRAM_ASSIGN_OR_RETURN(const MemoryId named, store.IdForKey(then, KeyOf(lane, group)));
  if (named != IdOf(lane, group, 0)) return absl::InternalError(place + "its key is another's");
  return CheckRing(store, then, lane, group, expected, place);
}

double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double product = 0, aa = 0, bb = 0;
  for (std::uint32_t i = 0; i < kDimension; ++i) {
    product += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return product / std::sqrt(aa * bb);
}

const std::vector<std::vector<float>>& BaseVectors() {
  static const auto* const vectors = [] {
    auto* made = new std::vector<std::vector<float>>();
    for (MemoryId i = 0; i < kBaseRows; ++i) made->push_back(VectorOf(kFirstBase + i, 0));
    return made;
  }();
  return *vectors;
}

// Every row that a query may find, with its score in double.
std::vector<std::pair<double, MemoryId>> ScoreAll(const Counters& counters,
                                                  const std::vector<float>& query) {
  std::vector<std::pair<double, MemoryId>> scored;
  for (MemoryId i = 0; i < kBaseRows; ++i) {
    scored.emplace_back(Cosine(query, BaseVectors()[i]), kFirstBase + i);
  }
  for (std::uint64_t lane = 0; lane < kLanes; ++lane) {
    for (std::uint64_t group = 0; group < kGroups; ++group) {
      const Group expected = GroupAt(counters[lane], group);
      if (!expected.lives) continue;
      for (const MemoryId id : IdsOf(lane, group)) {
        scored.emplace_back(Cosine(query, VectorOf(id, expected.round)), id);
      }
    }
  }
  std::sort(scored.begin(), scored.end(), std::greater<>());
  return scored;
}

absl::Status CompareHits(const std::vector<Hit>& hits, const Counters& counters,
                         const std::vector<float>& query, std::size_t k) {
  const auto scored = ScoreAll(counters, query);
  if (hits.size() != k) {
    return absl::InternalError(absl::StrFormat("%d hits, expected %d", hits.size(), k));
  }
  for (std::size_t i = 0; i < k; ++i) {
    // Two that are as good as each other in f32 may have changed places.
    const auto same = std::find_if(scored.begin(), scored.end(),
                                   [&](const auto& row) { return row.second == hits[i].id; });
    if (same == scored.end() || std::abs(same->first - hits[i].score) > kRounding ||
        std::abs(scored[i].first - hits[i].score) > kRounding) {
      return absl::InternalError(
          absl::StrFormat("hit %d is id %d with score %.9g, expected id %d with %.9g", i,
                          hits[i].id, hits[i].score, scored[i].second, scored[i].first));
    }
  }
  return absl::OkStatus();
}

}  // namespace

StoreOptions Options() {
  StoreOptions options;
  options.dimension = kDimension;
  options.create_if_missing = true;
  options.rows_per_block = 256;
  options.seal_bytes = 128 << 10;
  options.search_threads = 2;
  return options;
}

StoreOptions ReadOnly() {
  StoreOptions options;
  options.read_only = true;
  options.search_threads = 2;
  return options;
}

absl::Status Create(const std::string& path) {
  ENGRAM_ASSIGN_OR_RETURN(const auto store, Store::Open(Options(), path));
  MemoryId next = 0;
  ENGRAM_RETURN_IF_ERROR(store
                             ->Import({},
                                      [&](ImportRow* row) -> absl::StatusOr<bool> {
                                        if (next == kBaseRows) return false;
                                        row->id = kFirstBase + next;
                                        row->vector = BaseVectors()[next++];
                                        return true;
                                      })
                             .status());
  ENGRAM_RETURN_IF_ERROR(store->Seal());
  return store->Close();
}

WriteBatch BatchOf(std::uint64_t lane, std::uint64_t n) {
  const std::uint64_t group = n % kGroups, round = n / kGroups;
  const bool deletes = round % kRounds == kRounds - 1;
  const std::vector<MemoryId> ids = IdsOf(lane, group);
  WriteBatch batch;
  batch.Put(CounterOf(lane), {}, std::to_string(n + 1));
  for (const MemoryId id : ids) {
    if (deletes) {
      batch.Delete(id);
      continue;
    }
    batch.Put(id, VectorOf(id, round), std::to_string(n));
    batch.Reinforce(id, 0.5f);
  }
  if (deletes) return batch;
  batch.SetKey(KeyOf(lane, group), ids[0]);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    batch.PutEdge({.from = ids[i],
                   .to = ids[(i + 1) % ids.size()],
                   .weight = static_cast<float>(round + 1),
                   .type = TypeOf(lane)});
  }
  return batch;
}

std::vector<float> StrayVector(MemoryId id) { return VectorOf(id, 0, -10.0f); }

std::vector<float> RandomQuery(std::mt19937_64& random) { return VectorOf(random(), 1); }

absl::StatusOr<Counters> ReadCounters(const Store& store, const ReadOptions& then) {
  Counters counters;
  for (std::uint64_t lane = 0; lane < kLanes; ++lane) {
    const auto record = store.Get(then, CounterOf(lane));
    if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
    counters.push_back(record.ok() ? std::stoull(record->payload) : 0);
  }
  return counters;
}

absl::Status CheckLane(const Store& store, const ReadOptions& then, std::uint64_t lane,
                       const Counters& counters) {
  for (std::uint64_t group = 0; group < kGroups; ++group) {
    ENGRAM_RETURN_IF_ERROR(CheckGroup(store, then, lane, group, counters));
  }
  return absl::OkStatus();
}

absl::Status CheckWalk(const Store& store, const ReadOptions& then, std::uint64_t lane,
                       const Counters& counters) {
  const auto it = store.NewIterator(then);
  it->Seek(IdOf(lane, 0, 0));
  for (std::uint64_t group = 0; group < kGroups; ++group) {
    const Group expected = GroupAt(counters[lane], group);
    for (const MemoryId id : IdsOf(lane, group)) {
      if (!expected.lives) continue;
      const bool here = it->Valid() && it->id() == id;
      ENGRAM_RETURN_IF_ERROR(it->status());
      const std::vector<float> vector = VectorOf(id, expected.round);
      if (!here || it->payload() != std::to_string(expected.batch) ||
          !std::equal(vector.begin(), vector.end(), it->vector().begin(), it->vector().end())) {
        return absl::InternalError(
            absl::StrFormat("%sthe walk has another id or other content "
                            "where id %d was expected",
                            Place(lane, group, counters), id));
      }
      it->Next();
    }
  }
  if (it->Valid() && it->id() < CounterOf(lane + 1)) {
    return absl::InternalError(absl::StrFormat("lane %d: the walk has id %d too", lane, it->id()));
  }
  return it->status();
}

absl::Status CheckRecall(const Store& store, const ReadOptions& then, const Counters& counters,
                         std::mt19937_64& random) {
  const std::uint64_t lane = random() % kLanes, group = random() % kGroups;
  const Group expected = GroupAt(counters[lane], group);
  const MemoryId first = IdOf(lane, group, random() % kGroupSize);
  RecallOptions options;
  options.seeds.snapshot = then.snapshot;
  options.named = {&first, 1};
  options.k = 2 * kGroupSize;
  options.strength.decay = Decay::kNone;
  const auto ring = store.Recall(options, {});
  if (!expected.lives) {
    return absl::IsNotFound(ring.status()) ? absl::OkStatus()
                                           : absl::InternalError(Place(lane, group, counters) +
                                                                 "a deleted memory was recalled");
  }
  ENGRAM_RETURN_IF_ERROR(ring.status());
  std::vector<MemoryId> ids;
  for (const Recalled& hit : ring->hits) {
    ids.push_back(hit.id);
    if (hit.strength != expected.strength()) {
      return absl::InternalError(absl::StrFormat("%sid %d was recalled with strength %f",
                                                 Place(lane, group, counters), hit.id,
                                                 hit.strength));
    }
  }
  std::sort(ids.begin(), ids.end());
  if (ids != IdsOf(lane, group)) {
    return absl::InternalError(absl::StrFormat("%s%d memories were recalled, not its ring",
                                               Place(lane, group, counters), ids.size()));
  }
  options.k = 10;
  const auto cued = store.Recall(options, RandomQuery(random));
  ENGRAM_RETURN_IF_ERROR(cued.status());
  return cued->hits.size() == 10 && cued->search.exact
             ? absl::OkStatus()
             : absl::InternalError("a recall found too little, or is not exact");
}

absl::Status CheckSearch(const Store& store, const ReadOptions& then, const Counters& counters,
                         std::mt19937_64& random, std::uint64_t* certified) {
  SearchOptions options;
  options.snapshot = then.snapshot;
  options.k = 1 + static_cast<std::uint32_t>(random() % 20);
  options.plain = random() % 4 == 0;
  options.threads = random() % 2 == 0 ? 1 : 0;
  const std::vector<float> query = RandomQuery(random);
  ENGRAM_ASSIGN_OR_RETURN(const SearchResults found, store.Search(options, query));
  if (!found.info.exact || found.info.truncated) {
    return absl::InternalError("a search was not exact");
  }
  *certified += found.info.path == SearchPath::kCertifiedScan ? 1 : 0;
  return CompareHits(found.hits, counters, query, options.k);
}

namespace {

// Takes the state as it is. Errors: kFailedPrecondition when the store is closed; a counter that
// went back.
absl::StatusOr<ReadOptions> Now(const Store& store, Seen* seen) {
  ReadOptions then;
  then.snapshot = store.GetSnapshot();
  if (then.snapshot == nullptr) return absl::FailedPreconditionError("closed");
  ENGRAM_ASSIGN_OR_RETURN(Counters counters, ReadCounters(store, then));
  for (std::uint64_t lane = 0; lane < seen->counters.size(); ++lane) {
    if (counters[lane] >= seen->counters[lane]) continue;
    return absl::InternalError(absl::StrFormat("lane %d had %d batches, and now has %d", lane,
                                               seen->counters[lane], counters[lane]));
  }
  seen->counters = std::move(counters);
  ++seen->checks;
  return then;
}

}  // namespace

absl::Status CheckSomething(const Store& store, std::mt19937_64& random, Seen* seen) {
  ENGRAM_ASSIGN_OR_RETURN(const ReadOptions then, Now(store, seen));
  switch (random() % 6) {
    case 0: return CheckLane(store, then, random() % kLanes, seen->counters);
    case 1: return CheckWalk(store, then, random() % kLanes, seen->counters);
    case 2: return CheckRecall(store, then, seen->counters, random);
    default: return CheckSearch(store, then, seen->counters, random, &seen->certified);
  }
}

absl::Status CheckAll(const Store& store, std::mt19937_64& random, Seen* seen) {
  ENGRAM_ASSIGN_OR_RETURN(const ReadOptions then, Now(store, seen));
  for (std::uint64_t lane = 0; lane < kLanes; ++lane) {
    ENGRAM_RETURN_IF_ERROR(CheckLane(store, then, lane, seen->counters));
    ENGRAM_RETURN_IF_ERROR(CheckWalk(store, then, lane, seen->counters));
  }
  for (int i = 0; i < 10; ++i) {
    ENGRAM_RETURN_IF_ERROR(CheckRecall(store, then, seen->counters, random));
    ENGRAM_RETURN_IF_ERROR(CheckSearch(store, then, seen->counters, random, &seen->certified));
  }
  return absl::OkStatus();
}

}  // namespace engram::load

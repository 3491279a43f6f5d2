// Writing, importing and opening, beside what the disk itself does: fdatasync for
// power-safe writes, bytes given for bytes written.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/support.h"
#include "engram/engram.h"

namespace engram::bench {
namespace {

constexpr std::uint32_t kDimension = 100;
const std::string kPayload(200, 'p');

std::unique_ptr<Store> OpenStore(const std::string& path, std::uint32_t dimension) {
  StoreOptions options;
  options.dimension = dimension;
  options.create_if_missing = true;
  auto store = Store::Open(options, path);
  return store.ok() ? *std::move(store) : nullptr;
}

// The number after `name` in a file of /proc/self, 0 when it is not there.
std::uint64_t FromProc(const char* file, std::string_view name) {
  std::ifstream in(absl::StrCat("/proc/self/", file));
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind(name, 0) != 0) continue;
    std::istringstream rest(line.substr(name.size()));
    std::uint64_t value = 0;
    rest >> value;
    return value;
  }
  return 0;
}

bool HoldsAll(const Store& store, std::uint64_t memories) {
  return store.Stats().memories == memories && store.Get({}, 0).ok();
}

void PutOneByOne(benchmark::State& state) {
  TempDir folder;
  const auto store = OpenStore(folder / "s", kDimension);
  if (store == nullptr) return state.SkipWithError("cannot open");
  const std::vector<float> vector = SeededFloats(kDimension, 1);
  WriteOptions options;
  options.durability = Durability::kProcess;
  MemoryId id = 0;
  for (auto _ : state) {
    if (!store->Put(options, id++, vector, kPayload).ok()) return state.SkipWithError("put");
  }
  if (!HoldsAll(*store, id)) return state.SkipWithError("memories are missing");
  state.SetItemsProcessed(static_cast<std::int64_t>(id));
}

void PutBatches(benchmark::State& state) {
  TempDir folder;
  const auto store = OpenStore(folder / "s", kDimension);
  if (store == nullptr) return state.SkipWithError("cannot open");
  const std::vector<float> vector = SeededFloats(kDimension, 1);
  MemoryId id = 0;
  for (auto _ : state) {
    WriteBatch batch;
    for (int i = 0; i < 1000; ++i) batch.Put(id++, vector, kPayload);
    if (!store->Write({}, batch).ok()) return state.SkipWithError("write");
  }
  if (!HoldsAll(*store, id)) return state.SkipWithError("memories are missing");
  state.SetItemsProcessed(static_cast<std::int64_t>(id));
}

// What the disk allows: as many bytes as such a put gives to the log, appended and synced.
void Fdatasync(benchmark::State& state) {
  TempDir folder;
  const int file = ::open((folder / "f").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  if (file < 0) return state.SkipWithError("cannot create a file");
  const std::string record(900, 'r');
  for (auto _ : state) {
    if (::write(file, record.data(), record.size()) < 0 || ::fdatasync(file) != 0) {
      state.SkipWithError("fdatasync");
      break;
    }
  }
  ::close(file);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// range(0) threads put power-safely, 64 memories each.
void PutPowerSafe(benchmark::State& state) {
  TempDir folder;
  const auto store = OpenStore(folder / "s", kDimension);
  if (store == nullptr) return state.SkipWithError("cannot open");
  const std::vector<float> vector = SeededFloats(kDimension, 1);
  WriteOptions options;
  options.durability = Durability::kPower;
  constexpr MemoryId kEach = 64;
  MemoryId next = 0;
  for (auto _ : state) {
    std::vector<std::thread> threads;
    for (std::int64_t t = 0; t < state.range(0); ++t, next += kEach) {
      threads.emplace_back([&, first = next] {
        for (MemoryId id = first; id < first + kEach; ++id) {
          store->Put(options, id, vector, kPayload).IgnoreError();  // HoldsAll tells
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  if (!HoldsAll(*store, next)) return state.SkipWithError("memories are missing");
  state.SetItemsProcessed(static_cast<std::int64_t>(next));
}

void Import(benchmark::State& state) {
  constexpr std::uint32_t kWide = 768;
  constexpr std::uint64_t kRows = 200'000;
  const std::vector<float> rows = SeededFloats(std::size_t{kWide} * 1000, 1);
  const std::uint64_t given = kRows * (kWide * sizeof(float) + kPayload.size());
  double ratio = 0, codes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto folder = std::make_unique<TempDir>();
    auto store = OpenStore(*folder / "s", kWide);
    if (store == nullptr) return state.SkipWithError("cannot open");
    const std::uint64_t before = FromProc("io", "write_bytes:");
    state.ResumeTiming();
    std::uint64_t next = 0;
    const auto report = store->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (next == kRows) return false;
      row->id = next;
      row->vector = absl::MakeConstSpan(rows).subspan(next % 1000 * kWide, kWide);
      row->payload = kPayload;
      ++next;
      return true;
    });
    state.PauseTiming();
    if (!report.ok() || !HoldsAll(*store, kRows)) return state.SkipWithError("import");
    codes = static_cast<double>(store->Stats().bytes_codes) / static_cast<double>(given);
    if (!store->Close().ok()) return state.SkipWithError("close");
    ratio =
        static_cast<double>(FromProc("io", "write_bytes:") - before) / static_cast<double>(given);
    store.reset();
    folder.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * given));
  // Codes are apart: they are no copy of what was given.
  state.counters["written_per_byte"] = ratio - codes;
  state.counters["codes_per_byte"] = codes;
}

// When blocks are compared with their checksums.
enum When : int { kFirstTouch = 0, kAtOpen = 1, kNever = 2, kVerify = 3 };

// Opens 200,000 x 100 and answers once, or verifies; tells the anonymous memory that took.
void Reopen(benchmark::State& state) {
  const auto when = static_cast<When>(state.range(0));
  TempDir folder;
  const std::vector<float> rows = SeededFloats(std::size_t{kDimension} * 1000, 1);
  {
    const auto store = OpenStore(folder / "s", kDimension);
    if (store == nullptr) return state.SkipWithError("cannot open");
    std::uint64_t next = 0;
    const auto report = store->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
      if (next == 200'000) return false;
      row->id = next;
      row->vector = absl::MakeConstSpan(rows).subspan(next % 1000 * kDimension, kDimension);
      row->payload = kPayload;
      ++next;
      return true;
    });
    if (!report.ok()) return state.SkipWithError("import");
  }
  double anonymous = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const std::uint64_t before = FromProc("smaps_rollup", "Anonymous:");
    state.ResumeTiming();
    StoreOptions options;
    options.verify_at_open = when == kAtOpen;
    auto opened = Store::Open(options, folder / "s");
    if (!opened.ok()) return state.SkipWithError("cannot open");
    std::unique_ptr<Store> store = *std::move(opened);
    if (when == kVerify) {
      const auto report = store->Verify({});
      if (!report.ok() || !report->findings.empty()) return state.SkipWithError("damage");
    }
    SearchOptions search;
    search.verify_checksums = when != kNever;
    const auto found = store->Search(search, absl::MakeConstSpan(rows).subspan(0, kDimension));
    if (!found.ok() || found->hits.at(0).id != 0) return state.SkipWithError("wrong answer");
    state.PauseTiming();
    const std::uint64_t after = FromProc("smaps_rollup", "Anonymous:");
    if (after > before) anonymous = std::max(anonymous, static_cast<double>(after - before) / 1024);
    store.reset();
    state.ResumeTiming();
  }
  state.counters["anonymous_MiB"] = anonymous;
}

BENCHMARK(PutOneByOne)->Name("put/one-by-one")->UseRealTime();
BENCHMARK(PutBatches)->Name("put/batches-of-1000")->UseRealTime();
BENCHMARK(Fdatasync)->Name("disk/fdatasync")->UseRealTime();
BENCHMARK(PutPowerSafe)->Name("put/power-safe/threads")->Arg(1)->Arg(8)->UseRealTime();
BENCHMARK(Import)
    ->Name("import/200000x768")
    ->UseRealTime()
    ->Iterations(2)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(Reopen)
    ->Name("open/200000x100")
    ->ArgName("checked:touch=0,open=1,never=2,verify=3")
    ->DenseRange(kFirstTouch, kVerify)
    ->UseRealTime()
    ->Iterations(20)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  engram::bench::DescribeMachine();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

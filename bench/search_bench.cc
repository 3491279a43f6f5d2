// Search itself: over mapped blocks beside the bare kernel over one heap array, on
// GloVe words where ENGRAM_DATA says they are, and beside a writer.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/support.h"
#include "engram/engram.h"
#include "kernels/dispatch.h"

namespace engram::bench {
namespace {

// A store with rows ids 0, 1, ..., sealed and opened again.
struct SealedStore {
  SealedStore(const std::vector<float>& rows_in, std::uint32_t dimension_in,
              std::uint32_t rows_per_block = 0)
      : rows(rows_in), dimension(dimension_in) {
    StoreOptions options;
    options.dimension = dimension;
    options.create_if_missing = true;
    options.rows_per_block = rows_per_block;
    {
      auto created = Store::Open(options, folder / "s");
      if (!created.ok()) return;
      std::size_t next = 0;
      const auto report = (*created)->Import({}, [&](ImportRow* row) -> absl::StatusOr<bool> {
        if (next == rows.size()) return false;
        row->id = next / dimension;
        row->vector = absl::MakeConstSpan(rows).subspan(next, dimension);
        next += dimension;
        return true;
      });
      if (!report.ok() || !(*created)->Seal().ok()) return;
    }
    auto opened = Store::Open(options, folder / "s");
    if (opened.ok()) store = *std::move(opened);
  }
  absl::Span<const float> row(std::size_t i) const {
    return absl::MakeConstSpan(rows).subspan(i * dimension, dimension);
  }

  TempDir folder;
  const std::vector<float>& rows;
  const std::uint32_t dimension;
  std::unique_ptr<Store> store;
};

SearchOptions OneThread() {
  SearchOptions options;
  options.k = 10;
  options.threads = 1;
  return options;
}

// Every row in f32, to be compared with kernels and libraries that score every row too.
SearchOptions Plain() {
  SearchOptions options = OneThread();
  options.plain = true;
  return options;
}

// Every row finds itself first: of a cosine, the largest there is.
bool FindsItself(const SealedStore& sealed) {
  for (const std::size_t i : {std::size_t{0}, sealed.rows.size() / sealed.dimension / 2}) {
    const auto found = sealed.store->Search(OneThread(), sealed.row(i));
    if (!found.ok() || found->hits.empty() || found->hits[0].id != i) return false;
  }
  return true;
}

const std::vector<float>& LargeRows() {
  static const std::vector<float> rows = SeededFloats(std::size_t{200'000} * 768, 1);
  return rows;
}

void SearchMapped(benchmark::State& state) {
  static const SealedStore sealed(LargeRows(), 768);
  if (sealed.store == nullptr || !FindsItself(sealed)) return state.SkipWithError("wrong answer");
  for (auto _ : state) benchmark::DoNotOptimize(sealed.store->Search(Plain(), sealed.row(7)));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * LargeRows().size() * 4));
}

// range(0): KiB of embeddings in a block, about.
void SearchByBlockSize(benchmark::State& state) {
  const auto rows = static_cast<std::uint32_t>(state.range(0) * 1024 / (768 * 4) / 64 * 64);
  const SealedStore sealed(LargeRows(), 768, rows);
  if (sealed.store == nullptr || !FindsItself(sealed)) return state.SkipWithError("wrong answer");
  for (auto _ : state) benchmark::DoNotOptimize(sealed.store->Search(Plain(), sealed.row(7)));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * LargeRows().size() * 4));
}

void KernelOverHeap(benchmark::State& state) {
  const engram_kernels* table = kernels::FindKernels("");
  std::vector<float> scores(200'000);
  for (auto _ : state) {
    table->dot(LargeRows().data() + 7 * 768, LargeRows().data(), scores.size(), 768, 768,
               scores.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * LargeRows().size() * 4));
}

// Reads a file of half floats; empty when it is not there.
std::vector<float> ReadHalves(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<float> floats(bytes.size() / 2);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    std::uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, sizeof half);
    const int exponent = (half >> 10) & 31;
    const double fraction = half & 1023;
    const double size =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    floats[i] = static_cast<float>((half & 0x8000) != 0 ? -size : size);
  }
  return floats;
}

void SearchGlove(benchmark::State& state) {
  const char* data = std::getenv("ENGRAM_DATA");
  if (data == nullptr) return state.SkipWithError("ENGRAM_DATA does not name the data sets");
  static const std::vector<float> base = ReadHalves(absl::StrCat(data, "/glove-100d/base.f16"));
  static const std::vector<float> queries =
      ReadHalves(absl::StrCat(data, "/glove-100d/queries.f16"));
  if (base.empty() || queries.empty()) return state.SkipWithError("no GloVe words there");
  static const SealedStore sealed(base, 100);
  if (sealed.store == nullptr || !FindsItself(sealed)) return state.SkipWithError("wrong answer");
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        sealed.store->Search(Plain(), absl::MakeConstSpan(queries).subspan(next, 100)));
    next = (next + 100) % queries.size();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// Puts `rows_per_second` rows a second until told to stop.
void WriteAtRate(Store& store, const SealedStore& source, std::uint64_t rows_per_second,
                 const std::atomic<bool>& stop, std::atomic<bool>& failed) {
  const auto begin = std::chrono::steady_clock::now();
  constexpr std::size_t kBatch = 50;
  for (std::uint64_t written = 0; !stop; written += kBatch) {
    WriteBatch batch;
    for (std::size_t i = 0; i < kBatch; ++i) {
      batch.Put(1'000'000 + written + i, source.row((written + i) % 100'000), "payload");
    }
    if (!store.Write({}, batch).ok()) failed = true;
    std::this_thread::sleep_until(begin +
                                  std::chrono::microseconds(written * 1'000'000 / rows_per_second));
  }
}

// Searches a CPU second of the searching thread; arg 1: beside 5,000 rows a second.
void SearchBesideWriter(benchmark::State& state) {
  static const std::vector<float> rows = SeededFloats(std::size_t{200'000} * 100, 5);
  SealedStore sealed(rows, 100);
  if (sealed.store == nullptr || !FindsItself(sealed)) return state.SkipWithError("wrong answer");
  std::atomic<bool> stop{false}, failed{false};
  std::thread writer;
  if (state.range(0) == 1) {
    writer = std::thread([&] { WriteAtRate(*sealed.store, sealed, 5'000, stop, failed); });
  }
  for (auto _ : state) {
    timespec before, after;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    benchmark::DoNotOptimize(sealed.store->Search(OneThread(), sealed.row(7)));
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    state.SetIterationTime(static_cast<double>(after.tv_sec - before.tv_sec) +
                           1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec));
  }
  stop = true;
  if (writer.joinable()) writer.join();
  if (failed) state.SkipWithError("a write failed");
}

BENCHMARK(SearchMapped)->Name("search/200000x768/mapped")->Unit(benchmark::kMillisecond);
BENCHMARK(KernelOverHeap)->Name("search/200000x768/heap-kernel")->Unit(benchmark::kMillisecond);
BENCHMARK(SearchByBlockSize)
    ->Name("search/200000x768/block-KiB")
    ->RangeMultiplier(2)
    ->Range(256, 8192)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(SearchGlove)->Name("search/glove-200000x100")->Unit(benchmark::kMillisecond);
BENCHMARK(SearchBesideWriter)
    ->Name("search/200000x100/beside-writer")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(600)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  engram::bench::DescribeMachine();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

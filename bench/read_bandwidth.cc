// Says how fast this machine reads memory as a search does: read_bandwidth BYTES maps a file of so
// many bytes by pages of 4 KiB and then, for each line of stdin, sums it over and over and prints
// GB/s: the median pass of the fastest of its sums.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/support.h"

namespace engram::bench {
namespace {

// The file is written, not only made longer: pages that were never written are all one page.
const std::uint64_t* MapFile(const std::string& path, std::size_t bytes) {
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_EXCL, 0600);
  if (file < 0) return nullptr;
  const std::vector<char> chunk(std::size_t{1} << 20, 'e');
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t wrote = ::write(file, chunk.data(), std::min(chunk.size(), bytes - done));
    if (wrote <= 0) return ::close(file), nullptr;
    done += static_cast<std::size_t>(wrote);
  }
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED) return nullptr;
  ::madvise(mapped, bytes, MADV_NOHUGEPAGE);
  return static_cast<const std::uint64_t*>(mapped);
}

// Several sums, so that no addition waits for the one before.
[[gnu::always_inline]] inline std::uint64_t Sum(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sums[32] = {};
  for (std::size_t i = 0; i + 32 <= count; i += 32) {
    for (std::size_t lane = 0; lane < 32; ++lane) sums[lane] += words[i + lane];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

// By vectors of each width, since none is the fastest everywhere.
using SumFunction = std::uint64_t (*)(const std::uint64_t*, std::size_t);
std::uint64_t SumPlain(const std::uint64_t* words, std::size_t count) { return Sum(words, count); }
#ifdef __x86_64__
[[gnu::target("avx2")]] std::uint64_t Sum256(const std::uint64_t* words, std::size_t count) {
  return Sum(words, count);
}
[[gnu::target("avx512f,prefer-vector-width=512")]] std::uint64_t Sum512(const std::uint64_t* words,
                                                                        std::size_t count) {
  return Sum(words, count);
}
#endif

std::vector<SumFunction> Sums() {
  std::vector<SumFunction> sums = {SumPlain};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") != 0) sums.push_back(Sum256);
  if (__builtin_cpu_supports("avx512f") != 0) sums.push_back(Sum512);
#endif
  return sums;
}

double Median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<long>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double GigabytesPerSecond(SumFunction sum, const std::uint64_t* words, std::size_t bytes) {
  std::vector<double> seconds;
  double total = 0;
  while (seconds.size() < 3 || total < 0.2) {
    const auto begin = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(sum(words, bytes / sizeof(std::uint64_t)));
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    total += seconds.back();
  }
  return static_cast<double>(bytes) / Median(seconds) / 1e9;
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  using namespace engram::bench;
  const std::size_t bytes = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (bytes == 0) return 2;
  const TempDir folder;
  const std::uint64_t* words = MapFile(folder / "f", bytes);
  if (words == nullptr) return std::perror("read_bandwidth"), 1;
  while (std::getchar() != EOF) {
    double best = 0;
    for (const SumFunction sum : Sums()) {
      best = std::max(best, GigabytesPerSecond(sum, words, bytes));
    }
    std::printf("%.3f\n", best);
    std::fflush(stdout);
  }
  return 0;
}

// What every benchmark here needs: the machine's name in the output, seeded data,
// and a folder that goes away.
#ifndef ENGRAM_BENCH_SUPPORT_H_
#define ENGRAM_BENCH_SUPPORT_H_

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "engram/version.h"

namespace engram::bench {

inline void DescribeMachine() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    benchmark::AddCustomContext("cpu", line.substr(line.find(':') + 2));
    break;
  }
  for (const KernelInfo& kernels : Kernels()) {
    if (kernels.is_default) benchmark::AddCustomContext("kernels", kernels.name);
  }
}

inline std::vector<float> SeededFloats(std::size_t count, std::uint32_t seed) {
  std::minstd_rand random(seed);
  std::vector<float> floats(count);
  for (float& value : floats) {
    value = static_cast<float>(random()) / static_cast<float>(1U << 30) - 1.0f;
  }
  return floats;
}

class TempDir {
 public:
  // In the working folder, because /tmp may lie in memory.
  TempDir() {
    std::string pattern = "bench-XXXXXX";
    path_ = ::mkdtemp(pattern.data()) == nullptr ? "" : std::filesystem::absolute(pattern);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace engram::bench

#endif  // ENGRAM_BENCH_SUPPORT_H_

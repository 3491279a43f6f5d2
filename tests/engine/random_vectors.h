// Random vectors, and all kernels there are, for tests of searches.
#ifndef ENGRAM_TESTS_ENGINE_RANDOM_VECTORS_H_
#define ENGRAM_TESTS_ENGINE_RANDOM_VECTORS_H_

#include <random>
#include <vector>

#include "kernels/dispatch.h"

namespace engram::engine {

using Random = std::mt19937_64;
using Vector = std::vector<float>;

inline std::vector<const engram_kernels*> UsableTables() {
  std::vector<const engram_kernels*> tables;
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    if (choice.usable) tables.push_back(choice.table);
  }
  return tables;
}

inline Vector Normals(std::size_t size, Random& random, double scale = 1) {
  std::normal_distribution<float> normal;
  Vector numbers(size);
  for (float& number : numbers) number = normal(random) * static_cast<float>(scale);
  return numbers;
}

}  // namespace engram::engine

#endif  // ENGRAM_TESTS_ENGINE_RANDOM_VECTORS_H_

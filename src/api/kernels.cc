// The C entries: thin, over the table that the machine or the environment chose.
#include "engram/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/dispatch.h"

namespace {

const engram_kernels& Chosen() {
  static const engram_kernels* const table = [] {
    const char* wish = std::getenv("ENGRAM_KERNELS");
    const engram_kernels* wished = wish == nullptr ? nullptr : engram::kernels::FindKernels(wish);
    return wished != nullptr ? wished : engram::kernels::FindKernels("");
  }();
  return *table;
}

}  // namespace

extern "C" {

void engram_vector_similarity(const float* query, const float* candidates, float* scores,
                              size_t query_len, size_t num_candidates) {
  if (query_len == 0) {
    std::fill_n(scores, num_candidates, 0.0f);
    return;
  }
  const engram_kernels& kernels = Chosen();
  float query_square = 0.0f;
  kernels.dot(query, query, 1, query_len, query_len, &query_square);
  for (size_t i = 0; i < num_candidates; ++i) {
    const float* candidate = candidates + i * query_len;
    float dot = 0.0f, square = 0.0f;
    kernels.dot(query, candidate, 1, query_len, query_len, &dot);
    // The candidate is in the first cache by now.
    kernels.dot(candidate, candidate, 1, query_len, query_len, &square);
    const float cosine = dot / (std::sqrt(query_square) * std::sqrt(square));
    scores[i] = std::isfinite(cosine) ? std::clamp(cosine, -1.0f, 1.0f) : 0.0f;
  }
}

void engram_spread_activation(const uint32_t* offsets, const uint32_t* targets,
                              const float* weights, uint32_t num_nodes, const float* activation,
                              float* next) {
  const engram_edges edges = {offsets, targets, weights, 0, num_nodes};
  Chosen().push(&edges, activation, next);
}

void engram_apply_decay(const float* strengths, const float* ages, float* strengths_out,
                        size_t count, float half_life) {
  if (!(half_life > 0.0f) || std::isinf(half_life)) {
    if (strengths_out != strengths && count > 0) {
      std::memcpy(strengths_out, strengths, count * sizeof(float));
    }
    return;
  }
  Chosen().decay(strengths, ages, count, half_life, strengths_out);
}

}  // extern "C"

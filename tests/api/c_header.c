/* The C entries as C sees them. */
#include "engram/kernels.h"

float engram_test_cosine_in_c(const float* a, const float* b, size_t length);

float engram_test_cosine_in_c(const float* a, const float* b, size_t length) {
  float score = 2.0f;
  engram_vector_similarity(a, b, &score, length, 1);
  return score;
}

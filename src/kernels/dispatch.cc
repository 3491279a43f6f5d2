#include "kernels/dispatch.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#if ENGRAM_ZIG_KERNELS
#define ENGRAM_DECLARE(level) \
  extern const engram_kernels engram_kernels_zig_##level, engram_kernels_cpp_##level
#define ENGRAM_CHOICES(level, usable) \
  {&engram_kernels_zig_##level, usable}, { &engram_kernels_cpp_##level, usable }
#else
#define ENGRAM_DECLARE(level) extern const engram_kernels engram_kernels_cpp_##level
#define ENGRAM_CHOICES(level, usable) \
  { &engram_kernels_cpp_##level, usable }
#endif

extern "C" {
#if defined(__x86_64__)
ENGRAM_DECLARE(v4vnni);
ENGRAM_DECLARE(v4);
ENGRAM_DECLARE(v3);
ENGRAM_DECLARE(v2);
#elif defined(__aarch64__)
ENGRAM_DECLARE(dotprod);
ENGRAM_DECLARE(neon);
#endif
ENGRAM_DECLARE(baseline);
}

namespace engram::kernels {

Choices AllKernels() {
#if defined(__x86_64__)
  // GCC 12 and Clang 14 know no level names here; these features are what the
  // levels have that the ones below have not, and that the kernels can use.
  static const bool v2 = __builtin_cpu_supports("sse4.2") != 0;
  static const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  static const bool v4 = v3 && __builtin_cpu_supports("avx512f") &&
                         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool v4vnni = v4 && __builtin_cpu_supports("avx512vnni");
  static const Choice choices[] = {ENGRAM_CHOICES(v4vnni, v4vnni), ENGRAM_CHOICES(v4, v4),
                                   ENGRAM_CHOICES(v3, v3), ENGRAM_CHOICES(v2, v2),
                                   ENGRAM_CHOICES(baseline, true)};
#elif defined(__aarch64__)
  // Every aarch64 CPU has NEON.
  static const bool dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  static const Choice choices[] = {ENGRAM_CHOICES(dotprod, dotprod), ENGRAM_CHOICES(neon, true),
                                   ENGRAM_CHOICES(baseline, true)};
#else
  static const Choice choices[] = {ENGRAM_CHOICES(baseline, true)};
#endif
  return {choices, sizeof choices / sizeof choices[0]};
}

const engram_kernels* FindKernels(std::string_view name) {
  for (const Choice& choice : AllKernels()) {
    if (choice.usable && (name.empty() || name == choice.table->name)) return choice.table;
  }
  return nullptr;
}

}  // namespace engram::kernels

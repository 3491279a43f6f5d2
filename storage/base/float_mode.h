// Floating-point arithmetic as the bounds of docs/exactness.md count it: rounded to the nearest,
// denormals kept. Threads inherit another mode from whoever asked for it, such as a program
// compiled with -ffast-math, and answers must not depend on that.
#ifndef ENGRAM_STORAGE_BASE_FLOAT_MODE_H_
#define ENGRAM_STORAGE_BASE_FLOAT_MODE_H_

#if defined(__SSE__)
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace engram::storage {

// While it lives, this thread computes in the default mode; afterwards in the one it had. Belongs
// to one thread.
class DefaultFloatMode {
 public:
#if defined(__SSE__)
  DefaultFloatMode() : before_(_mm_getcsr()) {
    if ((before_ & ~kRaised) != kDefault) _mm_setcsr(kDefault);
  }
  ~DefaultFloatMode() {
    if ((before_ & ~kRaised) != kDefault) _mm_setcsr(before_);
  }
#else
  DefaultFloatMode() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatMode() { std::fesetenv(&before_); }
#endif
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
#if defined(__SSE__)
  static constexpr unsigned kDefault = 0x1f80;  // all exceptions masked
  static constexpr unsigned kRaised = 0x3f;     // which of them there were
  const unsigned before_;
#else
  std::fenv_t before_;
#endif
};

}  // namespace engram::storage

#endif  // ENGRAM_STORAGE_BASE_FLOAT_MODE_H_

// Which kernels run: one list of tables, best first, and one choice by CPU.
#ifndef ENGRAM_KERNELS_DISPATCH_H_
#define ENGRAM_KERNELS_DISPATCH_H_

#include <cstddef>
#include <string_view>

#include "kernels/abi.h"

namespace engram::kernels {

struct Choice {
  const engram_kernels* table;
  bool usable;  // this CPU has the level's instructions
};

// Every table in the library, best first; the last is usable everywhere.
struct Choices {
  const Choice* begin_;
  std::size_t size_;
  const Choice* begin() const { return begin_; }
  const Choice* end() const { return begin_ + size_; }
};
Choices AllKernels();

// Returns: the table of that name if this CPU runs it, else null. Of "": the best.
const engram_kernels* FindKernels(std::string_view name);

}  // namespace engram::kernels

#endif  // ENGRAM_KERNELS_DISPATCH_H_

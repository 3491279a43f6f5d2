#include "engram/version.h"

#include "absl/strings/str_format.h"
#include "kernels/dispatch.h"
#include "storage/database.h"
#include "storage/format/record_format.h"

namespace engram {

std::string Version() {
  return absl::StrFormat("%d.%d.%d", ENGRAM_VERSION_MAJOR, ENGRAM_VERSION_MINOR,
                         ENGRAM_VERSION_PATCH);
}

std::uint32_t FormatVersion() { return storage::kFormatVersion; }

std::string BackendVersion() { return storage::RocksVersion(); }

std::vector<KernelInfo> Kernels() {
  std::vector<KernelInfo> infos;
  const engram_kernels* best = kernels::FindKernels("");
  for (const kernels::Choice& choice : kernels::AllKernels()) {
    infos.push_back(
        {.name = choice.table->name, .usable = choice.usable, .is_default = choice.table == best});
  }
  return infos;
}

}  // namespace engram

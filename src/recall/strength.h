// How strong memories are at a clock: nothing is rewritten while time passes.
#ifndef ENGRAM_RECALL_STRENGTH_H_
#define ENGRAM_RECALL_STRENGTH_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engram/options.h"
#include "kernels/abi.h"
#include "storage/view.h"

namespace engram::recall {

// Errors: kInvalidArgument naming the option.
absl::Status CheckStrengthOptions(const StrengthOptions& options);

// Returns: the strength of each at `now`, as options.h defines it. One of which nobody knows
// when it was used has not faded.
std::vector<float> StrengthsAt(const engram_kernels& kernels, const StrengthOptions& options,
                               std::int64_t now, absl::Span<const storage::Strength> strengths);

}  // namespace engram::recall

#endif  // ENGRAM_RECALL_STRENGTH_H_

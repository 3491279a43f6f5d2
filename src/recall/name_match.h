// Which keys a text names: runs of its tokens that are the normal form of a
// key (storage/format/name_format.h). The keys are the caller's to look up, so
// that the store answers from its index and a test from a set.
#ifndef ENGRAM_RECALL_NAME_MATCH_H_
#define ENGRAM_RECALL_NAME_MATCH_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace engram::recall {

// What the keys say to one form.
struct NameFound {
  bool whole = false;     // it is the form of a key
  bool may_grow = false;  // it may, followed by a space, begin the form of a key; true is
                          // always right, and costs further look-ups
};
using LookUpName = absl::FunctionRef<absl::StatusOr<NameFound>(std::string_view form)>;

struct NameMatch {
  std::string form;
  std::size_t begin = 0;
  std::size_t end = 0;  // the bytes [begin, end) of the text, without a last possessive

  friend bool operator==(const NameMatch&, const NameMatch&) = default;
};

// Returns: the runs of tokens of `text` (any bytes) that are forms of keys, in
// the order of the text: those of more tokens are chosen first, of as many the
// one that begins first, and none overlaps one chosen before. Calls `look_up` at
// most storage::kMaxNameTokens times per token, with forms of at most
// storage::kMaxNameBytes bytes.
// Errors: the first error of `look_up`.
absl::StatusOr<std::vector<NameMatch>> MatchNames(std::string_view text, LookUpName look_up);

}  // namespace engram::recall

#endif  // ENGRAM_RECALL_NAME_MATCH_H_

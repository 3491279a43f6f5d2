#include "recall/name_match.h"

#include <algorithm>

#include "storage/base/status.h"
#include "storage/format/name_format.h"

namespace engram::recall {
namespace {

using storage::NameToken;

struct Run {
  std::size_t first = 0;  // of the tokens
  std::size_t count = 0;
};

// Appends to `runs` those that begin with token `first` and are the form of a key.
absl::Status FindRuns(const std::vector<NameToken>& tokens, std::size_t first, LookUpName look_up,
                      std::vector<Run>& runs) {
  const std::size_t limit = std::min(tokens.size() - first, storage::kMaxNameTokens);
  std::string form;
  for (std::size_t count = 1; count <= limit; ++count) {
    const std::string& folded = tokens[first + count - 1].folded;
    if (folded.empty()) break;
    if (count > 1) form += ' ';
    form += folded;
    if (form.size() > storage::kMaxNameBytes) break;
    ENGRAM_ASSIGN_OR_RETURN(const NameFound found, look_up(form));
    if (found.whole) runs.push_back({.first = first, .count = count});
    if (!found.may_grow) break;
  }
  return absl::OkStatus();
}

NameMatch MatchOf(const std::vector<NameToken>& tokens, const Run& run) {
  const std::size_t last = run.first + run.count - 1;
  NameMatch match{.form = {}, .begin = tokens[run.first].begin, .end = tokens[last].end};
  for (std::size_t i = run.first; i <= last; ++i) {
    if (i > run.first) match.form += ' ';
    match.form += tokens[i].folded;
  }
  return match;
}

}  // namespace

absl::StatusOr<std::vector<NameMatch>> MatchNames(std::string_view text, LookUpName look_up) {
  const std::vector<NameToken> tokens = storage::TokensOf(text);
  std::vector<Run> runs;
  for (std::size_t first = 0; first < tokens.size(); ++first) {
    ENGRAM_RETURN_IF_ERROR(FindRuns(tokens, first, look_up, runs));
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return a.count > b.count || (a.count == b.count && a.first < b.first);
  });
  std::vector<bool> taken(tokens.size());
  std::vector<Run> chosen;
  for (const Run& run : runs) {
    // A run chosen before is no shorter: if it overlaps this one, it holds its first or last token.
    if (taken[run.first] || taken[run.first + run.count - 1]) continue;
    std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(run.first), run.count, true);
    chosen.push_back(run);
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const Run& a, const Run& b) { return a.first < b.first; });
  std::vector<NameMatch> matches;
  matches.reserve(chosen.size());
  for (const Run& run : chosen) matches.push_back(MatchOf(tokens, run));
  return matches;
}

}  // namespace engram::recall

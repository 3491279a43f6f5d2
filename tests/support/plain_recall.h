// Spreading and recall over again, in double and plain loops, from what options.h says:
// what tests compare the library with.
#ifndef ENGRAM_TESTS_SUPPORT_PLAIN_RECALL_H_
#define ENGRAM_TESTS_SUPPORT_PLAIN_RECALL_H_

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "engram/engram.h"

namespace engram::testing {

// (from, type, to) -> weight.
using PlainEdges = std::map<std::tuple<MemoryId, std::uint32_t, MemoryId>, float>;

struct PlainSpread {
  std::map<MemoryId, double> activation;           // above zero
  std::map<MemoryId, std::uint32_t> hops;          // the step that first brought activation
  std::map<MemoryId, std::uint32_t> first_passed;  // the first step in which it went on
  // What each memory was given in the last step, by source.
  std::map<MemoryId, std::map<MemoryId, double>> gifts;
  std::uint32_t steps = 0;
  std::uint64_t edges_followed = 0;
  // The least relative distance of an activation to a line where rounding changes the
  // answer by more than rounding: the threshold, and the last that max_active lets pass.
  double margin = 1.0;
};
PlainSpread SpreadPlainly(const PlainEdges& edges, const SpreadOptions& options,
                          const std::vector<std::pair<MemoryId, double>>& seeds);

// By how much, relatively, an f32 spreading over `edges` may differ: all its terms are
// positive, so that each rounding counts once for each term of a sum and step.
double SpreadBound(const PlainEdges& edges, std::uint32_t steps);

struct PlainMemory {
  std::vector<float> vector;
  double strength = 1.0;
};

struct PlainHit {
  MemoryId id = 0;
  double score = 0.0, similarity = 0.0, activation = 0.0, strength = 1.0;
};
struct PlainRecall {
  std::vector<PlainHit> hits;  // all candidates, best first
  PlainSpread spread;
  double margin = 1.0;  // of the spread, and of the seeds' similarities to one another
};
PlainRecall RecallPlainly(const std::map<MemoryId, PlainMemory>& memories, const PlainEdges& edges,
                          Metric metric, const RecallOptions& options,
                          const std::vector<float>& cue);

}  // namespace engram::testing

#endif  // ENGRAM_TESTS_SUPPORT_PLAIN_RECALL_H_

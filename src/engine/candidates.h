// The rows that one query has still to look at in f32, and the best of those it has.
#ifndef ENGRAM_ENGINE_CANDIDATES_H_
#define ENGRAM_ENGINE_CANDIDATES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "engine/coded_slices.h"
#include "engine/score_bounds.h"
#include "engine/search_job.h"

namespace engram::engine {

// Belongs to one thread. A row is added once at most.
class Candidates {
 public:
  // Which rows of the sample were scored, in ascending order: slice and index in one number.
  using Scored = std::vector<std::uint64_t>;

  Candidates(const SearchJob& job, const CodedSlices& slices, const Query& query,
             const ScoreBounds& bounds, const FineQuery& fine)
      : job_(job),
        slices_(slices),
        query_(query),
        bounds_(bounds),
        fine_(fine),
        best_(job.NoHits()),
        threshold_(best_.threshold()),
        least_(bounds.LeastProduct(threshold_, slices.most_norm())) {}

  // No row that scores below it is among the k best.
  float threshold() const { return threshold_; }
  void SetThreshold(float threshold) {
    if (threshold <= threshold_) return;
    threshold_ = threshold;
    least_ = bounds_.LeastProduct(threshold, slices_.most_norm());
  }
  // What threshold() means for <p, u>: see ScoreBounds::LeastProduct.
  double least() const { return least_; }

  std::size_t size() const { return list_.size(); }
  std::uint64_t rescored() const { return rescored_; }

  // Returns: the hits found since the last time that may be among the k best.
  std::vector<Hit> TakeFresh() { return std::exchange(fresh_, {}); }

  // `all`: CodedSlice::Estimate of the superblocks that `stride` samples. Scores the most
  // promising rows, which gives a threshold to begin with, and returns which those are.
  Scored StartFrom(absl::Span<const float> all, std::size_t stride, DeadlineWatch& watch);

  // Rows of the sample that need not be scored again. They live longer than this.
  void PassOver(const Scored& scored) { scored_ = scored; }

  // Rows that CodedSlice::Scan found from superblock `s` on.
  void Add(const CodedSlice& slice, const ScoreBounds::ForBlock& block, std::size_t s,
           const std::uint32_t* rows, const float* bounds, std::size_t count);

  // Drops those that the threshold has left behind.
  void DropHopeless();

  // Scores the k most promising rows that came since the last time.
  void Climb(DeadlineWatch& watch);

  // Thins out what is left by fine codes, and scores what remains; calls `share` now and then,
  // which may raise the threshold.
  void Finish(DeadlineWatch& watch, absl::FunctionRef<void()> share);

 private:
  struct Candidate {
    float bound;  // of <p, u>
    std::uint32_t slice;
    std::uint32_t index;
  };

  const CodedSlice& SliceOf(const Candidate& candidate) const {
    return slices_.slices()[candidate.slice];
  }
  std::uint32_t NumberOf(const CodedSlice& slice) const {
    return static_cast<std::uint32_t>(&slice - slices_.slices().data());
  }
  static std::uint64_t PlaceOf(std::uint32_t slice, std::uint32_t index) {
    return std::uint64_t{slice} << 32 | index;
  }
  // A bound that is no number rules out.
  bool IsHopeless(const Candidate& candidate) const { return !(double{candidate.bound} >= least_); }
  // Scores those that are not ruled out, while there is time. Returns: how many it looked at.
  std::size_t ScoreAll(const std::vector<Candidate>& candidates, DeadlineWatch& watch);
  void Score(const Candidate& candidate);
  // So that they are there when they are needed: an f32 row, fine codes of a run of list_.
  void AskFor(const Candidate& candidate) const;
  void AskForFine(std::size_t begin, std::size_t end) const;
  void ThinOut(std::size_t begin, std::size_t end);

  const SearchJob& job_;
  const CodedSlices& slices_;
  const Query& query_;
  const ScoreBounds& bounds_;
  const FineQuery& fine_;
  TopK best_;
  std::vector<Hit> fresh_;
  absl::Span<const std::uint64_t> scored_;
  float threshold_;
  double least_;
  std::vector<Candidate> list_;  // in the order of slices
  std::size_t looked_at_ = 0;    // of list_, by Climb()
  std::uint64_t rescored_ = 0;
  std::vector<std::uint32_t> which_;
  std::vector<std::int32_t> dots_;
};

}  // namespace engram::engine

#endif  // ENGRAM_ENGINE_CANDIDATES_H_

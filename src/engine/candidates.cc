#include "engine/candidates.h"

#include <cmath>

#include "storage/base/rounding.h"

namespace engram::engine {
namespace {

using storage::kSuperblockRows;

// Where many rows are equally good, more than this many of the sample tell nothing new.
constexpr std::size_t kMostOfSample = 64;

// How many rows have their fine codes read between two looks at the clock.
constexpr std::size_t kMostAtOnce = 1024;

// How many rows ahead an f32 row is asked for.
constexpr std::size_t kAhead = 4;

// Returns: a float that is above `value` by a step or two: cheaper than the nearest of them.
float SafelyAbove(double value) {
  return storage::ToFloat(value + std::abs(value) * 0x1p-23) + std::numeric_limits<float>::min();
}

// Returns: the largest of a superblock's bounds, in lanes that a compiler finds vectors in.
float LargestOf(const float* bounds) {
  constexpr std::size_t kLanes = 8;
  float lanes[kLanes];
  std::copy(bounds, bounds + kLanes, lanes);
  for (std::size_t i = kLanes; i < kSuperblockRows; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      lanes[l] = lanes[l] < bounds[i + l] ? bounds[i + l] : lanes[l];
    }
  }
  return *std::max_element(lanes, lanes + kLanes);
}

// Returns: the k-th largest of `values`, minus infinity if there are fewer; reorders them.
float Largest(std::size_t k, std::vector<float>& values) {
  if (values.size() < k) return -std::numeric_limits<float>::infinity();
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(values.begin(), at, values.end(), std::greater<>());
  return *at;
}

}  // namespace

void Candidates::Score(const Candidate& candidate) {
  if (std::binary_search(scored_.begin(), scored_.end(),
                         PlaceOf(candidate.slice, candidate.index))) {
    return;
  }
  const storage::RowSlice& rows = SliceOf(candidate).rows;
  const float score = ScoreRow(job_.kernels, job_.metric, query_, rows, candidate.index);
  ++rescored_;
  const Hit hit = {.id = rows.ids[candidate.index], .score = score};
  if (score >= threshold_) fresh_.push_back(hit);
  best_.Offer(hit);
  SetThreshold(best_.threshold());
}

void Candidates::AskFor(const Candidate& candidate) const {
  const std::size_t dimension = job_.view.dimension();
  const float* row = SliceOf(candidate).rows.embeddings + candidate.index * dimension;
  for (std::size_t i = 0; i < dimension; i += 16) __builtin_prefetch(row + i);
}

std::size_t Candidates::ScoreAll(const std::vector<Candidate>& candidates, DeadlineWatch& watch) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (watch.MustStop(job_.view.dimension() + kWorkPerRow)) return i;
    if (i + kAhead < candidates.size()) AskFor(candidates[i + kAhead]);
    if (!IsHopeless(candidates[i])) Score(candidates[i]);
  }
  return candidates.size();
}

Candidates::Scored Candidates::StartFrom(absl::Span<const float> all, std::size_t stride,
                                         DeadlineWatch& watch) {
  std::vector<float> maxima;
  maxima.reserve(all.size() / kSuperblockRows);
  for (std::size_t at = 0; at < all.size(); at += kSuperblockRows) {
    maxima.push_back(LargestOf(all.data() + at));
  }
  const std::size_t k = job_.MostHits();
  std::vector<float> ordered = maxima;
  const float promising = Largest(k, ordered);
  std::vector<Candidate> first;
  std::size_t at = 0;
  for (const CodedSlice& slice : slices_.slices()) {
    for (std::size_t s = slice.NextSampled(0, stride); s < slice.superblocks; s += stride) {
      if (maxima[at / kSuperblockRows] < promising) {
        at += kSuperblockRows;
        continue;
      }
      for (std::size_t i = 0; i < kSuperblockRows; ++i, ++at) {
        const bool look = all[at] >= promising && all[at] >= least_ &&
                          all[at] > -std::numeric_limits<float>::infinity();
        if (!look || first.size() == 2 * k + kMostOfSample) continue;
        // An estimate is rounded to the nearest, and does not rule out a row.
        first.push_back({std::numeric_limits<float>::infinity(), NumberOf(slice),
                         static_cast<std::uint32_t>(s * kSuperblockRows + i)});
      }
    }
  }
  Scored scored;
  const std::size_t looked_at = ScoreAll(first, watch);
  for (std::size_t i = 0; i < looked_at; ++i) {
    scored.push_back(PlaceOf(first[i].slice, first[i].index));
  }
  return scored;
}

void Candidates::Add(const CodedSlice& slice, const ScoreBounds::ForBlock& block, std::size_t s,
                     const std::uint32_t* rows, const float* bounds, std::size_t count) {
  const auto first = static_cast<std::uint32_t>(s * kSuperblockRows);
  const std::uint32_t number = NumberOf(slice);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t index = first + rows[i];
    if (!slice.Lives(job_, index)) continue;
    // What f32 does not hold is below its lowest number.
    const double bound = std::max(bounds[i], std::numeric_limits<float>::lowest());
    list_.push_back({SafelyAbove(block.step * bound + block.slack), number, index});
  }
}

void Candidates::DropHopeless() {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < list_.size(); ++i) {
    if (i == looked_at_) looked_at_ = kept;
    if (!IsHopeless(list_[i])) list_[kept++] = list_[i];
  }
  looked_at_ = std::min(looked_at_, kept);
  list_.resize(kept);
}

void Candidates::Climb(DeadlineWatch& watch) {
  if (looked_at_ == list_.size()) return;
  const std::size_t k = job_.MostHits();
  const std::size_t fresh = list_.size() - looked_at_;
  // The k-th largest of the largest of each few is reached by k rows, and by hardly more.
  const std::size_t few = std::clamp<std::size_t>(fresh / (4 * k), 1, 16);
  std::vector<float> maxima;
  for (std::size_t i = looked_at_; i < list_.size(); i += few) {
    const std::size_t end = std::min(i + few, list_.size());
    float most = list_[i].bound;
    for (std::size_t j = i + 1; j < end; ++j) most = std::max(most, list_[j].bound);
    maxima.push_back(most);
  }
  const float promising = Largest(std::min(k, maxima.size()), maxima);
  std::vector<Candidate> now;
  const auto begin = list_.begin() + static_cast<std::ptrdiff_t>(looked_at_);
  const auto kept = std::remove_if(begin, list_.end(), [&](const Candidate& candidate) {
    if (candidate.bound < promising || now.size() >= 2 * k) return false;
    now.push_back(candidate);
    return true;
  });
  list_.erase(kept, list_.end());
  ScoreAll(now, watch);
  looked_at_ = list_.size();
}

void Candidates::AskForFine(std::size_t begin, std::size_t end) const {
  // More than this would push out what was asked for first.
  constexpr std::size_t kMost = 64;
  const std::uint32_t dimension = job_.view.dimension();
  for (std::size_t i = begin; i < std::min(end, begin + kMost); ++i) {
    const char* row = SliceOf(list_[i]).FineRow(list_[i].index, dimension);
    for (std::size_t at = 0; at < storage::FineRowBytes(dimension); at += 64) {
      __builtin_prefetch(row + at);
    }
  }
}

void Candidates::ThinOut(std::size_t begin, std::size_t end) {
  const CodedSlice& slice = SliceOf(list_[begin]);
  const std::uint32_t dimension = job_.view.dimension();
  const bool l2 = job_.metric == Metric::kL2Squared;
  which_.clear();
  for (std::size_t i = begin; i < end; ++i) which_.push_back(list_[i].index);
  dots_.resize(which_.size());
  const auto* codes = reinterpret_cast<const std::int8_t*>(slice.rows.codes->fine + 8);
  job_.kernels.fine(fine_.codes.data(), codes, storage::FineRowBytes(dimension), dimension,
                    which_.data(), which_.size(), dots_.data());
  for (std::size_t i = begin; i < end; ++i) {
    Candidate& candidate = list_[i];
    const double bound =
        bounds_.FineBound(fine_, *slice.rows.codes, slice.FineRow(candidate.index, dimension),
                          dots_[i - begin], l2 ? slice.rows.norms[candidate.index] : 0.0f);
    candidate.bound = std::min(candidate.bound, SafelyAbove(bound));
  }
}

void Candidates::Finish(DeadlineWatch& watch, absl::FunctionRef<void()> share) {
  Climb(watch);
  share();
  DropHopeless();
  const auto end_of_run = [&](std::size_t begin) {
    std::size_t end = begin;
    const std::size_t most = std::min(list_.size(), begin + kMostAtOnce);
    while (end < most && list_[end].slice == list_[begin].slice) ++end;
    return end;
  };
  std::size_t begin = 0, end = end_of_run(0);
  AskForFine(begin, end);
  while (begin < end) {
    if (watch.MustStop((end - begin) * job_.view.dimension() / 4)) return;
    const std::size_t next = end_of_run(end);
    AskForFine(end, next);
    ThinOut(begin, end);
    begin = std::exchange(end, next);
  }
  DropHopeless();
  // Best first, a few at a time: most are ruled out before their turn comes.
  const auto less = [](const Candidate& a, const Candidate& b) { return a.bound < b.bound; };
  std::make_heap(list_.begin(), list_.end(), less);
  while (!list_.empty() && !IsHopeless(list_.front())) {
    std::vector<Candidate> next;
    while (!list_.empty() && next.size() < 2 * kAhead) {
      std::pop_heap(list_.begin(), list_.end(), less);
      next.push_back(list_.back());
      list_.pop_back();
    }
    if (ScoreAll(next, watch) < next.size()) return;
    share();
  }
}

}  // namespace engram::engine

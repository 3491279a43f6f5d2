// The tail: chunks close when asked or full, and a view keeps the length it got.
#include "storage/tail.h"

#include <gtest/gtest.h>

namespace engram::storage {
namespace {

constexpr std::uint32_t kDimension = 3;

void Append(Tail& tail, std::uint64_t row) {
  const float embedding[kDimension] = {static_cast<float>(row), 1.0f, 2.0f};
  tail.Append({.row = row,
               .id = row * 10,
               .node = static_cast<std::uint32_t>(row),
               .norm = 1.0f,
               .embedding = embedding});
}

TEST(Tail, ViewKeepsItsLengthWhileTheTailGrows) {
  Tail tail(kDimension, 4);
  Append(tail, 0);
  Append(tail, 1);
  const TailView view = tail.View();
  Append(tail, 2);
  EXPECT_EQ(view.rows(), 2u);
  EXPECT_EQ(tail.View().rows(), 3u);
  EXPECT_EQ(view.chunks[0]->ids()[1], 10u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.chunks[0]->embeddings()) % 64, 0u);
}

TEST(Tail, ClosesFullChunksAndOnRequestTheRest) {
  Tail tail(kDimension, 2);
  for (std::uint64_t row = 0; row < 5; ++row) Append(tail, row);
  EXPECT_EQ(tail.ClosedChunks().size(), 2u);
  tail.CloseChunk();
  EXPECT_EQ(tail.ClosedChunks().size(), 3u);
  tail.DropChunks(3);
  EXPECT_EQ(tail.rows(), 0u);
  Append(tail, 9);
  EXPECT_EQ(tail.View().chunks[0]->first_row(), 9u);
}

// A disk may hold as many such rows as it likes.
TEST(Tail, TakesNoMoreRoomForRowsFarApartThanTheyHave) {
  Tail tail(kDimension, 1 << 20);
  constexpr std::uint64_t kFar = std::uint64_t{1} << 32;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Append(tail, i * kFar);
    Append(tail, i * kFar + 7);
  }
  const TailView view = tail.View();
  ASSERT_EQ(view.chunks.size(), 1000u);
  for (std::size_t i = 0; i + 1 < view.chunks.size(); ++i) {
    const TailChunk& chunk = *view.chunks[i];
    EXPECT_EQ(chunk.capacity(), 2u);
    EXPECT_EQ(chunk.first_row(), i * kFar);
    EXPECT_EQ(chunk.row_offsets()[1], 7u);
    EXPECT_EQ(chunk.ids()[1], (i * kFar + 7) * 10);
    EXPECT_EQ(chunk.embeddings()[kDimension], static_cast<float>(i * kFar + 7));
  }
}

TEST(Tail, TellsHowMuchMayStillGrow) {
  Tail tail(kDimension, 2);
  EXPECT_EQ(tail.OpenBytes(), 0u);
  for (std::uint64_t row = 0; row < 3; ++row) Append(tail, row);
  EXPECT_EQ(tail.OpenBytes(), kDimension * sizeof(float));
  tail.CloseChunk();
  EXPECT_EQ(tail.OpenBytes(), 0u);
}

TEST(Tail, KeepsGapsBetweenRows) {
  Tail tail(kDimension, 8);
  Append(tail, 5);
  Append(tail, 11);
  const TailView view = tail.View();
  EXPECT_EQ(view.chunks[0]->first_row() + view.chunks[0]->row_offsets()[1], 11u);
}

}  // namespace
}  // namespace engram::storage

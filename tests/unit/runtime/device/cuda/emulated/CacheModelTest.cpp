#include "runtime/device/cuda/emulated/CacheModel.h"

#include "gtest/gtest.h"

namespace oriel::runtime::emulated {
namespace {

constexpr uint32_t all = ~0u, half = 0xffff;

/// Each phase reads one sector of buffer 0.
BlockTrace readsOf(std::vector<uintptr_t> sectors) {
  BlockTrace trace;
  for (uintptr_t sector : sectors) {
    trace.sectors.push_back({sector, all, 0, false});
    trace.phaseEnds.push_back(trace.sectors.size());
  }
  return trace;
}

int64_t read(const std::vector<BlockTrace> &blocks, int64_t sectors, int64_t blocksAtOnce) {
  return replay(blocks, {sectors * 32, blocksAtOnce}, 1)[0].read / 32;
}

TEST(CacheModelTest, KeepsWhatWasAskedForLast) {
  EXPECT_EQ(read({readsOf({1, 2, 1, 2})}, 2, 1), 2);
  EXPECT_EQ(read({readsOf({1, 2, 3, 1})}, 2, 1), 4);
  EXPECT_EQ(read({readsOf({1, 2, 1, 3, 1})}, 2, 1), 3);
}

/// Two blocks that walk the same sectors fetch them once side by side, and twice one after the other.
TEST(CacheModelTest, BlocksAtOnceShareWhatTheyWalkOver) {
  std::vector<BlockTrace> blocks(2, readsOf({1, 2, 3, 4}));
  EXPECT_EQ(read(blocks, 2, 2), 4);
  EXPECT_EQ(read(blocks, 2, 1), 8);
  EXPECT_EQ(read(blocks, 4, 1), 4);
}

TEST(CacheModelTest, BlocksStartInOrderWhenOthersHaveEnded) {
  // The third starts when the first has ended, and meets the second at sector 7.
  EXPECT_EQ(read({readsOf({1}), readsOf({2, 7, 8}), readsOf({7, 8})}, 1, 2), 4);
}

TEST(CacheModelTest, WhatIsWrittenGoesToHbmWhenItIsPushedOutOrAtTheEnd) {
  BlockTrace trace;
  trace.sectors = {
      {1, half, 1, true}, {1, ~half, 1, true}, {2, all, 0, false}, {1, half, 1, false}, {1, half, 1, true}};
  trace.phaseEnds = {trace.sectors.size()};
  std::vector<HbmBytes> large = replay({trace}, {64, 1}, 2), small = replay({trace}, {32, 1}, 2);
  EXPECT_EQ(large[1].written, 32);
  EXPECT_EQ(large[1].read, 0);
  EXPECT_EQ(small[1].written, 64);
  EXPECT_EQ(small[1].read, 32);
  EXPECT_EQ(large[0].read, 32);
}

TEST(CacheModelTest, AReadBesideAPartThatIsWrittenFetches) {
  BlockTrace trace;
  trace.sectors = {{1, half, 0, true}, {1, half, 0, false}, {1, ~half, 0, false}};
  trace.phaseEnds = {1, 2, 3};
  EXPECT_EQ(replay({trace}, {64, 1}, 1)[0].read, 32);
}

} // namespace
} // namespace oriel::runtime::emulated

#include "runtime/device/cuda/emulated/RaceDetector.h"

#include "gtest/gtest.h"

namespace oriel::runtime::emulated {
namespace {

using Trouble = RaceDetector::Trouble;
using Cell = RaceDetector::Cell;

constexpr size_t threads = 64; // two warps

class RaceDetectorTest : public ::testing::Test {
protected:
  RaceDetector races{threads};
  Cell cell;
};

TEST_F(RaceDetectorTest, AThreadIsOrderedWithItself) {
  EXPECT_FALSE(races.write(cell, 3, 0));
  EXPECT_FALSE(races.read(cell, 3, 1));
  EXPECT_FALSE(races.write(cell, 3, 2));
}

TEST_F(RaceDetectorTest, ReadAfterWriteOfAnotherThreadNeedsABarrier) {
  races.write(cell, 3, 10);
  auto conflict = races.read(cell, 4, 11);
  ASSERT_TRUE(conflict);
  EXPECT_EQ(conflict->trouble, Trouble::Unordered);
  EXPECT_TRUE(conflict->otherWrites);
  EXPECT_EQ(conflict->other.thread, 3);
  EXPECT_EQ(conflict->other.site, 10u);
  races.clocks().barrier();
  EXPECT_FALSE(races.read(cell, 4, 11));
}

TEST_F(RaceDetectorTest, WriteAfterReadOfAnotherThreadNeedsABarrier) {
  races.write(cell, 3, 0);
  races.clocks().barrier();
  races.read(cell, 4, 1);
  races.read(cell, 5, 2);
  auto conflict = races.write(cell, 4, 3); // its own read is no matter, that of thread 5 is
  ASSERT_TRUE(conflict);
  EXPECT_FALSE(conflict->otherWrites);
  EXPECT_EQ(conflict->other.thread, 5);
}

TEST_F(RaceDetectorTest, AReadOfLongAgoDoesNotHideAFreshOne) {
  races.write(cell, 3, 0);
  races.clocks().barrier();
  races.read(cell, 4, 1);
  races.read(cell, 40, 1);
  races.clocks().barrier();
  races.read(cell, 6, 2); // takes the place of one that everybody knows of
  EXPECT_TRUE(races.write(cell, 3, 3));
}

TEST_F(RaceDetectorTest, AWarpBarrierOrdersItsWarpOnly) {
  races.write(cell, 3, 0);
  races.clocks().barrierOf(0, 32);
  EXPECT_FALSE(races.read(cell, 4, 1));
  EXPECT_TRUE(races.read(cell, 40, 2));
}

TEST_F(RaceDetectorTest, OrderPassesFromWarpBarrierToWarpBarrier) {
  races.write(cell, 3, 0);
  races.clocks().barrierOf(0, 8);  // tells 4
  races.clocks().barrierOf(4, 32); // 4 tells 33
  EXPECT_FALSE(races.read(cell, 33, 1));
  EXPECT_TRUE(races.read(cell, 50, 2));
}

TEST_F(RaceDetectorTest, AReadByTheWarpIsNotOrderedAfterAWriteOfOneLane) {
  races.write(cell, 3, 0);
  EXPECT_FALSE(races.read(cell, 3, 1));
  EXPECT_TRUE(races.read(cell, 3, 1, /*byWarp=*/true));
  races.clocks().barrierOf(0, 32);
  EXPECT_FALSE(races.read(cell, 3, 1, /*byWarp=*/true));
}

TEST_F(RaceDetectorTest, WhatNobodyWroteIsTold) { EXPECT_EQ(races.read(cell, 0, 0)->trouble, Trouble::NeverWritten); }

TEST_F(RaceDetectorTest, CopiesAreInFlightUntilTheirThreadWaitsAndABarrierTellsTheOthers) {
  races.startCopy(cell, 3, 7);
  races.clocks().barrier(); // a barrier is no wait
  EXPECT_EQ(races.read(cell, 3, 8)->trouble, Trouble::InFlight);
  EXPECT_EQ(races.write(cell, 5, 8)->trouble, Trouble::InFlight);
  cell = Cell();
  races.startCopy(cell, 3, 7);
  races.land(cell, 3);
  EXPECT_FALSE(races.read(cell, 3, 8));
  EXPECT_EQ(races.read(cell, 5, 8)->trouble, Trouble::Unordered);
  races.clocks().barrier();
  EXPECT_FALSE(races.read(cell, 5, 8));
}

TEST_F(RaceDetectorTest, ACopyMustNotStartOverWhatOthersStillRead) {
  races.write(cell, 3, 0);
  races.clocks().barrier();
  races.read(cell, 9, 1);
  EXPECT_TRUE(races.startCopy(cell, 3, 2));
}

TEST_F(RaceDetectorTest, AProductSeesWhatTheWriterHasFenced) {
  races.write(cell, 3, 0);
  races.clocks().fenceAsyncProxy(3);
  races.clocks().barrier();
  EXPECT_FALSE(races.startProduct(cell, 32, 1));
}

TEST_F(RaceDetectorTest, AProductSeesWhatItsOwnWarpHasFenced) {
  races.write(cell, 3, 0);
  races.clocks().barrier();
  EXPECT_EQ(races.startProduct(cell, 32, 1)->trouble, Trouble::Unfenced);
  races.clocks().fenceAsyncProxy(32);
  EXPECT_FALSE(races.startProduct(cell, 32, 1));
}

TEST_F(RaceDetectorTest, AFenceBeforeTheWriteOrOfAnotherThreadBeforeTheBarrierIsNone) {
  races.clocks().fenceAsyncProxy(3);
  races.write(cell, 3, 0);
  races.clocks().fenceAsyncProxy(4);
  races.clocks().barrier();
  EXPECT_EQ(races.startProduct(cell, 32, 1)->trouble, Trouble::Unfenced);
}

TEST_F(RaceDetectorTest, AFenceIsNoBarrier) {
  races.write(cell, 3, 0);
  races.clocks().fenceAsyncProxy(3);
  races.clocks().fenceAsyncProxy(32);
  EXPECT_EQ(races.startProduct(cell, 32, 1)->trouble, Trouble::Unordered);
}

TEST_F(RaceDetectorTest, WhatIsFencedPassesFromWarpBarrierToWarpBarrier) {
  races.write(cell, 3, 0);
  races.clocks().fenceAsyncProxy(3);
  races.clocks().barrierOf(0, 8);
  races.clocks().barrierOf(4, 32);
  EXPECT_FALSE(races.startProduct(cell, 32, 1));
}

TEST_F(RaceDetectorTest, AProductReadsItsOperandUntilItsWarpHasWaited) {
  races.write(cell, 3, 0);
  races.clocks().fenceAsyncProxy(3);
  races.clocks().barrier();
  Cell fresh = cell;
  races.startProduct(cell, 32, 1);
  races.clocks().barrier(); // a barrier is no wait
  EXPECT_FALSE(races.read(cell, 5, 2));
  auto conflict = races.write(cell, 5, 2);
  ASSERT_TRUE(conflict);
  EXPECT_EQ(conflict->trouble, Trouble::Operand);
  EXPECT_EQ(conflict->other.site, 1u);

  cell = fresh;
  races.startProduct(cell, 32, 1);
  races.startProduct(cell, 0, 1); // two warps read it
  races.endProduct(cell, 32, 1);
  EXPECT_EQ(races.write(cell, 40, 2)->trouble, Trouble::Operand);

  cell = fresh;
  races.startProduct(cell, 32, 1);
  races.endProduct(cell, 32, 1);
  Cell ended = cell;
  EXPECT_FALSE(races.write(cell, 40, 2)); // a lane of the warp that has waited
  cell = ended;
  EXPECT_EQ(races.write(cell, 5, 2)->trouble, Trouble::Unordered);
  cell = ended;
  races.clocks().barrier();
  EXPECT_FALSE(races.write(cell, 5, 2));
}

} // namespace
} // namespace oriel::runtime::emulated

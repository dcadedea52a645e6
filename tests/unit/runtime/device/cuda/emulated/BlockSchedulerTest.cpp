// The rendezvous of threads, and what the scheduler reports when threads miss them.
#include "runtime/device/cuda/emulated/BlockScheduler.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <numeric>
#include <set>

namespace oriel::runtime::emulated {
namespace {

using ::testing::HasSubstr;

BlockScheduler &self() { return BlockScheduler::running(); }

TEST(BlockScheduler, NoThreadPassesABarrierBeforeAllHaveReachedIt) {
  struct Counts {
    int before = 0, early = 0;
  } counts;
  BlockScheduler scheduler(96, 0);
  std::string fault = scheduler.runBlock(
      {0, 0, 0}, 1,
      [](void *argument) {
        auto *counts = static_cast<Counts *>(argument);
        ++counts->before;
        self().barrier();
        counts->early += counts->before < 96;
      },
      &counts);
  EXPECT_EQ(fault, "");
  EXPECT_EQ(counts.before, 96);
  EXPECT_EQ(counts.early, 0);
}

TEST(BlockScheduler, SeedsChooseTheOrderOfThreads) {
  std::set<std::vector<int>> orders;
  BlockScheduler scheduler(32, 0);
  for (uint64_t seed : {1, 2, 3, 1}) {
    std::vector<int> order;
    EXPECT_EQ(scheduler.runBlock(
                  {0, 0, 0}, seed,
                  [](void *argument) { static_cast<std::vector<int> *>(argument)->push_back(self().threadIndex()); },
                  &order),
              "");
    EXPECT_EQ(order.size(), 32u);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 3u); // the same seed gives the same order, whatever ran before
}

/// Adds the lanes' numbers and gives each the sum.
void sumLanes(void *const *lanes) {
  int sum = 0;
  for (int i = 0; i < warpSize; ++i)
    sum += *static_cast<int *>(lanes[i]);
  for (int i = 0; i < warpSize; ++i)
    *static_cast<int *>(lanes[i]) = sum;
}

void largestOfLanes(void *const *lanes) { *static_cast<int *>(lanes[0]) = *static_cast<int *>(lanes[warpSize - 1]); }

TEST(BlockScheduler, WarpsMeetByThemselves) {
  std::vector<int> sums(128);
  BlockScheduler scheduler(128, 0);
  std::string fault = scheduler.runBlock(
      {0, 0, 0}, 5,
      [](void *argument) {
        int lane = self().threadIndex();
        // Warp 3 meets twice, the others once.
        for (int i = 0; i < (self().threadIndex() >= 96 ? 2 : 1); ++i)
          self().meetWarp(sumLanes, &lane);
        (*static_cast<std::vector<int> *>(argument))[self().threadIndex()] = lane;
      },
      &sums);
  EXPECT_EQ(fault, "");
  EXPECT_EQ(sums[0], 31 * 32 / 2);
  EXPECT_EQ(sums[40], 31 * 32 / 2 + 32 * 32);
  EXPECT_EQ(sums[127], 32 * (31 * 32 / 2 + 96 * 32));
}

TEST(BlockScheduler, ReportsThreadsThatWaitForOthersInVain) {
  BlockScheduler scheduler(64, 0);
  auto oneAtABarrier = [](void *) {
    if (self().threadIndex() == 7)
      self().barrier();
  };
  EXPECT_EQ(scheduler.runBlock({3, 2, 1}, 1, oneAtABarrier, nullptr),
            "block (3, 2, 1): divergent threads: 1 wait at a barrier, 0 at a warp collective, 63 have ended");
  auto halfAWarp = [](void *) {
    int lane = 0;
    if (self().threadIndex() < 16)
      self().meetWarp(sumLanes, &lane);
  };
  EXPECT_THAT(scheduler.runBlock({0, 0, 0}, 1, halfAWarp, nullptr),
              HasSubstr("16 at a warp collective, 48 have ended"));
  auto twoCollectives = [](void *) {
    int lane = 0;
    self().meetWarp(self().threadIndex() % 2 ? sumLanes : largestOfLanes, &lane);
  };
  EXPECT_THAT(scheduler.runBlock({0, 0, 0}, 1, twoCollectives, nullptr), HasSubstr("64 at a warp collective"));
  EXPECT_EQ(scheduler.runBlock(
                {0, 0, 0}, 1, [](void *) { self().barrier(); }, nullptr),
            "")
      << "after faulty blocks";
}

TEST(BlockScheduler, SharedMemoryIsPoisonedAlignedAndGuarded) {
  BlockScheduler scheduler(32, 1000);
  for (int round = 0; round < 2; ++round) {
    bool clean = true;
    std::string fault = scheduler.runBlock(
        {0, 0, 0}, 1,
        [](void *clean) {
          if (self().threadIndex() != 0)
            return;
          *static_cast<bool *>(clean) &= reinterpret_cast<uintptr_t>(self().shared()) % 128 == 0;
          for (int i = 0; i < 1000; ++i)
            *static_cast<bool *>(clean) &= self().shared()[i] == std::byte(0xff);
          std::fill_n(self().shared(), 1000, std::byte(0));
        },
        &clean);
    EXPECT_EQ(fault, "");
    EXPECT_TRUE(clean) << "round " << round;
  }
  EXPECT_THAT(scheduler.runBlock(
                  {0, 0, 0}, 1, [](void *) { self().shared()[1002] = std::byte(0); }, nullptr),
              HasSubstr("a write to byte 1002 of 1000 bytes of shared memory"));
}

} // namespace
} // namespace oriel::runtime::emulated

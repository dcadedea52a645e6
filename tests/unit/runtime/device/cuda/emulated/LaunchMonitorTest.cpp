// Blocks of one launch that are told of directly, without a kernel.
#include "runtime/device/cuda/emulated/BlockMonitor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace oriel::runtime::emulated {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

enum Site : uint32_t { load, store, meet };

class LaunchMonitorTest : public ::testing::Test {
protected:
  static constexpr SiteEntry sites[] = {{"load it", AccessKind::GlobalLoad, -1},
                                        {"store it", AccessKind::GlobalStore, 1},
                                        {"meet", AccessKind::Convergence, -1}};
  static constexpr BufferEntry buffers[] = {{"memref<64xf32>", 256, 0}, {"memref<64xf32>", 256, 1}};
  static constexpr CheckEntry checks = {"kernel", sites, 3, buffers, 2};

  alignas(32) float in_[64], out_[64];
  void *arguments_[2] = {in_, out_};
  LaunchMonitor launch_{checks, arguments_};

  static uintptr_t addressOf(float &element) { return reinterpret_cast<uintptr_t>(&element); }

  /// Thread 0 of block `number` makes the accesses, each of four bytes.
  void runBlock(int64_t number, const std::vector<std::pair<Site, float *>> &accesses) {
    BlockMonitor block(launch_, 32, nullptr, 0);
    block.begin(number, {number, 0, 0});
    for (auto [site, element] : accesses)
      block.access(0, addressOf(*element), 4, site);
    block.end();
  }
};

TEST_F(LaunchMonitorTest, CountsSectorsByBlockAndByLaunch) {
  for (int64_t block = 0; block < 3; ++block)
    runBlock(block, {{load, &in_[0]}, {load, &in_[1]}, {load, &in_[8]}, {store, &out_[block]}});
  LaunchReport report = launch_.report();
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.buffers[0].needed, 12);
  EXPECT_EQ(report.buffers[0].read, 64);
  EXPECT_EQ(report.buffers[0].readByBlocks, 3 * 64);
  EXPECT_EQ(report.buffers[1].needed, 12);
  EXPECT_EQ(report.buffers[1].written, 32);
  EXPECT_EQ(report.buffers[1].writtenByBlocks, 3 * 32);
  EXPECT_EQ(report.launchBytes(), 96);
}

TEST_F(LaunchMonitorTest, ATraceHasEachSectorOncePerPhase) {
  LaunchMonitor launch(checks, arguments_, /*traceBlocks=*/1);
  BlockMonitor block(launch, 32, nullptr, 0);
  block.begin(0, {0, 0, 0});
  for (Site site : {load, load, store, load})
    block.access(0, addressOf(site == store ? out_[0] : in_[0]), 4, site);
  block.barrierReleased();
  block.access(0, addressOf(in_[1]), 4, load);
  block.end();
  std::vector<BlockTrace> traces = launch.report().traces;
  ASSERT_EQ(traces.size(), 1u);
  EXPECT_THAT(traces[0].phaseEnds, ElementsAre(2, 3));
  EXPECT_EQ(traces[0].sectors[0].bytes, 0xfu);
  EXPECT_TRUE(traces[0].sectors[1].isWrite);
  EXPECT_EQ(traces[0].sectors[2].bytes, 0xf0u);
}

TEST_F(LaunchMonitorTest, WhatABlockWroteItselfIsNotFetched) {
  runBlock(0, {{store, &out_[0]}, {load, &out_[0]}});
  EXPECT_EQ(launch_.report().buffers[1].read, 0);
}

TEST_F(LaunchMonitorTest, BlocksThatWriteWhatOthersTouchRace) {
  runBlock(0, {{store, &out_[3]}});
  runBlock(1, {{store, &out_[4]}}); // the same sector, another byte
  EXPECT_THAT(launch_.report().findings, IsEmpty());
  runBlock(2, {{load, &out_[3]}});
  EXPECT_THAT(launch_.report().findings,
              ElementsAre(HasSubstr("race between blocks: read of global memory by [load it] and write of global "
                                    "memory by [store it] touch the same bytes of buffer 1 (memref<64xf32>)")));
}

TEST_F(LaunchMonitorTest, ALoadWhoseValueIsThrownAwayIsNoRaceButMustLieInABuffer) {
  runBlock(0, {{store, &out_[3]}});
  BlockMonitor block(launch_, 32, nullptr, 0);
  block.begin(1, {1, 0, 0});
  EXPECT_TRUE(block.access(0, addressOf(out_[3]), -4, load));
  EXPECT_FALSE(block.hasFindings());
  EXPECT_FALSE(block.access(0, reinterpret_cast<uintptr_t>(&launch_), -4, load));
  block.end();
  EXPECT_THAT(launch_.report().findings,
              ElementsAre(HasSubstr("block (1, 0, 0): out of bounds: read of global memory")));
}

TEST_F(LaunchMonitorTest, TellsAMistakeOnceOfTheFirstBlock) {
  for (int64_t block : {5, 2, 7}) {
    BlockMonitor monitor(launch_, 32, nullptr, 0);
    monitor.begin(block, {block, 0, 0});
    for (int i = 0; i < 3; ++i)
      EXPECT_FALSE(monitor.access(0, addressOf(out_[0]) + 256, 4, store));
    monitor.end();
  }
  EXPECT_THAT(launch_.report().findings, ElementsAre(HasSubstr("block (2, 0, 0): out of bounds: write")));
}

TEST_F(LaunchMonitorTest, ThreadsOfABlockRaceInOutputs) {
  BlockMonitor block(launch_, 32, nullptr, 0);
  block.begin(0, {0, 0, 0});
  block.access(0, addressOf(out_[0]), 4, store);
  block.access(1, addressOf(out_[0]), 4, load);
  block.end();
  EXPECT_THAT(launch_.report().findings, ElementsAre(HasSubstr("race: read of global memory by [load it] at byte 0")));
}

} // namespace
} // namespace oriel::runtime::emulated

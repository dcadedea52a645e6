// What requests cost, by the rules in WarpRequests.h.
#include "runtime/device/cuda/emulated/WarpRequests.h"

#include "gtest/gtest.h"

namespace oriel::runtime::emulated {
namespace {

/// Lane l accesses `bytes` at l * stride, for lanes below `count`.
std::array<LaneAccess, warpSize> strided(uintptr_t stride, int32_t bytes, size_t count = warpSize) {
  std::array<LaneAccess, warpSize> lanes = {};
  for (size_t lane = 0; lane < count; ++lane)
    lanes[lane] = {4096 + lane * stride, bytes, 0};
  return lanes;
}

std::pair<int64_t, int64_t> wavefronts(const std::array<LaneAccess, warpSize> &lanes) {
  int64_t least = 0, cost = wavefrontsOf(lanes, least);
  return {cost, least};
}

std::pair<int64_t, int64_t> sectors(const std::array<LaneAccess, warpSize> &lanes) {
  int64_t least = 0, cost = sectorsOf(lanes, least);
  return {cost, least};
}

using Cost = std::pair<int64_t, int64_t>;

TEST(WarpRequests, BanksOfFourBytes) {
  EXPECT_EQ(wavefronts(strided(4, 4)), Cost(1, 1));
  EXPECT_EQ(wavefronts(strided(0, 4)), Cost(1, 1)); // one word for all
  EXPECT_EQ(wavefronts(strided(8, 4)), Cost(2, 1));
  EXPECT_EQ(wavefronts(strided(128, 4)), Cost(32, 1));
  EXPECT_EQ(wavefronts(strided(132, 4)), Cost(1, 1)); // padded by a word
  EXPECT_EQ(wavefronts(strided(2, 2)), Cost(1, 1));   // two lanes in each word
}

TEST(WarpRequests, WideAccessesGoInParts) {
  EXPECT_EQ(wavefronts(strided(8, 8)), Cost(2, 2));
  EXPECT_EQ(wavefronts(strided(16, 16)), Cost(4, 4));
  EXPECT_EQ(wavefronts(strided(128, 16)), Cost(32, 4));  // eight rows of a tile without padding
  EXPECT_EQ(wavefronts(strided(144, 16)), Cost(4, 4));   // with 16 bytes of it
  EXPECT_EQ(wavefronts(strided(16, 16, 8)), Cost(1, 1)); // lanes that take no part cost nothing
}

TEST(WarpRequests, SectorsOfGlobalMemory) {
  EXPECT_EQ(sectors(strided(4, 4)), Cost(4, 4));
  EXPECT_EQ(sectors(strided(16, 16)), Cost(16, 16));
  EXPECT_EQ(sectors(strided(0, 4)), Cost(1, 1));
  EXPECT_EQ(sectors(strided(8, 4)), Cost(8, 4)); // every second word
  EXPECT_EQ(sectors(strided(256, 4)), Cost(32, 4));
  auto shifted = strided(4, 4);
  for (LaneAccess &lane : shifted)
    lane.address += 4;
  EXPECT_EQ(sectors(shifted), Cost(5, 4));
}

TEST(WarpRequests, AccessesOfOneInstructionAreOneRequest) {
  const SiteEntry sites[] = {{"a", AccessKind::SharedLoad, -1}, {"b", AccessKind::GlobalLoad, 0}};
  std::vector<SiteCost> costs(2);
  WarpRequests warp;
  for (size_t lane = 0; lane < warpSize; ++lane) {
    for (int time = 0; time < 2; ++time)
      warp.add(lane, {lane * 8, 4, 0});
    if (lane < 8) // the others did not get here
      warp.add(lane, {lane * 4, 4, 1});
  }
  warp.flush(sites, costs);
  EXPECT_EQ(costs[0].requests, 2);
  EXPECT_EQ(costs[0].mean(), 2.0);
  EXPECT_EQ(costs[0].worstRatio(), 2.0);
  EXPECT_EQ(costs[1].requests, 1);
  EXPECT_EQ(costs[1].cost, 1);
  warp.flush(sites, costs);
  EXPECT_EQ(costs[0].requests, 2) << "what was counted is forgotten";
}

} // namespace
} // namespace oriel::runtime::emulated

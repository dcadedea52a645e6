// Shipped descriptors, and the blocks of a kernel that a multiprocessor holds.
#include "compiler/schedule/Cost.h"
#include "compiler/schedule/Occupancy.h"
#include "compiler/schedule/ShippedDevices.h"

#include "gtest/gtest.h"

namespace oriel::schedule {
namespace {

TEST(ShippedDevices, AreGpusOfTheChipsThatCodeIsMadeFor) {
  for (const char *chip : {"sm_80", "sm_90a", "sm_100a"}) {
    std::optional<DeviceDescriptor> device = shippedDevice(gpuOfChip(chip));
    ASSERT_TRUE(device) << chip;
    EXPECT_TRUE(device->multiprocessor) << chip;
    EXPECT_GT(device->products.at("bf16").flopsPerSecond, device->products.at("f32").flopsPerSecond) << chip;
  }
  EXPECT_EQ(gpuOfChip("sm_70"), "");
  EXPECT_FALSE(shippedDevice("tpu"));
}

TEST(ShippedDevices, TextIsReadAsItIsWritten) {
  for (const std::string &name : shippedDevices()) {
    std::string error;
    std::optional<DeviceDescriptor> device = shippedDevice(name);
    EXPECT_EQ(parseDevice(printDevice(*device), name, error), device) << error;
    EXPECT_EQ(device->name, name);
  }
}

TEST(ShippedDevices, ErrorsNameWhatThereIs) {
  std::string error;
  EXPECT_FALSE(findDevice("no/such.device", error));
  EXPECT_EQ(error, "cannot read the device descriptor no/such.device; shipped ones are a100 b200 generic-cpu h100 h200");
  EXPECT_FALSE(parseDevice("device d\nmultiprocessor shared 0 registers 1 threads 1 blocks 1\n", "d", error));
  EXPECT_EQ(error, "d:2:23: shared must be above 0");
}

TEST(Cost, KernelsInBf16HaveRatesOfTheirOwn) {
  CostModel model{*shippedDevice("h100"), {}};
  auto seconds = [&](const char *kernel) {
    return model.estimate({kernel, 0, 0, 0, "f32", 1e12, 0}).arithmeticSeconds;
  };
  EXPECT_NEAR(seconds("rla_fwd_b1") / seconds("rla_fwd_b1_bf16"), 2, 0.01);
}

// The numbers are those of NVIDIA's occupancy calculator for compute capability 8.0.
TEST(Occupancy, IsBoundByWhatRunsOutFirst) {
  MultiprocessorLimits a100 = *shippedDevice("a100")->multiprocessor;
  auto blocks = [&](BlockNeeds needs) { return occupancyOf(a100, needs).blocks; };
  EXPECT_EQ(blocks({128, 32, 0}), 16);         // threads
  EXPECT_EQ(blocks({32, 32, 0}), 32);          // blocks
  EXPECT_EQ(blocks({128, 255, 0}), 2);         // registers: 8 warps of 8192
  EXPECT_EQ(blocks({256, 255, 0}), 1);         //
  EXPECT_EQ(blocks({128, 168, 0}), 3);         // 12 warps of 5376
  EXPECT_EQ(blocks({128, 32, 54 * 1024}), 2);  // 55 KiB each of 164
  EXPECT_EQ(blocks({128, 32, 163 * 1024}), 1); //
  EXPECT_EQ(blocks({128, 32, 164 * 1024}), 0); // no room for the system's part
  EXPECT_EQ(blocks({512, 255, 0}), 0);         //
  EXPECT_DOUBLE_EQ(occupancyOf(a100, {128, 255, 0}).warps, 0.125);
}

/// 132 multiprocessors; four warps to a block.
TEST(Cost, BlocksThatAreThereAtATimeDivideTheWork) {
  CostModel model{*shippedDevice("h100"), {}, {}};
  double whole = 1e12 / model.device.kernels.at("*").flopsPerSecond;
  auto idle = [&](int64_t cells, int64_t blocks, int64_t warps) {
    BlockCode code{{32 * warps, 32, 227 * 1024 / blocks - 1024}};
    EXPECT_EQ(occupancyOf(*model.device.multiprocessor, code).blocks, blocks);
    return model.estimate({"rla_fwd_b1", 0, 0, 0, "f32", 1e12, 0, cells}, code).arithmeticSeconds / whole;
  };
  EXPECT_DOUBLE_EQ(idle(132 * 4, 2, 4), 1); // eight warps: the full rate, whatever the number of waves
  EXPECT_DOUBLE_EQ(idle(132 * 4, 4, 4), 1);
  EXPECT_DOUBLE_EQ(idle(132 * 4, 1, 4), 2); // four warps hide half of what must be hidden
  EXPECT_DOUBLE_EQ(idle(132 * 4, 1, 8), 1);
  EXPECT_DOUBLE_EQ(idle(132 * 3, 2, 4), 4.0 / 3); // a wave of two blocks and one of one, which takes as long
  EXPECT_DOUBLE_EQ(idle(66, 2, 8), 2);            // half of the multiprocessors, with one block each
}

/// 132 multiprocessors with two blocks of four warps each.
TEST(Cost, TilesThatAreReusedAndStagesHideWhatABlockWaitsFor) {
  CostModel model{*shippedDevice("h100"), {}, {}};
  model.device.transfer = TransferRate{1e12, 1e-6};
  Work work{"rla_fwd_b1", 0, 0, 0, "f32", /*flops=*/1e9, 0, 132 * 2};
  work.cellBytes = 1e9;
  work.rounds = 132 * 2 * 1000.0; // each cell waits 1000 times for 1 us
  BlockCode code{{128, 128, 100 << 10}};
  double alone = 1e9 / model.device.kernels.at("*").flopsPerSecond; // half of the warps: twice its share of the time
  Estimate estimate = model.estimate(work, code);
  EXPECT_DOUBLE_EQ(estimate.cacheSeconds, 1e-3);
  EXPECT_DOUBLE_EQ(estimate.latencySeconds, 1e-3 + alone);
  EXPECT_EQ(estimate.bound, Bound::Latency);
  code.stages = 2;
  EXPECT_DOUBLE_EQ(model.estimate(work, code).latencySeconds, (1e-3 + alone) / 2);
  EXPECT_EQ(model.estimate(work, code).bound, Bound::Cache);
  work.cellBytes /= 4; // tiles of twice the size
  EXPECT_EQ(model.estimate(work, code).bound, Bound::Latency);
  model.device.transfer.reset();
  EXPECT_EQ(model.estimate(work, code).bound, Bound::Arithmetic);
}

TEST(Cost, ProductsOfWarpgroupsAreFaster) {
  CostModel model{*shippedDevice("h100"), {}, {}};
  Work work{"attn_fwd_b1", 0, 0, 0, "f32", /*flops=*/1e12, 0, 132 * 2};
  work.productFlops = 0.5e12;
  BlockCode warps{{128, 128, 100 << 10}}, warpgroups = warps;
  warpgroups.warpgroupShare = 1;
  EXPECT_DOUBLE_EQ(model.estimate(work, warpgroups).arithmeticSeconds / model.estimate(work, warps).arithmeticSeconds,
                   0.5 + 0.5 / 1.6);
}

TEST(Cost, WhatBlocksTakeIsCountedWhereItIsKnown) {
  CostModel model{*shippedDevice("h100"), {}, {}};
  Work work{"rla_fwd_b1", 0, 0, 0, "f32", 1e12, 0, 132 * 8};
  double unknown = model.estimate(work).arithmeticSeconds;
  model.blocks["rla_fwd_b1"] = {{128, 128, 100 << 10}}; // two blocks of four warps
  EXPECT_DOUBLE_EQ(model.estimate(work).arithmeticSeconds, unknown);
  model.blocks["rla_fwd_b1"] = {{128, 128, 200 << 10}}; // one
  EXPECT_DOUBLE_EQ(model.estimate(work).arithmeticSeconds, 2 * unknown);
  model.device.multiprocessor.reset(); // a CPU knows no blocks
  EXPECT_DOUBLE_EQ(model.estimate(work).arithmeticSeconds, unknown);
}

} // namespace
} // namespace oriel::schedule

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
  Work work{"rla_fwd_b1", 0, 0, 0, "f32", 1e12, 0, 132 * 4};
  EXPECT_DOUBLE_EQ(work.idleFactor(132, 2, 4), 1); // eight warps: the full rate, whatever the number of waves
  EXPECT_DOUBLE_EQ(work.idleFactor(132, 4, 4), 1);
  EXPECT_DOUBLE_EQ(work.idleFactor(132, 1, 4), 2); // four warps hide half of what must be hidden
  EXPECT_DOUBLE_EQ(work.idleFactor(132, 1, 8), 1);
  work.cells = 132 * 3; // a wave of two blocks and one of one, which takes as long
  EXPECT_DOUBLE_EQ(work.idleFactor(132, 2, 4), 4.0 / 3);
  work.cells = 66; // half of the multiprocessors, with one block each
  EXPECT_DOUBLE_EQ(work.idleFactor(132, 2, 8), 2);
}

TEST(Cost, WhatBlocksTakeIsCountedWhereItIsKnown) {
  CostModel model{*shippedDevice("h100"), {}, {}};
  Work work{"rla_fwd_b1", 0, 0, 0, "f32", 1e12, 0, 132 * 8};
  double unknown = model.estimate(work).arithmeticSeconds;
  model.blocks["rla_fwd_b1"] = {128, 128, 100 << 10}; // two blocks of four warps
  EXPECT_DOUBLE_EQ(model.estimate(work).arithmeticSeconds, unknown);
  model.blocks["rla_fwd_b1"] = {128, 128, 200 << 10}; // one
  EXPECT_DOUBLE_EQ(model.estimate(work).arithmeticSeconds, 2 * unknown);
  model.device.multiprocessor.reset(); // a CPU knows no blocks
  EXPECT_DOUBLE_EQ(model.estimate(work).arithmeticSeconds, unknown);
}

} // namespace
} // namespace oriel::schedule

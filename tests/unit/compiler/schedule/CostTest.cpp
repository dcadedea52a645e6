// The cost model: rooflines, records, device text, and calibration that finds the rates that made the measurements.
#include "compiler/schedule/Cost.h"

#include "gtest/gtest.h"

#include <cmath>

namespace oriel::schedule {
namespace {

DeviceDescriptor paperDevice() {
  DeviceDescriptor device;
  device.name = "paper";
  device.cores = 4;
  device.cacheBytes = {32768, 1048576};
  device.memoryBytesPerSecond = 1e10;
  device.launchSeconds = 1e-6;
  device.products["f32"] = {1e11, 16, 0, 64};
  device.kernels["rla_fwd"] = {4e10, 1e18};
  device.kernels["*"] = {1e18, 5e9};
  return device;
}

TEST(Cost, TheSlowerSideOfTheRooflineBounds) {
  CostModel model{paperDevice(), {}};
  Estimate arithmetic = model.estimate({"rla_fwd_b1_t64", 0, 0, 0, "f32", 4e9, 1e6});
  EXPECT_NEAR(arithmetic.seconds, 0.1, 1e-5);
  EXPECT_EQ(arithmetic.bound, Bound::Arithmetic);
  Estimate memory = model.estimate({"rope_b1_t64", 0, 0, 0, "f32", 1e6, 5e8});
  EXPECT_NEAR(memory.seconds, 0.1, 1e-5);
  EXPECT_EQ(memory.bound, Bound::Memory);
  EXPECT_EQ(model.estimate({"add_x2_e16", 0, 0, 0, "f32", 16, 192}).bound, Bound::Launch);
}

TEST(Cost, CoresWithoutACellAreIdle) {
  CostModel model{paperDevice(), {}}; // four cores
  auto seconds = [&](int64_t cells) {
    return model.estimate({"rla_fwd_b1_t64", 0, 0, 0, "f32", 4e9, 0, cells}).seconds;
  };
  EXPECT_NEAR(seconds(1) / seconds(0), 4, 1e-3);
  EXPECT_NEAR(seconds(4) / seconds(0), 1, 1e-9);
  EXPECT_NEAR(seconds(6) / seconds(0), 8.0 / 6, 1e-3);
  EXPECT_NEAR(seconds(400) / seconds(0), 1, 1e-9);
}

TEST(Cost, MoreCoresDoMoreAndMeetTheSameMemory) {
  DeviceDescriptor one = withCores(paperDevice(), 1), many = withCores(paperDevice(), 64); // of four
  EXPECT_EQ(many.cores, 64);
  EXPECT_DOUBLE_EQ(many.products["f32"].flopsPerSecond, 16e11);
  EXPECT_DOUBLE_EQ(one.kernels["rla_fwd"].flopsPerSecond, 1e10);
  EXPECT_DOUBLE_EQ(one.memoryBytesPerSecond, 2.5e9);
  EXPECT_DOUBLE_EQ(many.memoryBytesPerSecond, 2e10); // eight cores' worth
  EXPECT_EQ(withCores(paperDevice(), 4), paperDevice());
}

TEST(Cost, ThinProductsRunBelowThePeak) {
  CostModel model{paperDevice(), {}};
  auto seconds = [&](int64_t m, int64_t n, int64_t k) {
    return model.estimate({"gemm", m, n, k, "f32", 2.0 * double(m) * double(n) * double(k), 0}).seconds;
  };
  EXPECT_NEAR(seconds(16, 1024, 1 << 20) / seconds(1 << 20, 1024, 16), 0.4, 0.01); // half rate against 1/5
}

TEST(Cost, WhatWasMeasuredIsBelieved) {
  CostModel model{paperDevice(), {"paper", {{"rope_b1_t64", 0.25}}}};
  Estimate estimate = model.estimate({"rope_b1_t64", 0, 0, 0, "f32", 0, 5e8});
  EXPECT_DOUBLE_EQ(estimate.seconds, 0.25);
  EXPECT_EQ(estimate.bound, Bound::Measured);
  EXPECT_NEAR(estimate.memorySeconds, 0.1, 1e-9);
}

TEST(Cost, FamiliesAreTheWordsThatAreNoSizes) {
  EXPECT_EQ(familyOf("rla_fwd_b1_t64_doc_attn_fused_b1_doc_q32"), "rla_fwd_doc_attn_fused");
  EXPECT_EQ(familyOf("gate_bwd_silu_e4096_remake"), "gate_bwd_silu_remake");
  EXPECT_EQ(familyOf("adamw_e4096"), "adamw");
  EXPECT_EQ(familyOf("rope_b1_t64_bf16"), "rope_bf16");
  EXPECT_EQ(familyOf("fill"), "fill");
}

TEST(Cost, CalibrationFindsTheRatesBehindTheMeasurements) {
  DeviceDescriptor truth = paperDevice();
  truth.products["f32"] = {1.5e11, 16, 8, 64};
  truth.kernels["rla_fwd"] = {2.5e10, 1e18};
  truth.kernels["rope"] = {1e18, 7e9};
  CostModel model{truth, {}};
  std::vector<Measurement> measurements;
  auto measure = [&](Work work) { measurements.push_back({work, model.estimate(work).seconds}); };
  for (int64_t m : {64, 512, 4096})
    for (int64_t n : {64, 1024})
      for (int64_t k : {64, 768, 4096})
        measure({"gemm", m, n, k, "f32", 2.0 * double(m) * double(n) * double(k), 0});
  for (double size : {1e6, 3e6, 1e7}) {
    for (int64_t cells : {1, 6, 8})
      measure({"rla_fwd_b1", 0, 0, 0, "f32", 100 * size, std::sqrt(size), cells});
    measure({"rope_b1", 0, 0, 0, "f32", std::sqrt(size), 10 * size});
  }
  DeviceDescriptor fitted = fitDevice(paperDevice(), measurements);
  EXPECT_NEAR(fitted.products["f32"].flopsPerSecond, 1.5e11, 1e9);
  EXPECT_EQ(fitted.products["f32"].halfK, 64);
  EXPECT_NEAR(fitted.kernels["rla_fwd"].flopsPerSecond, 2.5e10, 1e8);
  EXPECT_NEAR(fitted.kernels["rope"].bytesPerSecond, 7e9, 1e8);
  EXPECT_EQ(fitted.kernels["*"], truth.kernels["*"]) << "what was not measured keeps its prior";
}

TEST(Cost, CalibrationWeighsMeasurementsByTheirTime) {
  std::vector<Measurement> measurements(3, {{"rope_b1", 0, 0, 0, "f32", 0, 1e3}, 1e-5});
  measurements.push_back({{"rope_b8", 0, 0, 0, "f32", 0, 8e8}, 0.1});
  EXPECT_NEAR(fitDevice(paperDevice(), measurements).kernels["rope"].bytesPerSecond, 8e9, 1e6);
}

/// One shape says nothing about which side bounds: the one that is nearer to the machine's limit does.
TEST(Cost, CalibrationOnOneShapeTakesTheNearerLimit) {
  DeviceDescriptor device = paperDevice();
  double products = device.products["f32"].flopsPerSecond;
  Work arithmetic{"attn_grad_t64", 0, 0, 0, "f32", 1e9, 1e5}, traffic{"adamw_e64", 0, 0, 0, "f32", 1e6, 1e8};
  DeviceDescriptor fitted = fitDevice(device, {{arithmetic, 2e9 / products + device.launchSeconds},
                                               {arithmetic, 3e9 / products + device.launchSeconds},
                                               {traffic, 2e8 / device.memoryBytesPerSecond + device.launchSeconds}});
  EXPECT_NEAR(fitted.kernels["attn_grad"].flopsPerSecond / products, 1. / 3, 1e-6);
  EXPECT_EQ(fitted.kernels["attn_grad"].bytesPerSecond, 1e18);
  EXPECT_NEAR(fitted.kernels["adamw"].bytesPerSecond / device.memoryBytesPerSecond, 0.5, 1e-6);
  EXPECT_EQ(fitted.kernels["adamw"].flopsPerSecond, 1e18);
}

TEST(Cost, ARecordOfAnotherDeviceIsNotUsed) {
  CostModel model{paperDevice(), {}};
  EXPECT_EQ(model.use({"other", {{"rope_b1", 1.0}}}, "t.tuning"),
            "the tuning record t.tuning is of the device 'other' and this is 'paper': it is not used");
  EXPECT_TRUE(model.record.seconds.empty());
  EXPECT_EQ(model.use({"paper", {{"rope_b1", 1.0}}}, "t.tuning"), "");
  EXPECT_EQ(model.record.seconds.size(), 1u);
}

TEST(Device, TextRoundTrips) {
  for (const DeviceDescriptor &device : {paperDevice(), genericCpu()}) {
    std::string error;
    auto read = parseDevice(printDevice(device), "device.txt", error);
    ASSERT_TRUE(read) << error;
    EXPECT_EQ(*read, device);
  }
  TuningRecord record{"paper", {{"gemm 64x64x64 NT", 1.0 / 3}, {"rope_b1", 2e-5}}};
  std::string error;
  auto read = parseRecord(printRecord(record), "tuning.txt", error);
  ASSERT_TRUE(read) << error;
  EXPECT_EQ(*read, record);
}

TEST(Device, ErrorsSayWhere) {
  std::string error;
  EXPECT_FALSE(parseDevice("device x\nmemory -1\n", "d.txt", error));
  EXPECT_EQ(error, "d.txt:2:8: bytes per second must be above 0");
  EXPECT_FALSE(parseDevice("device x\nproduct f32 speed 3\n", "d.txt", error));
  EXPECT_EQ(error, "d.txt:2:13: expected 'rate', found 'speed'");
  EXPECT_FALSE(parseDevice("device x\n", "d.txt", error));
  EXPECT_NE(error.find("needs the lines"), std::string::npos);
  EXPECT_FALSE(parseRecord("measured fast rope\n", "t.txt", error));
  EXPECT_EQ(error, "t.txt:1:10: expected seconds (a number), found 'fast'");
}

} // namespace
} // namespace oriel::schedule

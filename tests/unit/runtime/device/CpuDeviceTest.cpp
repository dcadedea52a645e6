// Launching over grids, scratch, memory, code loading and the division of cores.
#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/plan/plan.pb.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <numeric>

namespace oriel::runtime {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Device> makeDevice(int threads) { return *createCpuDevice({threads, -1}); }

plan::Plan planFor(const char *kind) {
  plan::Plan plan;
  plan.mutable_target()->set_kind(kind);
  return plan;
}

std::unique_ptr<KernelLibrary> loadTestKernels(Device &device) {
  auto library = device.loadKernels(planFor("cpu"), TEST_KERNELS);
  EXPECT_TRUE(library.ok()) << library.status();
  return library.ok() ? std::move(*library) : nullptr;
}

TEST(CpuDevice, VisitsEveryCellOnceAtAnyNumberOfThreads) {
  for (int threads : {1, 2, 3, 7}) {
    auto device = makeDevice(threads);
    auto library = loadTestKernels(*device);
    ASSERT_TRUE(library);
    std::vector<int32_t> counts(60);
    void *args[] = {counts.data()};
    ASSERT_TRUE(device->launch(**library->prepare({"markCell", 1, {3, 4, 5}}), args).ok());
    for (int i = 0; i < 60; ++i)
      EXPECT_EQ(counts[i], 1 + i % 3 + 10 * (i / 3 % 4) + 100 * (i / 12)) << threads;
  }
}

TEST(CpuDevice, GivesEachThreadScratchOfItsOwn) {
  auto device = makeDevice(4);
  auto library = loadTestKernels(*device);
  ASSERT_TRUE(library);
  constexpr int rows = 1000;
  std::vector<float> x(rows * 8), y(rows * 8);
  std::iota(x.begin(), x.end(), 0.0f);
  void *args[] = {x.data(), y.data()};
  auto launch = library->prepare({.symbol = "doubleRow", .arguments = 2, .grid = {rows, 1, 1}, .scratchBytes = 32});
  ASSERT_TRUE(launch.ok()) << launch.status();
  ASSERT_TRUE(device->launch(**launch, args).ok());
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(y[i], 2 * x[i]);
}

TEST(CpuDevice, MemoryIsZeroAndAligned) {
  auto device = makeDevice(1);
  for (size_t bytes : {size_t(0), size_t(1), size_t(5000), size_t(5) << 20}) {
    auto memory = device->allocate(bytes);
    ASSERT_TRUE(memory.ok()) << memory.status();
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*memory)->data()) % 4096, 0u);
    for (size_t i = 0; i < bytes; i += 997)
      ASSERT_EQ((*memory)->data()[i], std::byte(0));
    if (bytes > 0)
      (*memory)->data()[bytes - 1] = std::byte(1);
  }
  EXPECT_EQ(device->allocate(size_t(1) << 60).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(device->allocate(~size_t(0)).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(CpuDevice, ReportsMissingCodeAndSymbols) {
  auto device = makeDevice(1);
  EXPECT_EQ(device->loadKernels(planFor("cpu"), "/none").status().code(), absl::StatusCode::kFailedPrecondition);
  absl::Status gpu = device->loadKernels(planFor("nvidia"), TEST_KERNELS).status();
  EXPECT_EQ(gpu.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(gpu.message()), HasSubstr("compile it with --target cpu"));
  auto library = loadTestKernels(*device);
  ASSERT_TRUE(library);
  absl::Status missing = library->prepare({"absent"}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("no kernel 'absent'"));
}

TEST(CpuDevice, RefusesSillyThreadCounts) {
  EXPECT_EQ(createCpuDevice({-1, -1}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(createCpuDevice({1 << 20, -1}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ShareCores, RanksWithOneSetDivideIt) {
  std::vector<std::string> ranks = {"h:0,1,2,3,4", "h:0,1,2,3,4"};
  EXPECT_EQ(shareCores(ranks, 0).threads, 2);
  EXPECT_EQ(shareCores(ranks, 0).firstCore, 0);
  EXPECT_EQ(shareCores(ranks, 1).firstCore, 2);
}

TEST(ShareCores, RanksBoundApartAndOtherHostsKeepTheirs) {
  std::vector<std::string> ranks = {"h:0,1", "h:2,3", "g:0,1"};
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(shareCores(ranks, rank).threads, 2);
    EXPECT_EQ(shareCores(ranks, rank).firstCore, 0);
  }
}

TEST(ShareCores, MoreRanksThanCoresHaveOneUnboundThreadEach) {
  std::vector<std::string> ranks(4, "h:0,1");
  EXPECT_EQ(shareCores(ranks, 3).threads, 1);
  EXPECT_EQ(shareCores(ranks, 3).firstCore, -1);
}

TEST(ShareCores, DescribesThisProcess) { EXPECT_GE(shareCores({describeCores()}, 0).threads, 1); }

} // namespace
} // namespace oriel::runtime

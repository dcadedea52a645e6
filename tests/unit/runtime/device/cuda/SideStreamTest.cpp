// Two streams of a device: what waits for what, and that the emulator shows what does not.
#include "runtime/device/cuda/SideStream.h"

#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/cuda/emulated/EmulatedDriver.h"

#include "gtest/gtest.h"

namespace oriel::runtime::cuda {
namespace {

/// A device and a side stream that adds 1 to the first number of `memory` and writes the sum to the second.
class Exchange {
public:
  explicit Exchange(uint64_t seed) : device_(*createEmulatedCudaDevice({.threads = 1, .seed = seed})) {
    side_ = *openCudaSideStream(*device_);
    memory_ = *device_->allocate(2 * sizeof(int));
  }

  /// What the device reads after the side stream, when it wrote 5 before it.
  int run(bool follow, bool wait) {
    int value = 5, result = 0;
    EXPECT_EQ(device_->copy(memory_->data(), &value, sizeof value), absl::OkStatus());
    EXPECT_EQ(follow ? side_->followDevice() : absl::OkStatus(), absl::OkStatus());
    auto *numbers = reinterpret_cast<int *>(memory_->data());
    EXPECT_EQ(
        emulated::enqueueHostWork(side_->enter(), [numbers](WorkerPool &) { return numbers[1] = numbers[0] + 1, ""; }),
        success);
    uint64_t mark = *side_->mark();
    EXPECT_EQ(wait ? side_->letDeviceWait(mark) : absl::OkStatus(), absl::OkStatus());
    EXPECT_EQ(device_->copy(&result, memory_->data() + sizeof(int), sizeof result), absl::OkStatus());
    EXPECT_EQ(device_->synchronize(), absl::OkStatus());
    return result;
  }

private:
  std::unique_ptr<runtime::Device> device_;
  std::unique_ptr<SideStream> side_;
  std::unique_ptr<DeviceMemory> memory_;
};

/// Of 40 runs under different seeds, how many read 6.
int rightRuns(bool follow, bool wait) {
  int right = 0;
  for (uint64_t seed = 0; seed < 40; ++seed)
    right += Exchange(seed).run(follow, wait) == 6;
  return right;
}

TEST(SideStream, RunsBetweenWhatItFollowsAndWhatWaitsForIt) { EXPECT_EQ(rightRuns(true, true), 40); }

TEST(SideStream, AMissingWaitShowsUnderSomeSeed) {
  EXPECT_LT(rightRuns(/*follow=*/false, /*wait=*/true), 40);
  EXPECT_LT(rightRuns(/*follow=*/true, /*wait=*/false), 40);
}

TEST(SideStream, OldMarksStayGoodWhenTheirEventsAreTakenAgain) {
  auto device = *createEmulatedCudaDevice({.threads = 1});
  auto side = *openCudaSideStream(*device);
  int done = 0;
  uint64_t first = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(emulated::enqueueHostWork(side->enter(), [&](WorkerPool &) { return ++done, ""; }), success);
    uint64_t mark = *side->mark();
    first = i == 0 ? mark : first;
  }
  ASSERT_EQ(side->letDeviceWait(first), absl::OkStatus());
  ASSERT_EQ(device->synchronize(), absl::OkStatus());
  EXPECT_GE(done, 1);
}

TEST(SideStream, AFaultEndsTheWholeDevice) {
  auto device = *createEmulatedCudaDevice({.threads = 1});
  auto side = *openCudaSideStream(*device);
  ASSERT_EQ(emulated::enqueueHostWork(side->enter(), [](WorkerPool &) { return "lost"; }), success);
  ASSERT_EQ(side->letDeviceWait(*side->mark()), absl::OkStatus());
  EXPECT_EQ(device->synchronize().code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(side->followDevice().ok());
}

} // namespace
} // namespace oriel::runtime::cuda

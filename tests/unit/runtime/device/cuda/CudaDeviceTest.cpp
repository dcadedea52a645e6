// The CUDA device over the emulated driver: what a GPU would do, and what the emulator refuses to forgive.
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/plan/plan.pb.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>
#include <numeric>

namespace oriel::runtime {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

plan::Plan nvidiaPlan() {
  plan::Plan plan;
  plan.mutable_target()->set_kind("nvidia");
  plan.mutable_target()->set_chip("sm_80");
  return plan;
}

class CudaDeviceTest : public ::testing::Test {
protected:
  CudaDeviceTest() : device_(*createEmulatedCudaDevice({.threads = 2, .seed = 3})) {}

  std::unique_ptr<DeviceMemory> upload(const std::vector<int> &values) {
    auto memory = *device_->allocate(values.size() * sizeof(int));
    EXPECT_EQ(device_->copy(memory->data(), values.data(), memory->bytes()), absl::OkStatus());
    EXPECT_EQ(device_->synchronize(), absl::OkStatus());
    return memory;
  }
  std::vector<int> download(const DeviceMemory &memory) {
    std::vector<int> values(memory.bytes() / sizeof(int), -7);
    EXPECT_EQ(device_->copy(values.data(), memory.data(), memory.bytes()), absl::OkStatus());
    EXPECT_EQ(device_->synchronize(), absl::OkStatus());
    return values;
  }
  std::vector<int> numbers() const {
    std::vector<int> values(2 * 3 * 4 * 64);
    std::iota(values.begin(), values.end(), 0);
    return values;
  }
  static bool isReversed(const std::vector<int> &values) {
    for (int i = 0; i < static_cast<int>(values.size()); ++i)
      if (values[i] != i / 64 * 64 + 63 - i % 64)
        return false;
    return true;
  }
  std::unique_ptr<KernelLibrary> kernels() { return *device_->loadKernels(nvidiaPlan(), TEST_KERNELS); }

  static LaunchSpec reverse() { return {"reverse", 2, {2, 3, 4}, 64, 256}; }
  std::unique_ptr<Device> device_;
};

TEST_F(CudaDeviceTest, MemoryStartsAtZeroAndIsNotTheHosts) {
  auto memory = *device_->allocate(1000);
  EXPECT_FALSE(memory->hostVisible());
  EXPECT_THAT(download(*memory), Each(0));
  EXPECT_EQ(device_->allocate(size_t(1) << 60).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(CudaDeviceTest, CopiesAndFillsWithinAnAllocation) {
  auto memory = upload({1, 2, 3, 4});
  EXPECT_EQ(device_->fillZero(memory->data() + 4, 8), absl::OkStatus());
  EXPECT_THAT(download(*memory), ::testing::ElementsAre(1, 0, 0, 4));
  EXPECT_EQ(device_->fillZero(memory->data() + 4, 16).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(device_->copy(memory->data(), memory->data() + 8, 12).code(), absl::StatusCode::kInternal);
}

TEST_F(CudaDeviceTest, LaunchesKernels) {
  auto in = upload(numbers()), out = upload(std::vector<int>(numbers().size(), 0));
  auto library = kernels();
  auto launch = library->prepare(reverse());
  ASSERT_TRUE(launch.ok()) << launch.status();
  void *addresses[] = {in->data(), out->data()};
  ASSERT_EQ(device_->launch(**launch, addresses), absl::OkStatus());
  EXPECT_TRUE(isReversed(download(*out)));
  EXPECT_EQ(library->prepare({"absent"}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CudaDeviceTest, NothingRunsBeforeSynchronize) {
  auto memory = upload({1});
  int source = 2, early = -1;
  ASSERT_EQ(device_->copy(memory->data(), &source, sizeof source), absl::OkStatus());
  ASSERT_EQ(device_->copy(&early, memory->data(), sizeof early), absl::OkStatus());
  EXPECT_EQ(early, -1);
  source = 3; // as if it had been reused too early
  ASSERT_EQ(device_->synchronize(), absl::OkStatus());
  EXPECT_EQ(early, 3);
}

TEST_F(CudaDeviceTest, RecordsAndReplays) {
  auto in = upload(numbers()), out = upload(std::vector<int>(numbers().size(), 0));
  auto library = kernels();
  auto launch = *library->prepare(reverse());
  void *addresses[] = {in->data(), out->data()};
  auto recording = device_->record([&] {
    EXPECT_EQ(device_->fillZero(out->data(), out->bytes()), absl::OkStatus());
    return device_->launch(*launch, addresses);
  });
  ASSERT_TRUE(recording.ok()) << recording.status();
  ASSERT_TRUE(*recording);
  addresses[0] = addresses[1] = nullptr; // the recording has its own
  EXPECT_THAT(download(*out), Each(0)) << "recorded work must not run by itself";
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(device_->replay(**recording), absl::OkStatus());
    EXPECT_TRUE(isReversed(download(*out)));
    ASSERT_EQ(device_->fillZero(out->data(), out->bytes()), absl::OkStatus());
  }
}

TEST_F(CudaDeviceTest, AFailedRecordingLeavesTheDeviceUsable) {
  auto memory = upload({5});
  EXPECT_EQ(device_->record([&] { return device_->synchronize(); }).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(device_->record([] { return absl::AbortedError("enough"); }).status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(download(*memory), ::testing::ElementsAre(5));
}

TEST_F(CudaDeviceTest, AFaultyKernelIsNamedAndEndsTheDevice) {
  auto library = kernels();
  auto launch = *library->prepare({"overflow", 0, {2, 1, 1}, 64, 256});
  ASSERT_EQ(device_->launch(*launch, nullptr), absl::OkStatus()); // nobody knows yet
  absl::Status status = device_->synchronize();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("overflow: block (1, 0, 0): a write to byte 256 of 256 bytes of shared memory"));
  EXPECT_FALSE(device_->launch(*launch, nullptr).ok());
}

TEST_F(CudaDeviceTest, RefusesPackagesForOtherTargets) {
  plan::Plan cpu;
  cpu.mutable_target()->set_kind("cpu");
  absl::Status status = device_->loadKernels(cpu, TEST_KERNELS).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("compile it with --target nvidia-emulated:CHIP"));
  plan::Plan host = nvidiaPlan();
  host.mutable_target()->add_features("avx4096");
  EXPECT_THAT(std::string(device_->loadKernels(host, TEST_KERNELS).status().message()), HasSubstr("lacks avx4096"));
  EXPECT_THAT(std::string(device_->loadKernels(nvidiaPlan(), "/none").status().message()),
              ::testing::MatchesRegex("the package has no /none\\.so, which cuda: emulated on .* runs: compile it with "
                                      "--target nvidia-emulated:sm_80"));
}

/// c = beta c + op(a)·op(b) over small integers, exact in bf16.
TEST_F(CudaDeviceTest, MultipliesMatricesOfEveryKind) {
  constexpr int64_t m = 5, n = 7, k = 9;
  for (bool transposeA : {false, true})
    for (bool transposeB : {false, true})
      for (float beta : {0.0f, 1.0f}) {
        std::vector<float> a(m * k), b(k * n), c(m * n, 2), want(m * n);
        for (int64_t i = 0; i < m * k; ++i)
          a[i] = static_cast<float>(i % 5 - 2);
        for (int64_t i = 0; i < k * n; ++i)
          b[i] = static_cast<float>(i % 7 - 3);
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            want[i * n + j] = beta * 2;
            for (int64_t l = 0; l < k; ++l)
              want[i * n + j] += a[transposeA ? l * m + i : i * k + l] * b[transposeB ? j * k + l : l * n + j];
          }
        auto gemm = *device_->prepareGemm({.m = m,
                                           .n = n,
                                           .k = k,
                                           .lda = transposeA ? m : k,
                                           .ldb = transposeB ? k : n,
                                           .ldc = n,
                                           .transposeA = transposeA,
                                           .transposeB = transposeB,
                                           .beta = beta});
        auto memory = *device_->allocate(4096);
        std::byte *at = memory->data();
        ASSERT_EQ(device_->copy(at, a.data(), a.size() * 4), absl::OkStatus());
        ASSERT_EQ(device_->copy(at + 1024, b.data(), b.size() * 4), absl::OkStatus());
        ASSERT_EQ(device_->copy(at + 2048, c.data(), c.size() * 4), absl::OkStatus());
        ASSERT_EQ(device_->gemm(*gemm, at, at + 1024, at + 2048), absl::OkStatus());
        ASSERT_EQ(device_->copy(c.data(), at + 2048, c.size() * 4), absl::OkStatus());
        ASSERT_EQ(device_->synchronize(), absl::OkStatus());
        EXPECT_EQ(c, want) << transposeA << transposeB << beta;
      }
}

TEST_F(CudaDeviceTest, RoundsNoOperandsOfF32Products) {
  auto gemm = *device_->prepareGemm({.m = 1, .n = 1, .k = 1, .lda = 1, .ldb = 1, .ldc = 1});
  auto memory = *device_->allocate(192);
  float a = 1 + 0x1p-9f + 0x1p-13f, b = 1, c = 0;
  ASSERT_EQ(device_->copy(memory->data(), &a, 4), absl::OkStatus());
  ASSERT_EQ(device_->copy(memory->data() + 64, &b, 4), absl::OkStatus());
  ASSERT_EQ(device_->gemm(*gemm, memory->data(), memory->data() + 64, memory->data() + 128), absl::OkStatus());
  ASSERT_EQ(device_->copy(&c, memory->data() + 128, 4), absl::OkStatus());
  ASSERT_EQ(device_->synchronize(), absl::OkStatus());
  EXPECT_EQ(c, a);
}

TEST_F(CudaDeviceTest, StagingMemoryIsTheHostsAndIsUsedAgain) {
  auto staging = *device_->allocate(100, MemoryUse::Staging);
  EXPECT_TRUE(staging->hostVisible());
  std::byte *place = staging->data();
  std::memset(place, 1, 100);
  staging.reset();
  staging = *device_->allocate(80, MemoryUse::Staging);
  EXPECT_EQ(staging->data(), place);
  EXPECT_EQ(staging->data()[79], std::byte(0));
}

TEST_F(CudaDeviceTest, FillsMoreThanTheBlockOfZeros) {
  std::vector<int> values(3 << 20, 1);
  auto memory = upload(values);
  ASSERT_EQ(device_->fillZero(memory->data() + 4, memory->bytes() - 8), absl::OkStatus());
  values = download(*memory);
  EXPECT_EQ(values.front(), 1);
  EXPECT_EQ(values.back(), 1);
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0), 2);
}

using CudaDeviceDeathTest = CudaDeviceTest;

TEST_F(CudaDeviceDeathTest, TheHostCannotTouchDeviceMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto memory = upload({1, 2, 3});
  EXPECT_DEATH(std::memset(memory->data(), 0, 4), "");
}

} // namespace
} // namespace oriel::runtime

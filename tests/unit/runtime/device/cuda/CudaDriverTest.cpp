// What is said when there is no driver, or an old one.
#include "runtime/device/cuda/CudaDriver.h"

#include "runtime/device/cuda/CudaDevice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <dlfcn.h>

namespace oriel::runtime::cuda {
namespace {

using ::testing::HasSubstr;

TEST(CudaDriver, SaysWhatToDoWithoutADriver) {
  absl::Status status = openDriverFrom("libnodriver.so.1").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no NVIDIA driver found (libnodriver.so.1): use --device cpu or install"));
}

TEST(CudaDriver, NamesTheFunctionThatAnOldDriverLacks) {
  absl::Status status = openDriverFrom("libc.so.6").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no cuInit: install a driver for CUDA 12 or later"));
}

TEST(CudaDriver, ADeviceWithoutADriverIsNotMade) {
  if (::dlopen("libcuda.so.1", RTLD_LAZY))
    GTEST_SKIP() << "this machine has a driver";
  EXPECT_EQ(createCudaDevice({}).status().code(), absl::StatusCode::kNotFound);
}

} // namespace
} // namespace oriel::runtime::cuda

// What is said when there is no driver, or an old one, or when one refuses.
#include "runtime/device/cuda/CudaDriver.h"

#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/cuda/DriverDevice.h"
#include "runtime/device/cuda/emulated/EmulatedDriver.h"
#include "runtime/device/cuda/emulated/HostProducts.h"
#include "runtime/plan/plan.pb.h"

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
              HasSubstr("no NVIDIA driver found (libnodriver.so.1): take cpu instead, or install"));
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

/// A device over the emulator's table with some functions that refuse.
absl::StatusOr<std::unique_ptr<runtime::Device>> deviceOver(const Driver &driver) {
  Backend backend;
  backend.driver = &driver;
  backend.name = "cuda:0";
  backend.hostThreads = 1;
  backend.products = [] { return emulated::createHostProducts(); };
  return createDriverDevice(std::move(backend));
}

/// One with two files for each of two kernels.
plan::Plan planOfTwoKernels() {
  plan::Plan plan;
  plan.mutable_target()->set_kind("nvidia");
  plan.mutable_target()->set_chip("sm_90a");
  for (const char *symbol : {"reverse", "overflow"})
    for (const char *suffix : {".cubin", ".ptx"}) {
      plan::DeviceCode *code = plan.add_device_code();
      code->set_file(std::string(symbol) + suffix);
      code->set_symbol(std::string(symbol) + "_of_the_plan");
      code->set_function(symbol);
    }
  return plan;
}

struct Refusal {
  const char *name;
  void (*plant)(Driver &);
  const char *message;
};

class RefusingDriver : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusingDriver, SaysWhatToDo) {
  Driver driver = emulated::emulatedDriver({});
  GetParam().plant(driver);
  absl::StatusOr<std::unique_ptr<runtime::Device>> device = deviceOver(driver);
  absl::Status status = device.status();
  if (status.ok())
    status = (*device)->loadKernels(planOfTwoKernels(), "/package/kernels").status();
  EXPECT_THAT(status.ToString(), HasSubstr(GetParam().message));
}

TEST(CudaDriver, ADeviceSaysWhichPackageItWants) {
  plan::Plan plan = planOfTwoKernels();
  plan.clear_device_code();
  EXPECT_EQ((*deviceOver(emulated::emulatedDriver({})))->loadKernels(plan, "/package/kernels").status(),
            absl::FailedPreconditionError("the package has no code for GPUs, which cuda:0: 0000:00:00.0 runs: compile it "
                                          "with --target nvidia:sm_90a"));
}

/// Files that a driver was asked for, and what has become of the modules.
struct Modules {
  std::vector<std::string> asked;
  int loaded = 0;
} modules;

/// A driver that takes no cubin, and gives the test's library for every PTX.
Driver driverThatAssembles() {
  Driver driver = emulated::emulatedDriver({});
  static const Driver emulator = driver;
  modules = {};
  driver.moduleLoad = [](Module *module, const char *path) {
    modules.asked.push_back(path);
    if (std::string_view(path).ends_with(".cubin"))
      return noBinaryForGpu;
    ++modules.loaded;
    return emulator.moduleLoad(module, TEST_KERNELS ".so");
  };
  driver.moduleUnload = [](Module module) {
    --modules.loaded;
    return emulator.moduleUnload(module);
  };
  return driver;
}

TEST(CudaDriver, LoadsTheFirstFileOfEachKernelThatTheGpuTakes) {
  Driver driver = driverThatAssembles();
  auto device = *deviceOver(driver);
  auto kernels = device->loadKernels(planOfTwoKernels(), "/package/kernels");
  ASSERT_EQ(kernels.status(), absl::OkStatus());
  EXPECT_THAT(modules.asked, ::testing::ElementsAre("/package/reverse.cubin", "/package/reverse.ptx",
                                                    "/package/overflow.cubin", "/package/overflow.ptx"));
  EXPECT_EQ(modules.loaded, 2);
  EXPECT_EQ((*kernels)->prepare({"reverse_of_the_plan", 2, {2, 3, 4}, 64, 256}).status(), absl::OkStatus());
  EXPECT_EQ((*kernels)->prepare({"reverse", 2, {2, 3, 4}, 64, 256}).status().code(), absl::StatusCode::kNotFound)
      << "what stands in the code is no symbol";
  kernels->reset();
  EXPECT_EQ(modules.loaded, 0);
}

TEST(CudaDriver, AKernelThatDoesNotLoadIsToldWithAllReasons) {
  Driver driver = driverThatAssembles();
  driver.moduleLoad = [](Module *, const char *path) {
    return std::string_view(path).ends_with(".cubin") ? invalidImage : unsupportedPtx;
  };
  absl::Status status = (*deviceOver(driver))->loadKernels(planOfTwoKernels(), "/package/kernels").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              ::testing::MatchesRegex("compiled for sm_90a, which cuda:0: .* does not run: /package/overflow.cubin: .*; "
                                      "/package/overflow.ptx: .*newer driver.*"));
}

INSTANTIATE_TEST_SUITE_P(
    CudaDriver, RefusingDriver,
    ::testing::Values(
        Refusal{"NoGpu", [](Driver &d) { d.init = [](unsigned) { return noDevice; }; },
                "start the NVIDIA driver: there is no GPU: nvidia-smi must list one"},
        Refusal{"NoFabric",
                [](Driver &d) { d.devicePrimaryCtxRetain = [](Context *, Device) { return systemNotReady; }; },
                "is nvidia-fabricmanager running?"},
        Refusal{"NoSuchGpu", [](Driver &d) { d.deviceGet = [](Device *, int) { return invalidDevice; }; },
                "NOT_FOUND: there is no NVIDIA GPU number 0"},
        Refusal{
            "NoMemory", [](Driver &d) { d.memAlloc = [](Address *, size_t) { return outOfMemory; }; },
            "RESOURCE_EXHAUSTED: memory of the device: out of memory; nvidia-smi shows who holds it (CUDA error 2)"},
        Refusal{"NoCodeForTheGpu",
                [](Driver &d) {
                  d.moduleLoad = [](Module *, const char *) { return noBinaryForGpu; };
                  d.faultText = nullptr;
                },
                "FAILED_PRECONDITION: compiled for sm_90a, which cuda:0: 0000:00:00.0 does not run"},
        Refusal{"NewerPtxThanTheDriver",
                [](Driver &d) { d.moduleLoad = [](Module *, const char *) { return unsupportedPtx; }; },
                "install a newer driver (CUDA error 222)"}),
    [](const auto &info) { return info.param.name; });

} // namespace
} // namespace oriel::runtime::cuda

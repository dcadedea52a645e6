// The table of runtime/device/cuda/CudaDriver.h against the headers and the link stub of an installed CUDA toolkit.
// Only built where cuda.h is; whatever differs does not compile.
#include "runtime/device/cuda/CudaDriver.h"

#include <cuda.h>
#include <gtest/gtest.h>
#include <type_traits>

namespace oriel::runtime::cuda {
namespace {

/// Equal numbers of parameters of equal sizes, pointers where pointers are.
template <typename R1, typename... A1, typename R2, typename... A2>
constexpr bool sameCall(R1 (*)(A1...), R2 (*)(A2...)) {
  if constexpr (sizeof...(A1) != sizeof...(A2))
    return false;
  else
    return sizeof(R1) == sizeof(R2) &&
           ((sizeof(A1) == sizeof(A2) && std::is_pointer_v<A1> == std::is_pointer_v<A2>)&&...);
}

#define ORIEL_SAME(member, function)                                                                                   \
  static_assert(sameCall(decltype(Driver::member){}, static_cast<decltype(&function)>(nullptr)), #function)
ORIEL_SAME(init, cuInit);
ORIEL_SAME(deviceGet, cuDeviceGet);
ORIEL_SAME(deviceGetPciBusId, cuDeviceGetPCIBusId);
ORIEL_SAME(deviceCanAccessPeer, cuDeviceCanAccessPeer);
ORIEL_SAME(devicePrimaryCtxRetain, cuDevicePrimaryCtxRetain);
ORIEL_SAME(ctxSetCurrent, cuCtxSetCurrent);
ORIEL_SAME(moduleLoad, cuModuleLoad);
ORIEL_SAME(moduleUnload, cuModuleUnload);
ORIEL_SAME(moduleGetFunction, cuModuleGetFunction);
ORIEL_SAME(funcSetAttribute, cuFuncSetAttribute);
ORIEL_SAME(launchKernel, cuLaunchKernel);
ORIEL_SAME(tensorMapEncodeTiled, cuTensorMapEncodeTiled);
ORIEL_SAME(memAlloc, cuMemAlloc);
ORIEL_SAME(memFree, cuMemFree);
ORIEL_SAME(memHostAlloc, cuMemHostAlloc);
ORIEL_SAME(memcpyAsync, cuMemcpyAsync);
ORIEL_SAME(streamCreate, cuStreamCreate);
ORIEL_SAME(streamQuery, cuStreamQuery);
ORIEL_SAME(streamBeginCapture, cuStreamBeginCapture);
ORIEL_SAME(streamEndCapture, cuStreamEndCapture);
ORIEL_SAME(eventCreate, cuEventCreate);
ORIEL_SAME(eventRecord, cuEventRecord);
ORIEL_SAME(streamWaitEvent, cuStreamWaitEvent);
ORIEL_SAME(graphInstantiate, cuGraphInstantiate);
ORIEL_SAME(graphLaunch, cuGraphLaunch);
#undef ORIEL_SAME

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));
static_assert(tensorMapFloat32 == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 &&
              tensorMapBfloat16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
static_assert(swizzleNone == CU_TENSOR_MAP_SWIZZLE_NONE && swizzle32 == CU_TENSOR_MAP_SWIZZLE_32B &&
              swizzle64 == CU_TENSOR_MAP_SWIZZLE_64B && swizzle128 == CU_TENSOR_MAP_SWIZZLE_128B &&
              promote128 == CU_TENSOR_MAP_L2_PROMOTION_L2_128B && CU_TENSOR_MAP_INTERLEAVE_NONE == 0 &&
              CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE == 0);

static_assert(success == CUDA_SUCCESS && invalidValue == CUDA_ERROR_INVALID_VALUE &&
              outOfMemory == CUDA_ERROR_OUT_OF_MEMORY && deviceUnavailable == CUDA_ERROR_DEVICE_UNAVAILABLE &&
              noDevice == CUDA_ERROR_NO_DEVICE && invalidDevice == CUDA_ERROR_INVALID_DEVICE &&
              invalidImage == CUDA_ERROR_INVALID_IMAGE && invalidContext == CUDA_ERROR_INVALID_CONTEXT &&
              noBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU && eccError == CUDA_ERROR_ECC_UNCORRECTABLE &&
              invalidPtx == CUDA_ERROR_INVALID_PTX && unsupportedPtx == CUDA_ERROR_UNSUPPORTED_PTX_VERSION &&
              fileNotFound == CUDA_ERROR_FILE_NOT_FOUND && invalidHandle == CUDA_ERROR_INVALID_HANDLE &&
              notFound == CUDA_ERROR_NOT_FOUND && notReady == CUDA_ERROR_NOT_READY &&
              illegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS && outOfResources == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES &&
              misalignedAddress == CUDA_ERROR_MISALIGNED_ADDRESS && launchFailed == CUDA_ERROR_LAUNCH_FAILED &&
              systemNotReady == CUDA_ERROR_SYSTEM_NOT_READY && driverMismatch == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH &&
              captureUnsupported == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
static_assert(attributeDynamicSharedBytes == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES &&
              streamNonBlocking == CU_STREAM_NON_BLOCKING && eventDisableTiming == CU_EVENT_DISABLE_TIMING &&
              hostAllocPortable == CU_MEMHOSTALLOC_PORTABLE &&
              captureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);

TEST(DriverAbi, TheToolkitsStubExportsEveryFunction) {
  if (std::string(CUDA_STUB).empty())
    GTEST_SKIP() << "the toolkit has no stub of libcuda";
  EXPECT_EQ(openDriverFrom(CUDA_STUB).status(), absl::OkStatus());
}

} // namespace
} // namespace oriel::runtime::cuda

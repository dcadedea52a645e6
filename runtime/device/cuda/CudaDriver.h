// The 25 functions of the CUDA driver that a CUDA device is made of, as a table: the driver's own (CudaDriver.cpp opens
// libcuda.so.1), or the emulator's (emulated/EmulatedDriver.h). CudaDevice sees nothing but such a table.
//
// Names, meaning and binary interface are the driver's (CUDA 12 and 13); the types are declared here so that a build
// needs no CUDA headers. Addresses are unified: memcpyAsync copies between host and device in any direction. Contexts,
// streams, events, pinned memory and graphs live as long as the process: there are few, and whoever is done with one
// keeps it for the next use, or leaves it. Who waits polls streamQuery; so every wait can have a deadline.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_CUDADRIVER_H
#define ORIEL_RUNTIME_DEVICE_CUDA_CUDADRIVER_H

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace oriel::runtime::cuda {

using Result = int;                // CUresult; 0 is success
using Device = int;                // CUdevice
using Address = uint64_t;          // CUdeviceptr
using Context = struct Context_ *; // CUcontext …
using Module = struct Module_ *;
using Function = struct Function_ *;
using Stream = struct Stream_ *;
using Event = struct Event_ *;
using Graph = struct Graph_ *;
using GraphExec = struct GraphExec_ *;

constexpr Result success = 0, invalidValue = 1, outOfMemory = 2, deviceUnavailable = 46, noDevice = 100,
                 invalidDevice = 101, invalidImage = 200, invalidContext = 201, noBinaryForGpu = 209, eccError = 214,
                 invalidPtx = 218, unsupportedPtx = 222, fileNotFound = 301, invalidHandle = 400, notFound = 500,
                 notReady = 600, illegalAddress = 700, outOfResources = 701, misalignedAddress = 716,
                 launchFailed = 719, systemNotReady = 802, driverMismatch = 803, captureUnsupported = 900;
constexpr int attributeDynamicSharedBytes = 8; // of a function
constexpr unsigned streamNonBlocking = 1;
constexpr unsigned eventDisableTiming = 2;
constexpr unsigned hostAllocPortable = 1;
constexpr int captureThreadLocal = 1;
constexpr int tensorMapFloat32 = 7, tensorMapBfloat16 = 9; // CUtensorMapDataType
constexpr int swizzleNone = 0, swizzle32 = 1, swizzle64 = 2, swizzle128 = 3, promote128 = 2;

/// CUtensorMap: where cp.async.bulk.tensor (TMA) finds the elements of a tensor. A parameter of kernels; opaque.
struct alignas(128) TensorMap {
  std::byte bytes[128];
};

struct Driver {
  Result (*init)(unsigned flags);
  Result (*deviceGet)(Device *, int ordinal);
  Result (*deviceGetPciBusId)(char *id, int bytes, Device);
  Result (*deviceCanAccessPeer)(int *can, Device, Device peer);
  /// The context lives as long as the process.
  Result (*devicePrimaryCtxRetain)(Context *, Device);
  Result (*ctxSetCurrent)(Context);

  Result (*moduleLoad)(Module *, const char *path);
  Result (*moduleUnload)(Module);
  Result (*moduleGetFunction)(Function *, Module, const char *name);
  Result (*funcSetAttribute)(Function, int attribute, int value);
  Result (*launchKernel)(Function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned threadsX, unsigned threadsY,
                         unsigned threadsZ, unsigned sharedBytes, Stream, void **parameters, void **extra);

  /// Runs nothing and allocates nothing. Dimensions are innermost first; `strides`, bytes, of all but the innermost.
  Result (*tensorMapEncodeTiled)(TensorMap *, int type, uint32_t rank, void *address, const uint64_t *sizes,
                                 const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                                 int interleave, int swizzle, int promotion, int fill);

  Result (*memAlloc)(Address *, size_t bytes);
  Result (*memFree)(Address);
  Result (*memHostAlloc)(void **, size_t bytes, unsigned flags); ///< pinned
  Result (*memcpyAsync)(Address target, Address source, size_t bytes, Stream);

  Result (*streamCreate)(Stream *, unsigned flags);
  Result (*streamQuery)(Stream); ///< success when all work is done, else notReady
  Result (*streamBeginCapture)(Stream, int mode);
  Result (*streamEndCapture)(Stream, Graph *);

  Result (*eventCreate)(Event *, unsigned flags);
  Result (*eventRecord)(Event, Stream);
  Result (*streamWaitEvent)(Stream, Event, unsigned flags); ///< for what was recorded last

  Result (*graphInstantiate)(GraphExec *, Graph, unsigned long long flags);
  Result (*graphLaunch)(GraphExec, Stream);

  /// What the last faulty work did wrong, in words; null where nobody knows more than its Result (a GPU).
  const char *(*faultText)() = nullptr;
};

/// The driver of this machine, opened once. NotFound: "no NVIDIA driver found …"; FailedPrecondition when the driver is
/// older than CUDA 12. Thread safe.
absl::StatusOr<const Driver *> openDriver();

/// The same from the library `name`, for tests of what can be wrong with one.
absl::StatusOr<Driver> openDriverFrom(const char *name);

/// The meaning of a result that is not success, and what to do about it where something can be done.
std::string explain(const Driver &driver, Result result);

/// OK for success. ResourceExhausted for a lack of memory, else Internal: `what` + ": " + explain().
absl::Status check(const Driver &driver, Result result, absl::string_view what);

} // namespace oriel::runtime::cuda

#endif

// The 25 functions of the CUDA driver that a CUDA device is made of, as a table: the driver's own (CudaDriver.cpp opens
// libcuda.so.1), or the emulator's (emulated/EmulatedDriver.h). CudaDevice sees nothing but such a table.
//
// Names, meaning and binary interface are the driver's (CUDA 12 and 13); the types are declared here so that a build
// needs no CUDA headers. Addresses are unified: memcpyAsync copies between host and device in any direction.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_CUDADRIVER_H
#define ORIEL_RUNTIME_DEVICE_CUDA_CUDADRIVER_H

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstddef>
#include <cstdint>

namespace oriel::runtime::cuda {

using Result = int;                // CUresult; 0 is success
using Device = int;                // CUdevice
using Address = uint64_t;          // CUdeviceptr
using Context = struct Context_ *; // CUcontext …
using Module = struct Module_ *;
using Function = struct Function_ *;
using Stream = struct Stream_ *;
using Graph = struct Graph_ *;
using GraphExec = struct GraphExec_ *;

constexpr Result success = 0, invalidValue = 1, outOfMemory = 2, invalidContext = 201, noBinaryForGpu = 209,
                 fileNotFound = 301, invalidHandle = 400, notFound = 500, notReady = 600, launchFailed = 719,
                 captureUnsupported = 900;
constexpr int attributeDynamicSharedBytes = 8; // of a function
constexpr unsigned streamNonBlocking = 1;
constexpr int captureThreadLocal = 1;

struct Driver {
  Result (*init)(unsigned flags);
  Result (*getErrorString)(Result, const char **text);

  Result (*deviceGet)(Device *, int ordinal);
  Result (*deviceGetName)(char *name, int bytes, Device);
  /// The context lives as long as the process.
  Result (*devicePrimaryCtxRetain)(Context *, Device);
  Result (*ctxSetCurrent)(Context);

  Result (*moduleLoad)(Module *, const char *path);
  Result (*moduleUnload)(Module);
  Result (*moduleGetFunction)(Function *, Module, const char *name);
  Result (*funcSetAttribute)(Function, int attribute, int value);
  Result (*launchKernel)(Function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned threadsX, unsigned threadsY,
                         unsigned threadsZ, unsigned sharedBytes, Stream, void **parameters, void **extra);

  Result (*memAlloc)(Address *, size_t bytes);
  Result (*memFree)(Address);
  Result (*memcpyAsync)(Address target, Address source, size_t bytes, Stream);
  Result (*memsetD8Async)(Address, unsigned char value, size_t count, Stream);

  Result (*streamCreate)(Stream *, unsigned flags);
  Result (*streamDestroy)(Stream);
  Result (*streamSynchronize)(Stream);
  Result (*streamQuery)(Stream); ///< success when all work is done, else notReady
  Result (*streamBeginCapture)(Stream, int mode);
  Result (*streamEndCapture)(Stream, Graph *);

  Result (*graphInstantiate)(GraphExec *, Graph, unsigned long long flags);
  Result (*graphLaunch)(GraphExec, Stream);
  Result (*graphExecDestroy)(GraphExec);
  Result (*graphDestroy)(Graph);
};

/// The driver of this machine, opened once. NotFound: "no NVIDIA driver found …"; FailedPrecondition when the driver is
/// older than CUDA 12. Thread safe.
absl::StatusOr<const Driver *> openDriver();

/// The same from the library `name`, for tests of what can be wrong with one.
absl::StatusOr<Driver> openDriverFrom(const char *name);

/// OK for success. ResourceExhausted for a lack of memory, else Internal: `what` + ": " + the driver's text.
absl::Status check(const Driver &driver, Result result, absl::string_view what);

} // namespace oriel::runtime::cuda

#endif

#include "runtime/device/cuda/CudaDriver.h"

#include "absl/strings/str_cat.h"

#include <dlfcn.h>

namespace oriel::runtime::cuda {

namespace {

constexpr const char *libraryName = "libcuda.so.1";

/// Looks functions up by the names under which the driver exports their present versions.
class Finder {
public:
  explicit Finder(void *library) : library_(library) {}

  template <typename F> void find(F *&function, const char *name) {
    function = reinterpret_cast<F *>(::dlsym(library_, name));
    if (!function && missing_.empty())
      missing_ = name;
  }
  const std::string &missing() const { return missing_; }

private:
  void *library_;
  std::string missing_;
};

void findAll(Finder &finder, Driver &driver) {
  finder.find(driver.init, "cuInit");
  finder.find(driver.deviceGet, "cuDeviceGet");
  finder.find(driver.deviceGetPciBusId, "cuDeviceGetPCIBusId");
  finder.find(driver.deviceCanAccessPeer, "cuDeviceCanAccessPeer");
  finder.find(driver.devicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  finder.find(driver.ctxSetCurrent, "cuCtxSetCurrent");
  finder.find(driver.moduleLoad, "cuModuleLoad");
  finder.find(driver.moduleUnload, "cuModuleUnload");
  finder.find(driver.moduleGetFunction, "cuModuleGetFunction");
  finder.find(driver.funcSetAttribute, "cuFuncSetAttribute");
  finder.find(driver.launchKernel, "cuLaunchKernel");
  finder.find(driver.tensorMapEncodeTiled, "cuTensorMapEncodeTiled");
  finder.find(driver.memAlloc, "cuMemAlloc_v2");
  finder.find(driver.memFree, "cuMemFree_v2");
  finder.find(driver.memHostAlloc, "cuMemHostAlloc");
  finder.find(driver.memcpyAsync, "cuMemcpyAsync");
  finder.find(driver.streamCreate, "cuStreamCreate");
  finder.find(driver.streamQuery, "cuStreamQuery");
  finder.find(driver.streamBeginCapture, "cuStreamBeginCapture_v2");
  finder.find(driver.streamEndCapture, "cuStreamEndCapture");
  finder.find(driver.eventCreate, "cuEventCreate");
  finder.find(driver.eventRecord, "cuEventRecord");
  finder.find(driver.streamWaitEvent, "cuStreamWaitEvent");
  finder.find(driver.graphInstantiate, "cuGraphInstantiateWithFlags");
  finder.find(driver.graphLaunch, "cuGraphLaunch");
}

} // namespace

absl::StatusOr<Driver> openDriverFrom(const char *name) {
  // Never closed: the driver keeps threads and exit handlers of its own.
  void *library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return absl::NotFoundError(absl::StrCat("no NVIDIA driver found (", name,
                                            "): take cpu instead, or install the NVIDIA driver of this "
                                            "machine's GPU"));
  Driver driver = {};
  Finder finder(library);
  findAll(finder, driver);
  if (!finder.missing().empty())
    return absl::FailedPreconditionError(absl::StrCat("the NVIDIA driver (", name, ") has no ", finder.missing(),
                                                      ": install a driver for CUDA 12 or later"));
  return driver;
}

absl::StatusOr<const Driver *> openDriver() {
  static const absl::StatusOr<Driver> driver = openDriverFrom(libraryName);
  if (!driver.ok())
    return driver.status();
  return &*driver;
}

static const char *meaningOf(Result result) {
  switch (result) {
  case invalidValue:
    return "invalid argument";
  case outOfMemory:
    return "out of memory; nvidia-smi shows who holds it";
  case deviceUnavailable:
    return "the GPU is taken by another process, or in exclusive mode (see nvidia-smi)";
  case noDevice:
    return "there is no GPU: nvidia-smi must list one; a container needs --gpus all, and CUDA_VISIBLE_DEVICES may hide "
           "them";
  case invalidDevice:
    return "there is no such GPU";
  case invalidImage:
    return "this driver cannot read the code: it was assembled by a newer CUDA than the driver's";
  case invalidContext:
    return "invalid context";
  case noBinaryForGpu:
    return "there is no code for this GPU: compile the package for its chip (--target nvidia:CHIP)";
  case eccError:
    return "the GPU's memory had an error that ECC could not correct: reset or replace the GPU";
  case invalidPtx:
    return "the driver's assembler refuses the PTX";
  case unsupportedPtx:
    return "the PTX is of a newer version than the driver knows: install a newer driver";
  case fileNotFound:
    return "file not found";
  case invalidHandle:
    return "invalid handle";
  case notFound:
    return "no such symbol";
  case notReady:
    return "not done yet";
  case illegalAddress:
    return "a kernel reached outside its memory; compute-sanitizer names it";
  case outOfResources:
    return "the kernel needs more registers or shared memory than the GPU has";
  case misalignedAddress:
    return "a kernel used a misaligned address; compute-sanitizer names it";
  case launchFailed:
    return "a kernel failed; compute-sanitizer names it";
  case systemNotReady:
    return "the GPUs are not ready: is nvidia-fabricmanager running?";
  case driverMismatch:
    return "the driver's library and kernel module are of different versions: reload the module, or restart";
  case captureUnsupported:
    return "not possible while a graph is recorded";
  default:
    return "see CUresult in cuda.h";
  }
}

std::string explain(const Driver &driver, Result result) {
  const char *fault = driver.faultText ? driver.faultText() : nullptr;
  bool faulty = result == launchFailed || result == noBinaryForGpu;
  return absl::StrCat(faulty && fault && *fault ? fault : meaningOf(result), " (CUDA error ", result, ")");
}

absl::Status check(const Driver &driver, Result result, absl::string_view what) {
  if (result == success)
    return absl::OkStatus();
  std::string message = absl::StrCat(what, ": ", explain(driver, result));
  return result == outOfMemory ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

} // namespace oriel::runtime::cuda

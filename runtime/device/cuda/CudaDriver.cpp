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
  finder.find(driver.getErrorString, "cuGetErrorString");
  finder.find(driver.deviceGet, "cuDeviceGet");
  finder.find(driver.deviceGetName, "cuDeviceGetName");
  finder.find(driver.devicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  finder.find(driver.ctxSetCurrent, "cuCtxSetCurrent");
  finder.find(driver.moduleLoad, "cuModuleLoad");
  finder.find(driver.moduleUnload, "cuModuleUnload");
  finder.find(driver.moduleGetFunction, "cuModuleGetFunction");
  finder.find(driver.funcSetAttribute, "cuFuncSetAttribute");
  finder.find(driver.launchKernel, "cuLaunchKernel");
  finder.find(driver.memAlloc, "cuMemAlloc_v2");
  finder.find(driver.memFree, "cuMemFree_v2");
  finder.find(driver.memcpyAsync, "cuMemcpyAsync");
  finder.find(driver.memsetD8Async, "cuMemsetD8Async");
  finder.find(driver.streamCreate, "cuStreamCreate");
  finder.find(driver.streamDestroy, "cuStreamDestroy_v2");
  finder.find(driver.streamSynchronize, "cuStreamSynchronize");
  finder.find(driver.streamQuery, "cuStreamQuery");
  finder.find(driver.streamBeginCapture, "cuStreamBeginCapture_v2");
  finder.find(driver.streamEndCapture, "cuStreamEndCapture");
  finder.find(driver.graphInstantiate, "cuGraphInstantiateWithFlags");
  finder.find(driver.graphLaunch, "cuGraphLaunch");
  finder.find(driver.graphExecDestroy, "cuGraphExecDestroy");
  finder.find(driver.graphDestroy, "cuGraphDestroy");
}

} // namespace

absl::StatusOr<Driver> openDriverFrom(const char *name) {
  // Never closed: the driver keeps threads and exit handlers of its own.
  void *library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return absl::NotFoundError(absl::StrCat("no NVIDIA driver found (", name,
                                            "): use --device cpu or install the NVIDIA driver of this "
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

absl::Status check(const Driver &driver, Result result, absl::string_view what) {
  if (result == success)
    return absl::OkStatus();
  const char *text = nullptr;
  driver.getErrorString(result, &text);
  std::string message = absl::StrCat(what, ": ", text ? text : "unknown error", " (CUDA error ", result, ")");
  return result == outOfMemory ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

} // namespace oriel::runtime::cuda

// Threads, scratch and code loading of the CPU device.
#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Status.h"
#include "runtime/device/cpu/CpuCores.h"
#include "runtime/device/cpu/CpuGemm.h"
#include "runtime/device/cpu/CpuMemory.h"
#include "runtime/device/cpu/WorkerPool.h"
#include "runtime/plan/plan.pb.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>

namespace oriel::runtime {

namespace {

constexpr size_t scratchAlignment = 4096;

/// void symbol(void *const *args, int64_t x, int64_t y, int64_t z, void *scratch)
using KernelFunction = void (*)(void *const *, int64_t, int64_t, int64_t, void *);

struct CpuLaunch final : PreparedLaunch {
  KernelFunction function = nullptr;
  std::array<int64_t, 3> grid = {};
};

class CpuDevice final : public Device {
public:
  CpuDevice(int threads, int firstCore) : threads_(threads), pool_(threads, firstCore), gemms_(pool_) {}

  std::string description() const override {
    return absl::StrCat("cpu: ", hostCpuName(), ", ", threads_, threads_ == 1 ? " thread" : " threads");
  }
  int threads() const override { return threads_; }

  absl::StatusOr<std::unique_ptr<DeviceMemory>> allocate(size_t bytes, MemoryUse) override {
    return allocateCpuMemory(bytes);
  }
  absl::StatusOr<std::unique_ptr<KernelLibrary>> loadKernels(const plan::Plan &plan,
                                                             const std::string &stem) override;
  absl::StatusOr<std::shared_ptr<PreparedGemm>> prepareGemm(const GemmSpec &spec) override;
  /// Makes room for kernels that want that much private scratch.
  absl::Status reserveScratch(size_t bytesPerCell);

  absl::Status launch(PreparedLaunch &launch, void *const *addresses) override;
  absl::Status gemm(PreparedGemm &gemm, const void *a, const void *b, void *c) override;
  absl::Status fillZero(void *target, size_t bytes) override;
  absl::Status copy(void *target, const void *source, size_t bytes) override;
  absl::Status synchronize() override { return absl::OkStatus(); }

private:
  int threads_;
  WorkerPool pool_;
  CpuGemmLibrary gemms_;
  std::unique_ptr<DeviceMemory> scratch_;
  size_t scratchBytesPerThread_ = 0;
};

class SharedObject final : public KernelLibrary {
public:
  SharedObject(CpuDevice &device, void *handle, std::string path)
      : device_(device), handle_(handle), path_(std::move(path)) {}
  ~SharedObject() override { ::dlclose(handle_); }

  absl::StatusOr<std::unique_ptr<PreparedLaunch>> prepare(const LaunchSpec &spec) override {
    auto launch = std::make_unique<CpuLaunch>();
    launch->function = reinterpret_cast<KernelFunction>(::dlsym(handle_, spec.symbol.c_str()));
    if (!launch->function)
      return absl::NotFoundError(absl::StrCat(path_, " has no kernel '", spec.symbol, "'"));
    launch->grid = spec.grid;
    ORIEL_RETURN_IF_ERROR(device_.reserveScratch(spec.scratchBytes));
    return launch;
  }

private:
  CpuDevice &device_;
  void *handle_;
  std::string path_;
};

absl::StatusOr<std::unique_ptr<KernelLibrary>> CpuDevice::loadKernels(const plan::Plan &plan,
                                                                      const std::string &stem) {
  const plan::Target &target = plan.target();
  if (target.kind() != "cpu")
    return absl::FailedPreconditionError(absl::StrCat("compiled for ", target.kind(), ":", target.chip(),
                                                      ", and the device is a CPU: compile it with --target cpu, or run "
                                                      "it with --device cuda or cuda-emulated"));
  std::string path = stem + ".so";
  // A path with no slash would be searched for in the library path.
  std::string address = path.find('/') == std::string::npos ? "./" + path : path;
  void *handle = ::dlopen(address.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return absl::FailedPreconditionError(absl::StrCat("cannot load kernels: ", ::dlerror()));
  return std::make_unique<SharedObject>(*this, handle, path);
}

absl::StatusOr<std::shared_ptr<PreparedGemm>> CpuDevice::prepareGemm(const GemmSpec &spec) {
  ORIEL_ASSIGN_OR_RETURN(std::shared_ptr<CpuGemm> gemm, gemms_.prepare(spec));
  return std::shared_ptr<PreparedGemm>(std::move(gemm));
}

absl::Status CpuDevice::reserveScratch(size_t bytesPerCell) {
  if (bytesPerCell <= scratchBytesPerThread_)
    return absl::OkStatus();
  size_t perThread = (bytesPerCell + scratchAlignment - 1) / scratchAlignment * scratchAlignment;
  ORIEL_ASSIGN_OR_RETURN(scratch_, allocateCpuMemory(perThread * threads_));
  scratchBytesPerThread_ = perThread;
  return absl::OkStatus();
}

absl::Status CpuDevice::launch(PreparedLaunch &launch, void *const *addresses) {
  const auto &[function, grid] = static_cast<const CpuLaunch &>(launch);
  int64_t cells = grid[0] * grid[1] * grid[2];
  std::byte *scratch = scratch_ ? scratch_->data() : nullptr;
  // Later cells of causal kernels cost more than early ones, so threads take small runs of cells as they come. Cells
  // are independent: who computes one changes no bit.
  int64_t run = std::max<int64_t>(1, cells / (threads_ * 16));
  pool_.forEach(cells, run, [&, function = function, grid = grid](int64_t cell, int thread) {
    int64_t x = cell % grid[0], y = cell / grid[0] % grid[1], z = cell / (grid[0] * grid[1]);
    function(addresses, x, y, z, scratch + scratchBytesPerThread_ * static_cast<size_t>(thread));
  });
  return absl::OkStatus();
}

absl::Status CpuDevice::gemm(PreparedGemm &gemm, const void *a, const void *b, void *c) {
  return gemms_.run(static_cast<const CpuGemm &>(gemm), a, b, c);
}

absl::Status CpuDevice::fillZero(void *target, size_t bytes) {
  std::memset(target, 0, bytes);
  return absl::OkStatus();
}

absl::Status CpuDevice::copy(void *target, const void *source, size_t bytes) {
  std::memmove(target, source, bytes);
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<std::unique_ptr<Device>> createCpuDevice(const CpuOptions &options) {
  if (options.threads < 0 || options.threads > 4096)
    return absl::InvalidArgumentError(absl::StrCat("threads = ", options.threads, " must be 0 (all cores) to 4096"));
  int threads = options.threads > 0 ? options.threads : static_cast<int>(allowedCores().size());
  return std::make_unique<CpuDevice>(threads, options.firstCore);
}

} // namespace oriel::runtime

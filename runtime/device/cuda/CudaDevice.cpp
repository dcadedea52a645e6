#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/base/CpuFeatures.h"
#include "runtime/base/Status.h"
#include "runtime/device/cpu/CpuCores.h"
#include "runtime/device/cpu/MachineTopology.h"
#include "runtime/device/cuda/CublasLt.h"
#include "runtime/device/cuda/DriverDevice.h"
#include "runtime/device/cuda/GpuFacts.h"
#include "runtime/device/cuda/emulated/EmulatedDriver.h"
#include "runtime/device/cuda/emulated/HostProducts.h"
#include "runtime/plan/Package.h"

#include "absl/strings/str_cat.h"

namespace oriel::runtime {

absl::StatusOr<std::unique_ptr<Device>> createCudaDevice(const CudaOptions &options) {
  cuda::Backend backend;
  ORIEL_ASSIGN_OR_RETURN(backend.driver, cuda::openDriver());
  backend.ordinal = options.ordinal;
  backend.name = absl::StrCat("cuda:", options.ordinal);
  backend.model = [](const std::string &place) { return absl::StrCat(cuda::modelOf(place, "/proc"), " at ", place); };
  backend.products = [driver = backend.driver] { return cuda::createCublasLt(*driver); };
  return cuda::createDriverDevice(std::move(backend));
}

absl::StatusOr<std::unique_ptr<cuda::SideStream>> openCudaSideStream(Device &device) {
  return cuda::openSideStream(device);
}
absl::StatusOr<bool> isCudaDeviceIdle(Device &device) { return cuda::isIdle(device); }

absl::StatusOr<int> countCudaDevices() {
  ORIEL_ASSIGN_OR_RETURN(const cuda::Driver *driver, cuda::openDriver());
  return cuda::countGpus(*driver);
}

absl::StatusOr<CudaPeers> findCudaPeers() {
  ORIEL_ASSIGN_OR_RETURN(const cuda::Driver *driver, cuda::openDriver());
  ORIEL_ASSIGN_OR_RETURN(int gpus, cuda::countGpus(*driver));
  ORIEL_ASSIGN_OR_RETURN(auto apart, cuda::pairsWithoutPeerAccess(*driver, gpus));
  return CudaPeers{gpus, apart.empty(), cuda::describePeers(gpus, apart)};
}

std::vector<int> coresNearCudaDevice(int ordinal) {
  absl::StatusOr<const cuda::Driver *> driver = cuda::openDriver();
  const MachineTopology *machine = MachineTopology::ofThisMachine();
  cuda::Device device = 0;
  if (!driver.ok() || !machine || (*driver)->deviceGet(&device, ordinal) != cuda::success)
    return {};
  absl::StatusOr<std::string> place = cuda::pciBusIdOf(**driver, device);
  return place.ok() ? machine->coresNear(*place) : std::vector<int>();
}

absl::StatusOr<std::unique_ptr<Device>> createEmulatedCudaDevice(const EmulatedCudaOptions &options) {
  if (options.threads < 0 || options.threads > 4096)
    return absl::InvalidArgumentError(absl::StrCat("threads = ", options.threads, " must be 0 (all cores) to 4096"));
  cuda::Backend backend;
  backend.hostThreads = options.threads > 0 ? options.threads : static_cast<int>(allowedCores().size());
  backend.driver = &emulated::emulatedDriver({backend.hostThreads, options.seed, options.report});
  backend.name = "cuda";
  backend.model = [](const std::string &) { return absl::StrCat("emulated on ", hostCpuName()); };
  backend.products = []() -> absl::StatusOr<std::unique_ptr<cuda::MatrixProducts>> {
    return emulated::createHostProducts();
  };
  backend.target = "nvidia-emulated";
  backend.runsHostCode = true;
  backend.checkTarget = checkHostFeatures;
  return cuda::createDriverDevice(std::move(backend));
}

} // namespace oriel::runtime

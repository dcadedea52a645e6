#include "trainer/device/OpenDevice.h"

#include "runtime/base/Status.h"
#include "runtime/device/cpu/CpuCores.h"
#include "runtime/device/cuda/CudaDevice.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace oriel::trainer {

int localRank() {
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"})
    if (int rank = 0; std::getenv(name) && absl::SimpleAtoi(std::getenv(name), &rank) && rank >= 0)
      return rank;
  return 0;
}

absl::StatusOr<int> gpuOfRank(int localRank, int gpus, const char *visible) {
  if (localRank < gpus)
    return localRank;
  if (gpus == 1 && visible && !std::strchr(visible, ','))
    return 0;
  std::string hidden = visible ? absl::StrCat(" (CUDA_VISIBLE_DEVICES=", visible, ")") : "";
  if (gpus == 0)
    return absl::InvalidArgumentError(absl::StrCat("the driver shows no GPU to this process", hidden,
                                                   ": nvidia-smi must list one; a container needs --gpus all"));
  return absl::InvalidArgumentError(absl::StrCat("process ", localRank, " of this host has no GPU: there are ", gpus,
                                                 hidden, "; start at most ", gpus,
                                                 " ranks per host (mpirun --map-by ppr:", gpus, ":node)"));
}

/// On the GPU of this rank, from cores of its NUMA node where the launcher left the choice.
static absl::StatusOr<std::unique_ptr<runtime::Device>> openGpu() {
  const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
  ORIEL_ASSIGN_OR_RETURN(int gpus, runtime::countCudaDevices());
  ORIEL_ASSIGN_OR_RETURN(int gpu, gpuOfRank(localRank(), gpus, visible));
  std::vector<int> near = runtime::coresNearCudaDevice(gpu), allowed = runtime::allowedCores();
  std::erase_if(allowed, [&](int core) { return !std::binary_search(near.begin(), near.end(), core); });
  if (!allowed.empty())
    runtime::bindThisThread(allowed);
  return runtime::createCudaDevice({gpu});
}

absl::Status findDevice(const std::string &kind) {
  if (kind != "cuda")
    return absl::OkStatus();
  ORIEL_ASSIGN_OR_RETURN(int gpus, runtime::countCudaDevices());
  return gpuOfRank(localRank(), gpus, std::getenv("CUDA_VISIBLE_DEVICES")).status();
}

static uint64_t seedOfEnvironment() {
  uint64_t seed = 1;
  if (const char *variable = std::getenv("ORIEL_EMULATOR_SEED"); variable && absl::SimpleAtoi(variable, &seed))
    return seed;
  return 1;
}

absl::StatusOr<std::unique_ptr<runtime::Device>> openDevice(const DeviceRequest &request) {
  if (request.kind == "cpu")
    return runtime::createCpuDevice(request.cores);
  if (request.kind == "cuda")
    return openGpu();
  if (request.kind == "cuda-emulated")
    return runtime::createEmulatedCudaDevice(
        {request.cores.threads, request.emulatorSeed.value_or(seedOfEnvironment()), request.emulatorReport});
  return absl::InvalidArgumentError(
      absl::StrCat("unknown device '", request.kind, "'; use cpu, cuda or cuda-emulated"));
}

std::string compileTargetOf(const std::string &deviceKind, const std::string &chip) {
  if (deviceKind == "cpu")
    return "cpu";
  return absl::StrCat(deviceKind == "cuda-emulated" ? "nvidia-emulated:" : "nvidia:", chip);
}

} // namespace oriel::trainer

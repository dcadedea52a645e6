#include "trainer/device/OpenDevice.h"

#include "runtime/device/cuda/CudaDevice.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <cstdlib>

namespace oriel::trainer {

int localRank() {
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"})
    if (int rank = 0; std::getenv(name) && absl::SimpleAtoi(std::getenv(name), &rank) && rank >= 0)
      return rank;
  return 0;
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
    return runtime::createCudaDevice({localRank()});
  if (request.kind == "cuda-emulated")
    return runtime::createEmulatedCudaDevice({request.cores.threads, request.emulatorSeed.value_or(seedOfEnvironment())});
  return absl::InvalidArgumentError(
      absl::StrCat("unknown device '", request.kind, "'; use cpu, cuda or cuda-emulated"));
}

std::string compileTargetOf(const std::string &deviceKind, const std::string &chip) {
  if (deviceKind == "cpu")
    return "cpu";
  return absl::StrCat(deviceKind == "cuda-emulated" ? "nvidia-emulated:" : "nvidia:", chip);
}

} // namespace oriel::trainer

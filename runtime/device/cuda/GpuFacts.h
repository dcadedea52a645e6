// What is known of the GPUs of a host before one is opened: where they are, what they are called, whom they reach.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_GPUFACTS_H
#define ORIEL_RUNTIME_DEVICE_CUDA_GPUFACTS_H

#include "runtime/device/cuda/CudaDriver.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oriel::runtime::cuda {

/// How many GPUs the driver shows this process.
absl::StatusOr<int> countGpus(const Driver &driver);

/// The PCI bus id of a GPU, as "0000:1b:00.0": of the GPU itself, whatever CUDA_VISIBLE_DEVICES calls it.
absl::StatusOr<std::string> pciBusIdOf(const Driver &driver, Device gpu);

/// "NVIDIA H100 80GB HBM3", as the system's part of the driver calls the GPU; "GPU" where it does not tell. `proc` is
/// "/proc".
std::string modelOf(const std::string &pciBusId, const std::string &proc);

/// The pairs of the first `gpus` GPUs that cannot use each other's memory, by NVLink or PCIe: what they exchange goes
/// through the host's.
absl::StatusOr<std::vector<std::pair<int, int>>> pairsWithoutPeerAccess(const Driver &driver, int gpus);

/// Tells of them in a line, for the log.
std::string describePeers(int gpus, const std::vector<std::pair<int, int>> &apart);

} // namespace oriel::runtime::cuda

#endif

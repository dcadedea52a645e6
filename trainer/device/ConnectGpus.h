// NCCL over a CUDA device: where the GPU of runtime/device/cuda and the collectives of runtime/communicator/nccl meet.
#pragma once

#include "runtime/communicator/nccl/NcclCollectives.h"
#include "runtime/device/Device.h"

#include "absl/status/statusor.h"

#include <memory>

namespace oriel::trainer {

/// Logs whether the GPUs that this process sees reach each other's memory, where there are several: what NCCL's speed
/// within a host hangs on. One process of a host is enough.
void logPeers();

/// Collective. Collectives between the CUDA devices of the ranks of `host`, on a stream beside each device's own.
/// `device` and `host` outlive them. Errors are those of createNcclCollectives.
absl::StatusOr<std::unique_ptr<runtime::DeviceCollectives>>
connectGpus(const runtime::nccl::Nccl &library, runtime::Communicator &host, runtime::Device &device,
            runtime::SumOrder order, runtime::Deadline deadline);

} // namespace oriel::trainer

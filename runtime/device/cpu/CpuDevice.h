// The CPU as a device: kernels as parallel loops over grid cells, large matrix products by CpuGemm.h.
//
// The number of threads changes no bit of any result: cells are independent, and no product splits its K dimension by
// threads (CpuGemm.h says how; tests/unit/runtime/device/CpuGemmTest.cpp holds it to that).
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUDEVICE_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUDEVICE_H

#include "runtime/device/Device.h"

#include <string>
#include <vector>

namespace oriel::runtime {

struct CpuOptions {
  int threads = 0;    // 0: every core this process may use
  int firstCore = -1; // >= 0: worker threads are bound to the cores from this index of the process's set on
};

absl::StatusOr<std::unique_ptr<Device>> createCpuDevice(const CpuOptions &options);

/// How this rank shows its cores to the others: host and set of allowed cores, as an opaque text for
/// Communicator::allGatherBytes.
std::string describeCores();

/// The share of this machine's cores that falls to rank `rank`, given every rank's describeCores(): ranks of one host
/// with the same set divide it; a rank that mpirun bound to cores of its own keeps those. At least one thread; threads
/// are bound only when there are cores enough for all.
CpuOptions shareCores(const std::vector<std::string> &coresOfRanks, int rank);

} // namespace oriel::runtime

#endif

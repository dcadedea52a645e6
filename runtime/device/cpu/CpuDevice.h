// The CPU as a device: kernels as OpenMP loops over grid cells, large matrix products by oneDNN.
//
// The number of threads changes no bit of any result: cells are independent, and no product splits its K dimension by
// threads (tests/unit/runtime/device/CpuGemmTest.cpp holds oneDNN to it).
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUDEVICE_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUDEVICE_H

#include "runtime/device/Device.h"

namespace oriel::runtime {

class Communicator;

struct CpuOptions {
  int threads = 0;    // 0: every core this process may use
  int firstCore = -1; // >= 0: worker threads are bound to the cores from this index of the process's set on, unless
                      // OMP_PROC_BIND already says how
};

absl::StatusOr<std::unique_ptr<Device>> createCpuDevice(const CpuOptions &options);

/// The share of this machine's cores that falls to this rank: ranks of one host with the same set of allowed cores
/// divide it. Ranks that mpirun bound to cores of their own keep those. At least one thread.
absl::StatusOr<CpuOptions> shareCores(Communicator &communicator);

} // namespace oriel::runtime

#endif

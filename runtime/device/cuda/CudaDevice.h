// A CUDA device: Device.h over a driver table and nothing else, so that a GPU and the emulator run the same code.
//
// One stream; what an entry point issues is recorded once as a CUDA graph and replayed from then on (Device::record).
// Libraries that exchange data between GPUs get a stream beside it (SideStream.h).
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_CUDADEVICE_H
#define ORIEL_RUNTIME_DEVICE_CUDA_CUDADEVICE_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/SideStream.h"
#include "runtime/device/cuda/emulated/LaunchReport.h"

#include <string>
#include <vector>

namespace oriel::runtime {

struct CudaOptions {
  int ordinal = 0; // which of the GPUs that CUDA_VISIBLE_DEVICES leaves
};

/// NotFound without a driver ("take cpu instead, or install …"), or without such a GPU.
absl::StatusOr<std::unique_ptr<Device>> createCudaDevice(const CudaOptions &options);

/// A stream beside that of a CUDA device, for libraries that issue work of their own, and whether the device's own work
/// is all done. The device must be one of this header's, and outlives the stream.
absl::StatusOr<std::unique_ptr<cuda::SideStream>> openCudaSideStream(Device &device);
absl::StatusOr<bool> isCudaDeviceIdle(Device &device);

/// How many GPUs this process sees; NotFound without a driver.
absl::StatusOr<int> countCudaDevices();

/// Whether the GPUs that this process sees reach each other's memory, as a line for the log too.
struct CudaPeers {
  int gpus = 0;
  bool allReachEachOther = true;
  std::string description;
};
absl::StatusOr<CudaPeers> findCudaPeers();

/// The cores of the host that are nearest to a GPU, ascending; empty where all are, or nobody knows.
std::vector<int> coresNearCudaDevice(int ordinal);

struct EmulatedCudaOptions {
  int threads = 0;   // of the host; 0: every core this process may use
  uint64_t seed = 1; // the order in which threads of a block, and streams, run
  /// Gets what checks found in each launch, from kernels compiled with checks; may be empty.
  emulated::ReportSink report = nullptr;
};

/// Runs nvidia packages without a GPU (emulated/EmulatedDriver.h): for tests, far too slow for anything else.
absl::StatusOr<std::unique_ptr<Device>> createEmulatedCudaDevice(const EmulatedCudaOptions &options);

} // namespace oriel::runtime

#endif

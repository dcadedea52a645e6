// How CudaDevice.cpp's two devices are made: the parts that differ between a GPU and the emulator.
#ifndef ORIEL_RUNTIME_DEVICE_CUDA_DRIVERDEVICE_H
#define ORIEL_RUNTIME_DEVICE_CUDA_DRIVERDEVICE_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"
#include "runtime/device/cuda/MatrixProducts.h"
#include "runtime/device/cuda/SideStream.h"

#include <functional>
#include <string>

namespace oriel::plan {
class Target;
}

namespace oriel::runtime::cuda {

struct Backend {
  const Driver *driver = nullptr;
  int ordinal = 0;
  std::string name; // before the model in the description
  int hostThreads = 0;
  /// Made once the device's context is current; called once.
  std::function<absl::StatusOr<std::unique_ptr<MatrixProducts>>()> products;
  /// What `orielc --target` calls the packages that it runs, before the chip.
  std::string target = "nvidia";
  /// kernels.so (the emulator); otherwise the device code that a plan lists.
  bool runsHostCode = false;
  /// More than that the target is for an NVIDIA chip; may be empty.
  std::function<absl::Status(const plan::Target &)> checkTarget = nullptr;
  /// What the description calls a GPU at that place of the PCI bus; empty: by its place.
  std::function<std::string(const std::string &pciBusId)> model = nullptr;
};

absl::StatusOr<std::unique_ptr<runtime::Device>> createDriverDevice(Backend backend);

/// Of a device that createDriverDevice made: a side stream, and whether the device has done all that it was given.
absl::StatusOr<std::unique_ptr<SideStream>> openSideStream(runtime::Device &device);
absl::StatusOr<bool> isIdle(runtime::Device &device);

} // namespace oriel::runtime::cuda

#endif

// The devices that a job or a command names: "cpu", "cuda" (an NVIDIA GPU) and "cuda-emulated" (the same code without a
// GPU, far too slow for anything but tests).
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/emulated/LaunchReport.h"

#include "absl/status/statusor.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace oriel::trainer {

struct DeviceRequest {
  std::string kind = "cpu";
  runtime::CpuOptions cores; // of a CPU or the emulator
  /// The order in which the emulator runs threads; none: $ORIEL_EMULATOR_SEED, or 1.
  std::optional<uint64_t> emulatorSeed = std::nullopt;
  /// Of every launch of a kernel that was compiled with checks; may be empty.
  runtime::emulated::ReportSink emulatorReport = nullptr;
};

/// A rank takes the GPU of its number on its host (gpuOfRank), and stays on the cores near it. InvalidArgument for an
/// unknown kind; the device's own errors.
absl::StatusOr<std::unique_ptr<runtime::Device>> openDevice(const DeviceRequest &request);

/// Whether openDevice() will find a device of this kind: known before anything is compiled for it.
absl::Status findDevice(const std::string &kind);

/// What `orielc --target` must compile for: "cpu", "nvidia:CHIP" or "nvidia-emulated:CHIP".
std::string compileTargetOf(const std::string &deviceKind, const std::string &chip);

/// The number of this process on its host, from the variables of Open MPI, Slurm or torchrun; 0 without them.
int localRank();

/// Which of the `gpus` GPUs that it sees the process of that number on its host takes: its own number; or the only one,
/// where a launcher gave each process one of its own (`visible`, CUDA_VISIBLE_DEVICES or null, names one).
/// InvalidArgument when there are fewer GPUs than processes.
absl::StatusOr<int> gpuOfRank(int localRank, int gpus, const char *visible);

} // namespace oriel::trainer

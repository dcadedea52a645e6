// What the cost model knows of a machine, and what was measured on it: two small text files.
//
//   <device>.device                                         <device>.tuning
//   line := "device" name                                   line := "device" name
//         | "cores" int          # GPU: multiprocessors           | "measured" seconds action…
//         | "cache" int*         # L1, L2, L3 bytes
//         | "multiprocessor" "shared" int "registers" int "threads" int "blocks" int    # GPU: what one holds
//         | "memory" number      # bytes per second
//         | "transfer" "l2" number "latency" number      # GPU: bytes per second from the shared cache; seconds that a load takes
//         | "warpgroup" number   # GPU: how many times faster than mma.sync wgmma multiplies
//         | "launch" number      # seconds that every step takes besides its work
//         | "product" dtype "rate" number "half" number number number
//         | "kernel" family "flops" number "bytes" number
// Some are shipped (ShippedDevices.h). `oriel-tune calibrate` and `search` write them where orielc finds
// them (runtime/base/TuningFiles.h).
#ifndef ORIEL_COMPILER_SCHEDULE_DEVICE_H
#define ORIEL_COMPILER_SCHEDULE_DEVICE_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oriel::schedule {

/// FLOP/s of library products of one dtype: `rate / ((1 + halfM/m)(1 + halfN/n)(1 + halfK/k))`. A size of halfM rows
/// runs at half the rate of very many.
struct ProductRate {
  double flopsPerSecond = 0, halfM = 0, halfN = 0, halfK = 0;
  bool operator==(const ProductRate &) const = default;
};

/// Peaks of one family of kernels: what its tile program reaches of the machine.
struct KernelRate {
  double flopsPerSecond = 0, bytesPerSecond = 0;
  bool operator==(const KernelRate &) const = default;
};

/// What the blocks that run on one multiprocessor of a GPU share.
struct MultiprocessorLimits {
  int64_t sharedBytes = 0, registers = 0, threads = 0, blocks = 0;
  bool operator==(const MultiprocessorLimits &) const = default;
};

/// How tiles come from the shared cache of a GPU to its multiprocessors.
struct TransferRate {
  double bytesPerSecond = 0; // of all together
  double latencySeconds = 0; // from a load to its data, under load
  bool operator==(const TransferRate &) const = default;
};

/// Peaks are of the whole device. "*_bf16" among the kernels stands for every family in bf16 that is not named, "*" for
/// every other one.
struct DeviceDescriptor {
  std::string name;
  int64_t cores = 0;
  std::vector<int64_t> cacheBytes; // per core L1, L2; then the shared one
  std::optional<MultiprocessorLimits> multiprocessor;
  double memoryBytesPerSecond = 0;
  std::optional<TransferRate> transfer;
  double warpgroupFactor = 1; // of products, over the rate of the kernel's family
  double launchSeconds = 0;
  std::map<std::string, ProductRate> products; // by dtype: "f32", "bf16"
  std::map<std::string, KernelRate> kernels;   // by family: "rla_fwd"
  bool operator==(const DeviceDescriptor &) const = default;
};

/// The shipped default, devices/generic-cpu.device: two cores with AVX-512, calibrated.
DeviceDescriptor genericCpu();
/// A CPU with another number of cores: arithmetic grows with them, memory with the first eight.
DeviceDescriptor withCores(DeviceDescriptor cpu, int64_t cores);

std::string printDevice(const DeviceDescriptor &device);
/// Nothing and `error` ("name:line:column: …") when the text is not a descriptor.
std::optional<DeviceDescriptor> parseDevice(std::string_view text, const std::string &name, std::string &error);

/// Measured seconds by action: a kernel's symbol or a product's sizes, which spell out every shape.
struct TuningRecord {
  std::string device;
  std::map<std::string, double> seconds;
  bool operator==(const TuningRecord &) const = default;
};

std::string printRecord(const TuningRecord &record);
std::optional<TuningRecord> parseRecord(std::string_view text, const std::string &name, std::string &error);

} // namespace oriel::schedule

#endif

// Zero-filled memory straight from the system: page aligned, huge pages asked for, no allocator in between.
#ifndef ORIEL_RUNTIME_DEVICE_CPU_CPUMEMORY_H
#define ORIEL_RUNTIME_DEVICE_CPU_CPUMEMORY_H

#include "runtime/device/Device.h"

namespace oriel::runtime {

/// ResourceExhausted when the system has no such room. Zero bytes give a valid block of one page.
absl::StatusOr<std::unique_ptr<DeviceMemory>> allocateCpuMemory(size_t bytes);

} // namespace oriel::runtime

#endif

// Descriptors that come with the compiler: devices/*.device, by the name that orielc and oriel-tune take as --device.
#ifndef ORIEL_COMPILER_SCHEDULE_SHIPPEDDEVICES_H
#define ORIEL_COMPILER_SCHEDULE_SHIPPEDDEVICES_H

#include "compiler/schedule/Device.h"

namespace oriel::schedule {

/// "a100", "b200", "generic-cpu", "h100", "h200".
std::vector<std::string> shippedDevices();
/// Nothing for another name.
std::optional<DeviceDescriptor> shippedDevice(std::string_view name);
/// The shipped descriptor of that name, else the one in that file. Nothing and `error` for neither.
std::optional<DeviceDescriptor> findDevice(const std::string &nameOrFile, std::string &error);
/// The name of the GPU that is assumed for a chip: "h100" for "sm_90a". Empty for an unknown one.
std::string_view gpuOfChip(std::string_view chip);

} // namespace oriel::schedule

#endif

#include "compiler/schedule/ShippedDevices.h"

#include <cassert>
#include <fstream>
#include <sstream>

namespace oriel::schedule {
namespace {

struct Shipped {
  std::string_view name, text;
};

constexpr Shipped shipped[] = {
#include "ShippedDevices.inc"
};

} // namespace

std::vector<std::string> shippedDevices() {
  std::vector<std::string> names;
  for (const Shipped &device : shipped)
    names.emplace_back(device.name);
  return names;
}

std::optional<DeviceDescriptor> shippedDevice(std::string_view name) {
  for (const Shipped &device : shipped)
    if (device.name == name) {
      std::string error;
      std::optional<DeviceDescriptor> parsed = parseDevice(device.text, std::string(name) + ".device", error);
      assert(parsed && "a shipped descriptor is malformed");
      return parsed;
    }
  return std::nullopt;
}

std::optional<DeviceDescriptor> findDevice(const std::string &nameOrFile, std::string &error) {
  if (std::optional<DeviceDescriptor> device = shippedDevice(nameOrFile))
    return device;
  std::ifstream file(nameOrFile);
  std::ostringstream text;
  if (file && text << file.rdbuf())
    return parseDevice(text.str(), nameOrFile, error);
  error = "cannot read the device descriptor " + nameOrFile + "; shipped ones are";
  for (const std::string &name : shippedDevices())
    error += " " + name;
  return std::nullopt;
}

std::string_view gpuOfChip(std::string_view chip) {
  return chip == "sm_80" ? "a100" : chip == "sm_90a" ? "h100" : chip == "sm_100a" ? "b200" : "";
}

} // namespace oriel::schedule

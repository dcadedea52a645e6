#include "runtime/device/cuda/GpuFacts.h"

#include "runtime/base/Files.h"
#include "runtime/base/Status.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include <array>

namespace oriel::runtime::cuda {

absl::StatusOr<int> countGpus(const Driver &driver) {
  ORIEL_RETURN_IF_ERROR(check(driver, driver.init(0), "start the NVIDIA driver"));
  int count = 0;
  for (Device device = 0; driver.deviceGet(&device, count) == success;)
    ++count;
  return count;
}

absl::StatusOr<std::string> pciBusIdOf(const Driver &driver, Device gpu) {
  std::array<char, 32> id = {};
  ORIEL_RETURN_IF_ERROR(check(driver, driver.deviceGetPciBusId(id.data(), static_cast<int>(id.size()), gpu),
                              "the place of the GPU on the PCI bus"));
  return absl::AsciiStrToLower(id.data());
}

std::string modelOf(const std::string &pciBusId, const std::string &proc) {
  absl::StatusOr<std::string> text = readFile(absl::StrCat(proc, "/driver/nvidia/gpus/", pciBusId, "/information"));
  if (text.ok())
    for (absl::string_view line : absl::StrSplit(*text, '\n'))
      if (absl::ConsumePrefix(&line, "Model:"))
        return std::string(absl::StripAsciiWhitespace(line));
  return "GPU";
}

absl::StatusOr<std::vector<std::pair<int, int>>> pairsWithoutPeerAccess(const Driver &driver, int gpus) {
  std::vector<Device> devices(static_cast<size_t>(gpus));
  for (int i = 0; i < gpus; ++i)
    ORIEL_RETURN_IF_ERROR(check(driver, driver.deviceGet(&devices[static_cast<size_t>(i)], i), "look at the GPUs"));
  std::vector<std::pair<int, int>> apart;
  for (int a = 0; a < gpus; ++a)
    for (int b = a + 1; b < gpus; ++b) {
      int there = 0, back = 0;
      Device first = devices[static_cast<size_t>(a)], second = devices[static_cast<size_t>(b)];
      ORIEL_RETURN_IF_ERROR(check(driver, driver.deviceCanAccessPeer(&there, first, second), "look at the GPUs"));
      ORIEL_RETURN_IF_ERROR(check(driver, driver.deviceCanAccessPeer(&back, second, first), "look at the GPUs"));
      if (!there || !back)
        apart.emplace_back(a, b);
    }
  return apart;
}

std::string describePeers(int gpus, const std::vector<std::pair<int, int>> &apart) {
  if (apart.empty())
    return absl::StrCat("the ", gpus, " GPUs of this host reach each other's memory");
  auto words = [](std::string *to, const std::pair<int, int> &pair) {
    absl::StrAppend(to, pair.first, " and ", pair.second);
  };
  return absl::StrCat("of the ", gpus, " GPUs of this host ", absl::StrJoin(apart, ", ", words),
                      " do not reach each other's memory: what they exchange goes through the host's (nvidia-smi topo "
                      "-p2p r tells why)");
}

} // namespace oriel::runtime::cuda

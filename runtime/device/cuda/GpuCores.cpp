#include "runtime/device/cuda/GpuCores.h"

#include "runtime/base/Files.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include <algorithm>
#include <filesystem>

namespace oriel::runtime::cuda {

namespace {

/// A file of one line; "" when there is none.
std::string lineOf(const std::string &path) {
  absl::StatusOr<std::string> text = readFile(path);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

/// Folders of the NVIDIA display and 3D controllers, in PCI order.
std::vector<std::string> gpusOf(const std::string &sysfs) {
  std::vector<std::string> gpus;
  std::error_code none;
  for (const auto &entry : std::filesystem::directory_iterator(sysfs + "/bus/pci/devices", none)) {
    std::string folder = entry.path().string(), kind = lineOf(folder + "/class");
    if (lineOf(folder + "/vendor") == "0x10de" && (kind.starts_with("0x0300") || kind.starts_with("0x0302")))
      gpus.push_back(folder);
  }
  std::sort(gpus.begin(), gpus.end());
  return gpus;
}

/// The number on this host of the `ordinal`th visible GPU; -1 when it is not named by a number.
int numberOf(int ordinal, const char *visible) {
  if (!visible)
    return ordinal;
  std::vector<std::string> names = absl::StrSplit(visible, ',');
  int number = -1;
  if (ordinal >= static_cast<int>(names.size()) || !absl::SimpleAtoi(names[static_cast<size_t>(ordinal)], &number))
    return -1;
  return number;
}

/// "0-3,8" -> 0, 1, 2, 3, 8.
std::vector<int> parseCores(const std::string &list) {
  std::vector<int> cores;
  for (absl::string_view part : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    std::pair<absl::string_view, absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    int first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.first, &first) ||
        !absl::SimpleAtoi(ends.second.empty() ? ends.first : ends.second, &last))
      return {};
    for (int core = first; core <= last; ++core)
      cores.push_back(core);
  }
  return cores;
}

} // namespace

std::vector<int> coresNearGpu(int ordinal, const char *visible, const std::string &sysfs) {
  std::vector<std::string> gpus = gpusOf(sysfs);
  int number = numberOf(ordinal, visible), node = -1;
  if (number < 0 || number >= static_cast<int>(gpus.size()) ||
      !absl::SimpleAtoi(lineOf(gpus[static_cast<size_t>(number)] + "/numa_node"), &node) || node < 0)
    return {};
  return parseCores(lineOf(absl::StrCat(sysfs, "/devices/system/node/node", node, "/cpulist")));
}

} // namespace oriel::runtime::cuda

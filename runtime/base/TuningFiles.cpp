#include "runtime/base/TuningFiles.h"

#include "runtime/base/CpuFeatures.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>

namespace oriel::runtime {

namespace {

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string tuningFolder() {
  if (std::string folder = variable("ORIEL_TUNING_DIR"); !folder.empty())
    return folder;
  if (std::string config = variable("XDG_CONFIG_HOME"); !config.empty())
    return config + "/oriel";
  std::string home = variable("HOME");
  return home.empty() ? home : home + "/.config/oriel";
}

} // namespace

std::string hostDeviceName() {
  std::string name;
  for (unsigned char c : hostCpuName())
    if (std::isalnum(c))
      name += static_cast<char>(std::tolower(c));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  while (!name.empty() && name.back() == '-')
    name.pop_back();
  return name + "-x" + std::to_string(hostCores());
}

TuningFiles tuningFilePlaces() {
  std::string folder = tuningFolder();
  if (folder.empty())
    return {};
  std::string stem = folder + "/" + hostDeviceName();
  return {stem + ".device", stem + ".tuning"};
}

TuningFiles findTuningFiles() {
  TuningFiles files = tuningFilePlaces();
  for (std::string *path : {&files.device, &files.record})
    if (std::error_code error; !std::filesystem::exists(*path, error))
      path->clear();
  return files;
}

} // namespace oriel::runtime

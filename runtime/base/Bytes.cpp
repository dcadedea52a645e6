// See Bytes.h.
#include "runtime/base/Bytes.h"

#include "absl/strings/str_format.h"

namespace oriel::runtime {

std::string formatBytes(uint64_t bytes) {
  if (bytes < 1024)
    return absl::StrFormat("%d B", bytes);
  const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  for (; value >= 1024 && unit < 5; ++unit)
    value /= 1024;
  return absl::StrFormat("%.1f %s", value, units[unit]);
}

} // namespace oriel::runtime

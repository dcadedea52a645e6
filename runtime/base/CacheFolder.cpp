#include "runtime/base/CacheFolder.h"

#include <cstdlib>

namespace oriel::runtime {

std::string cacheFolder() {
  if (const char *variable = std::getenv("ORIEL_CACHE"); variable && *variable)
    return variable;
  if (const char *home = std::getenv("HOME"); home && *home)
    return std::string(home) + "/.cache/oriel";
  return {};
}

} // namespace oriel::runtime

// cpuid through the compiler's builtins, which also check that the operating system saves the wide registers.
#include "runtime/base/CpuFeatures.h"

#include <fstream>
#include <unistd.h>

namespace oriel::runtime {

const std::set<std::string> &hostCpuFeatures() {
  static const std::set<std::string> features = [] {
    std::set<std::string> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    // __builtin_cpu_supports wants string literals.
#define ORIEL_FEATURE(name)                                                                                            \
  if (__builtin_cpu_supports(name))                                                                                    \
  found.insert(name)
    ORIEL_FEATURE("sse4.2");
    ORIEL_FEATURE("avx");
    ORIEL_FEATURE("avx2");
    ORIEL_FEATURE("fma");
    ORIEL_FEATURE("bmi");
    ORIEL_FEATURE("bmi2");
    ORIEL_FEATURE("f16c");
    ORIEL_FEATURE("avx512f");
    ORIEL_FEATURE("avx512vl");
    ORIEL_FEATURE("avx512bw");
    ORIEL_FEATURE("avx512dq");
    ORIEL_FEATURE("avx512cd");
    ORIEL_FEATURE("avx512vnni");
    ORIEL_FEATURE("avx512vbmi");
    ORIEL_FEATURE("avx512bf16");
#undef ORIEL_FEATURE
#endif
    return found;
  }();
  return features;
}

int64_t hostCores() { return sysconf(_SC_NPROCESSORS_ONLN); }

std::string hostCpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return "unknown CPU";
}

} // namespace oriel::runtime

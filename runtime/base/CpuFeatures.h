// What this CPU can run, in LLVM's feature names ("avx2", "avx512f", "fma"), for the check of a package's target.
#ifndef ORIEL_RUNTIME_BASE_CPUFEATURES_H
#define ORIEL_RUNTIME_BASE_CPUFEATURES_H

#include <cstdint>
#include <set>
#include <string>

namespace oriel::runtime {

/// Features that both the CPU and the operating system (saved register state) support.
const std::set<std::string> &hostCpuFeatures();

/// The model name from /proc/cpuinfo, e.g. "AMD EPYC 9R14"; "unknown CPU" when it cannot be read.
std::string hostCpuName();

/// Cores of this machine, whichever of them this process may use.
int64_t hostCores();

} // namespace oriel::runtime

#endif

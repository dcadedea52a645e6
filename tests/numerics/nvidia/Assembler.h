// What ptxas says of kernels: registers, shared memory, spills. Tests that need it skip where ptxas is not on PATH.
#ifndef ORIEL_TESTS_NUMERICS_NVIDIA_ASSEMBLER_H
#define ORIEL_TESTS_NUMERICS_NVIDIA_ASSEMBLER_H

#include <cstdint>
#include <map>
#include <string>

namespace oriel::testing {

struct KernelResources {
  int64_t registers = 0;  ///< of one thread
  int64_t spillBytes = 0; ///< of one thread, stores and loads, and of arrays in local memory
  // Instructions in the text of the kernel.
  int64_t mma = 0, barriers = 0, copies = 0; ///< mma.sync; bar.sync of the block; cp.async of 16 bytes
};

/// "13.0"; empty where there is no ptxas.
std::string ptxasVersion();

/// Assembles PTX. On failure `error` is what ptxas printed.
std::map<std::string, KernelResources> assemble(const std::string &ptx, const std::string &chip, std::string &error);

} // namespace oriel::testing

#endif

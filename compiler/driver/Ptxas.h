// NVIDIA's assembler, as a process: machine code from PTX, and what each kernel takes of a GPU.
#ifndef ORIEL_COMPILER_DRIVER_PTXAS_H
#define ORIEL_COMPILER_DRIVER_PTXAS_H

#include <cstdint>
#include <map>
#include <string>

namespace oriel::driver {

/// As ptxas -v reports it; the instructions are those of the PTX.
struct KernelResources {
  int64_t registers = 0;                                    ///< of one thread
  int64_t spillBytes = 0;                                   ///< of one thread, stores, loads and arrays in local memory
  int64_t tensorInstructions = 0, barriers = 0, copies = 0; ///< mma and wgmma; of the block; cp.async of 16 bytes
  int64_t wgmma = 0;                                        ///< of the tensor instructions
  int64_t tensorCopies = 0;                                 ///< cp.async.bulk.tensor (TMA)
  std::string serialized; ///< why ptxas runs wgmma one after the other; empty: it does not
};

/// ptxas on PATH, else in /usr/local/cuda/bin; empty where there is none.
std::string findPtxas();

/// "13.0"; empty where `ptxas` does not say.
std::string ptxasVersion(const std::string &ptxas);

/// Assembles the file `ptx` for `chip` ("sm_90a") into the file `cubin`. By kernel. On failure empty, and `error` is
/// what ptxas printed.
std::map<std::string, KernelResources> assemble(const std::string &ptxas, const std::string &ptx,
                                                const std::string &chip, const std::string &cubin, std::string &error);

} // namespace oriel::driver

#endif

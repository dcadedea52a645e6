// NVIDIA's assembler, as a process: machine code from PTX, and what the kernel takes of a GPU.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_PTXAS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_PTXAS_H

#include <cstdint>
#include <string>

namespace oriel::codegen::nvidia {

/// Of one kernel, as ptxas -v reports it; the instructions are those of the PTX.
struct KernelResources {
  int64_t registers = 0;                                    ///< of one thread
  int64_t spillBytes = 0;                                   ///< of one thread, stores, loads and arrays in local memory
  int64_t tensorInstructions = 0, barriers = 0, copies = 0; ///< mma and wgmma; of the block; cp.async of 16 bytes
  int64_t wgmma = 0;                                        ///< of the tensor instructions
  int64_t tensorCopies = 0;                                 ///< cp.async.bulk.tensor (TMA)
  std::string serialized; ///< why ptxas runs wgmma one after the other; empty: it does not
};

struct Assembly {
  std::string cubin;
  std::string report; ///< what ptxas printed
};

/// One on this machine. Thread safe.
class Ptxas {
public:
  /// That on PATH, else in /usr/local/cuda/bin; one that is not there where there is none.
  static Ptxas find();

  bool isThere() const { return !version_.empty(); }
  /// "13.0"; empty where there is none.
  const std::string &version() const { return version_; }
  /// "13.0.88": tells ptxas of one version apart.
  const std::string &build() const { return build_; }

  /// Assembles the text `ptx` of one kernel for `chip` ("sm_90a"). On failure `error` is what ptxas printed.
  Assembly assemble(const std::string &ptx, const std::string &chip, std::string &error) const;

private:
  std::string path_, version_, build_;
};

/// What a kernel takes, from its PTX and what ptxas printed of it.
KernelResources resourcesOf(const std::string &ptx, const std::string &report);

} // namespace oriel::codegen::nvidia

#endif

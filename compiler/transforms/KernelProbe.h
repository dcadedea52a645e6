// What kernels take of a GPU, asked while a schedule is chosen. Who assembles them is the compiler's driver; the passes
// only ask.
#ifndef ORIEL_COMPILER_TRANSFORMS_KERNELPROBE_H
#define ORIEL_COMPILER_TRANSFORMS_KERNELPROBE_H

#include "compiler/schedule/Cost.h"
#include "dialects/tile/TileOps.h"

#include <string>

namespace oriel::transforms {

struct KernelDemand {
  schedule::BlockCode block;
  int64_t spillBytes = 0; // of a thread
  std::string error;      // why there is no code for the kernel; then the rest means nothing
};

class KernelProbe {
public:
  virtual ~KernelProbe() = default;
  /// Who answers: "ptxas-13.0".
  virtual std::string name() const = 0;
  /// What the code generator plans for the kernel: registers for its tiles alone, no spills. Milliseconds.
  virtual KernelDemand plan(tile::KernelOp kernel) = 0;
  /// What an assembler says: a second or so. The same kernel has the same answer, whatever its name.
  virtual KernelDemand ask(tile::KernelOp kernel) = 0;
};

/// Why a device of these multiprocessors should not run a kernel that takes that: there is no code, registers are spilled
/// to memory, or not one block has room. Empty: nothing is wrong.
std::string refusalOf(llvm::StringRef symbol, const KernelDemand &demand, const schedule::DeviceDescriptor &device);

} // namespace oriel::transforms

#endif

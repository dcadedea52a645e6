// What the emulator's checks call the ops and buffers of a kernel: lines of its text, and types.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_KERNELTEXT_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_EMULATED_KERNELTEXT_H

#include "mlir/IR/BuiltinOps.h"
#include <cstdint>
#include <string>
#include <vector>

namespace oriel::codegen::nvidia {

struct CheckedKernel {
  struct Buffer {
    std::string type;
    int64_t bytes;
    bool isOutput;
  };
  std::string symbol;
  std::vector<std::string> lines; ///< of the text of its tile.kernel
  std::vector<Buffer> buffers;    ///< in the order of its arguments
};

/// Prints every tile.kernel of `kernels`, and makes the location of each op the place where it stands in that text.
/// Call before lowerToNvvm; what is lowered from an op keeps its location.
std::vector<CheckedKernel> locateInText(mlir::ModuleOp kernels);

/// Makes translateToLlvm turn the locations of `nvvm` (a result of lowerToNvvm) into debug locations.
mlir::LogicalResult keepLocations(mlir::ModuleOp nvvm);

} // namespace oriel::codegen::nvidia

#endif

// The code of kernels as text, for people who read what becomes of a tile program.
#ifndef ORIEL_COMPILER_DRIVER_PRINTCODE_H
#define ORIEL_COMPILER_DRIVER_PRINTCODE_H

#include "compiler/driver/KernelCode.h"

namespace oriel::driver {

/// Prints every tile.kernel of `module` as the optimised LLVM IR that its machine code is made from or, with
/// `assembly`, as x86-64 assembly or PTX. For the emulator of GPUs: the IR that it shares with the GPU, and PTX.
/// Diagnostics stand at the op that has no lowering.
mlir::LogicalResult printKernelCode(mlir::ModuleOp module, const CodeTarget &target, bool assembly,
                                    llvm::raw_ostream &out);

} // namespace oriel::driver

#endif

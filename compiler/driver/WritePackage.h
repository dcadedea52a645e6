// From a placed module to a package directory: generates code, builds the plan, writes both so that they appear at
// once.
#ifndef ORIEL_COMPILER_DRIVER_WRITEPACKAGE_H
#define ORIEL_COMPILER_DRIVER_WRITEPACKAGE_H

#include "compiler/driver/KernelCode.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace oriel::driver {

/// Writes plan.pb, the kernels' code (KernelCode.h) and constants.bin to `output`, replacing a package that is there.
/// Files are written to a temporary directory beside it and renamed: whoever looks at `output` sees the old package or
/// the new one. What `modelText` is goes into the plan for readers.
mlir::LogicalResult writePackage(mlir::ModuleOp module, const CodeTarget &target, const std::string &modelText,
                                 const std::string &output, llvm::raw_ostream &errors);

} // namespace oriel::driver

#endif

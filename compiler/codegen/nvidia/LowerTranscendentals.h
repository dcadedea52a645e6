// exp, log, tanh and rsqrt of f32 on NVIDIA's special function unit.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_LOWERTRANSCENDENTALS_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_LOWERTRANSCENDENTALS_H

#include "mlir/IR/BuiltinOps.h"

namespace oriel::codegen::nvidia {

/// Replaces the math ops of `module` that the unit has no instruction for. Relative errors are below 3e-7 (log:
/// absolute where the result is near 0). An op without a lowering is a diagnostic at the op.
mlir::LogicalResult lowerTranscendentals(mlir::ModuleOp module);

} // namespace oriel::codegen::nvidia

#endif

// The programs that no lm function describes: `accumulate` (micro-batch tree) and `update` (optimizer step).
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_OPTIMIZERPROGRAMS_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_OPTIMIZERPROGRAMS_H

#include "compiler/conversion/lmToTape/TapeBuilder.h"

namespace oriel::conversion {

/// `grads[slot] += grads[slot + 1]` over `elements` floats.
void addAccumulateProgram(mlir::ModuleOp module, KernelSet &kernels, int64_t elements);

/// On each of `world` ranks: reduce-scatter of the gradients in tree order, sums of squares of this rank's blocks,
/// all-gather of the sums, the norm in one fixed order, clipped AdamW on this rank's slice, all-gather of the
/// parameters. With one rank the collectives are left out, and the arithmetic is the same.
void addUpdateProgram(mlir::ModuleOp module, KernelSet &kernels, int64_t elements, int64_t world);

} // namespace oriel::conversion

#endif

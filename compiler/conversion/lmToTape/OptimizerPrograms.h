// The programs that no lm function describes: `accumulate` (micro-batch tree) and `update` (optimizer step).
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_OPTIMIZERPROGRAMS_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_OPTIMIZERPROGRAMS_H

#include "compiler/conversion/lmToTape/GradientBuckets.h"
#include "compiler/conversion/lmToTape/TapeBuilder.h"

namespace oriel::conversion {

/// `grads[slot] += grads[slot + 1]` over `elements` floats.
void addAccumulateProgram(mlir::ModuleOp module, KernelSet &kernels, int64_t elements);

/// On each rank, whose shares of the gradients are sums over all ranks already (oriel-reduce-gradients): sums of squares
/// of its blocks, all-gather of the sums, the norm in one fixed order, and for each bucket, from the first parameters on,
/// clipped AdamW on its share and all-gather of the parameters. With one rank nothing is gathered, and the arithmetic is
/// the same.
void addUpdateProgram(mlir::ModuleOp module, KernelSet &kernels, const GradientBuckets &buckets);

} // namespace oriel::conversion

#endif

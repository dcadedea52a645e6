// A kernel in bf16 storage: the same program with bf16 buffers and bf16 operands of its matrix products.
#ifndef ORIEL_COMPILER_TRANSFORMS_NARROWKERNEL_H
#define ORIEL_COMPILER_TRANSFORMS_NARROWKERNEL_H

#include "dialects/tile/TileOps.h"

namespace oriel::transforms {

/// Per buffer of `kernel`: whether it may lie in bf16 memory. It is marked `tile.storage`, and the kernel does not sum
/// into it (a sum that is rounded at every step would lose what it adds).
llvm::SmallVector<bool> narrowableBuffers(tile::KernelOp kernel);

/// The symbol of `kernel` with the buffers `isNarrow` in bf16: `<symbol>_bf16`, or, when some narrowable buffer stays
/// f32, `<symbol>_bf16_<one digit per buffer>`.
std::string narrowSymbol(tile::KernelOp kernel, llvm::ArrayRef<bool> isNarrow);

/// Clones `kernel` behind itself under `symbol`. The buffers `isNarrow` become bf16: loads extend, stores round. Matrix
/// products take bf16 operands: each is rounded once, where it is made; a block that a load brings goes to the product
/// as it lies in memory. Accumulators and everything else stay f32. With `insideBranches`, an operand that a branch
/// gives is rounded by the sides that make it, and a load that one side alone reads moves there: where a CPU masks a
/// block only at the border of a document, nothing is converted elsewhere. GPUs issue loads early, before the branch.
tile::KernelOp narrowKernel(tile::KernelOp kernel, llvm::ArrayRef<bool> isNarrow, llvm::StringRef symbol,
                            bool insideBranches);

} // namespace oriel::transforms

#endif

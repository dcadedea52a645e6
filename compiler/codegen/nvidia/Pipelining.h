// Which loads of a loop are started iterations ahead, so that they are under way while the tensor cores work on what
// came before.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_PIPELINING_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_PIPELINING_H

#include "dialects/tile/TileOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace oriel::codegen::nvidia {

/// The loads in the body of `loop` that can be started before the iteration that reads them: products alone read them,
/// cp.async can copy them, their places follow from the counter and from what stands outside, and the loop does not
/// write their buffers. None if the loop has any other copy: waiting for that would wait for all that were started
/// before.
llvm::SmallVector<tile::LoadOp> loadsToStartAhead(mlir::scf::ForOp loop, tile::KernelOp kernel);

/// The ops of the body of `loop` that make the operands of `loads` from the counter, in order.
llvm::SmallVector<mlir::Operation *> makersOfPlaces(mlir::scf::ForOp loop, llvm::ArrayRef<tile::LoadOp> loads);

} // namespace oriel::codegen::nvidia

#endif

// Starts copies early, so that they run while the tensor cores work on what came before.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_HOISTCOPIES_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_HOISTCOPIES_H

#include "dialects/tile/TileOps.h"

namespace oriel::codegen::nvidia {

/// Moves each load that products alone read, and that cp.async can copy, up to where its operands are known and its
/// buffer is no longer written, inside its block. Values stay the same; shared memory is held longer.
void hoistCopies(tile::KernelOp kernel);

/// Whether `load` is such a load: it needs no registers.
bool isReadByProductsOnly(tile::LoadOp load);

/// Whether `op`, or an op inside it, may write what `buffer` shows: an output may lie where the kernel says that it may
/// take an input's place.
bool mayWrite(mlir::Operation *op, mlir::Value buffer, tile::KernelOp kernel);

} // namespace oriel::codegen::nvidia

#endif

// Where every tile of a kernel lies in its scratch memory. One function decides, the lowering only looks up.
#ifndef ORIEL_COMPILER_CODEGEN_CPU_SCRATCHPLAN_H
#define ORIEL_COMPILER_CODEGEN_CPU_SCRATCHPLAN_H

#include "dialects/tile/TileOps.h"
#include "llvm/ADT/DenseMap.h"

namespace oriel::codegen {

/// Places are 64-byte aligned offsets from the kernel's scratch pointer. Two tiles share a place only when no program
/// point needs both; a result takes over the place of an operand that dies there (a dot its accumulator, a map an
/// operand of the same shape, a loop its carried tiles), so that updates happen in place.
class ScratchPlan {
public:
  static ScratchPlan compute(tile::KernelOp kernel);

  int64_t offset(mlir::Value tile) const { return offsets_.lookup(tile); }
  bool sharePlace(mlir::Value a, mlir::Value b) const { return offset(a) == offset(b); }
  /// The private scratch of one op (see temporaryBytes).
  int64_t temporary(mlir::Operation *op) const { return temporaries_.lookup(op); }
  int64_t bytes() const { return bytes_; }

private:
  llvm::DenseMap<mlir::Value, int64_t> offsets_;
  llvm::DenseMap<mlir::Operation *, int64_t> temporaries_;
  int64_t bytes_ = 0;
};

/// Bytes of a tile, row major and dense.
int64_t tileBytes(mlir::Value tile);

/// True if the lowering of this dot first transposes b.
bool transposesB(tile::DotOp dot);
/// True for a product of two bf16 matrices: targets with pair products pack b, and a if it is transposed.
bool packsPairs(tile::DotOp dot);

/// True if the tile's rows, not its columns, are contiguous in the buffer: the lowering moves the tile through a
/// transpose.
bool isTransposedAccess(mlir::MemRefType buffer, mlir::RankedTensorType tile, int64_t rowDim, int64_t colDim);

/// Bytes that the lowering of `op` needs for itself: a transposed copy, or loop-carried tiles that change places.
int64_t temporaryBytes(mlir::Operation *op);

} // namespace oriel::codegen

#endif

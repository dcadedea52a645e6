// The operands of a matrix product as tensor cores see them. Internal to RegisterLowering.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_FRAGMENT_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_FRAGMENT_H

#include "compiler/codegen/nvidia/RegisterLowering.h"

namespace oriel::codegen::nvidia {

/// A tile that stands for op(tile): [outer, K], outer being rows of the first operand and columns of the second.
struct RegisterLowering::Operand {
  Operand(mlir::Value tile, bool isKFirst) : tile(tile), isKFirst(isKFirst) {
    isBf16 = mlir::cast<mlir::RankedTensorType>(tile.getType()).getElementType().isBF16();
  }

  mlir::Value tile;
  bool isKFirst; // the tile is [K, outer]
  bool isBf16;

  /// K of one instruction.
  int64_t depth() const { return isBf16 ? 16 : 8; }
};

} // namespace oriel::codegen::nvidia

#endif

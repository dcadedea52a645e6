// What the files of this folder ask of values.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_TILETYPES_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_TILETYPES_H

#include "dialects/tile/TileOps.h"

namespace oriel::codegen::nvidia {

inline bool isTile(mlir::Value value) { return mlir::isa<mlir::RankedTensorType>(value.getType()); }
inline mlir::RankedTensorType tileType(mlir::Value tile) { return mlir::cast<mlir::RankedTensorType>(tile.getType()); }
inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value tile) { return tileType(tile).getShape(); }
inline bool isFill(mlir::Value tile) { return tile.getDefiningOp<tile::FillOp>() != nullptr; }

} // namespace oriel::codegen::nvidia

#endif

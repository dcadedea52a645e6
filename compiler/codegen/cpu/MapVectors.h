// The vectors of a tile.map, one place after another, for whoever walks over its tile: the map itself, or the reduction
// that alone reads it (isFoldedIntoReduce).
#ifndef ORIEL_COMPILER_CODEGEN_CPU_MAPVECTORS_H
#define ORIEL_COMPILER_CODEGEN_CPU_MAPVECTORS_H

#include "compiler/codegen/cpu/Lowering.h"

namespace oriel::codegen {

class MapVectors {
public:
  /// Splats scalars from outside the map; made before the loops.
  MapVectors(Lowering &low, tile::MapOp op);

  /// Loops: rows, and vectors of `width` columns. Where all results have one column the tile is walked as one row.
  int64_t outer() const { return outer_; }
  int64_t inner() const { return inner_; }
  int64_t width() const { return width_; }
  /// The tile as it is walked.
  Tile walked(mlir::Value tile);

  /// Reads the operands that do not change along a row; before `at` in each row.
  void enterRow(mlir::Value row);
  /// One vector per result. An op that has no vector form is reported, and gives zeros.
  llvm::SmallVector<mlir::Value> at(mlir::Value row, mlir::Value col);
  /// Whether all ops had one.
  llvm::LogicalResult result() const { return result_; }

private:
  void splatOutside();
  mlir::Value place(bool alongInner, mlir::Value row, mlir::Value col);
  mlir::Value rowOf(const Tile &tile, mlir::Value row);
  llvm::LogicalResult emitOp(mlir::Operation &inner, mlir::Value row, mlir::Value col, mlir::IRMapping &vectors);
  llvm::LogicalResult emitElementwise(mlir::Operation &inner, mlir::IRMapping &vectors);

  Lowering &low_;
  VectorBuilder &v_;
  tile::MapOp op_;
  mlir::IRMapping outside_;
  llvm::SmallVector<mlir::Value> perRow_; // of each operand; null: it changes along the row
  bool turned_;
  int64_t outer_, inner_, width_;
  llvm::LogicalResult result_ = llvm::success();
};

} // namespace oriel::codegen

#endif

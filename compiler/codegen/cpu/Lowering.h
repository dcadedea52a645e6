// Shared by the files that lower one kind of tile op each: where tiles lie, what scalars became, and the entry points.
//
//   LowerKernel.cpp   the function, control flow, carried tiles, scalars
//   LowerMemory.cpp   load, store          LowerIndexed.cpp   gather, scatter_add
//   LowerDot.cpp      dot (LowerDotBf16.cpp: pairs of bf16)
//   LowerMap.cpp      map (MapVectors.h; VectorMath.cpp: exp, log, tanh)
//   LowerShape.cpp    fill, copy, cast, transpose, reduce
#ifndef ORIEL_COMPILER_CODEGEN_CPU_LOWERING_H
#define ORIEL_COMPILER_CODEGEN_CPU_LOWERING_H

#include "compiler/codegen/cpu/ScratchPlan.h"
#include "compiler/codegen/cpu/VectorBuilder.h"
#include "mlir/IR/IRMapping.h"

namespace oriel::codegen {

/// A tile, row major: dense in scratch memory, or where it lies in a buffer (InPlace.h), whose element type it has
/// there.
struct Tile {
  Pointer at;
  int64_t rows, cols;
  mlir::Value rowStride = {}; // elements; null: cols

  int64_t size() const { return rows * cols; }
  /// The same memory read as rows x cols.
  Tile as(int64_t newRows, int64_t newCols) const { return {at, newRows, newCols}; }
};

/// The state of one kernel's lowering.
class Lowering {
public:
  Lowering(VectorBuilder builder, const ScratchPlan &plan, mlir::Value scratch)
      : v(builder), plan_(plan), scratch_(scratch) {}

  VectorBuilder v;
  mlir::IRMapping scalars; // scalars of the kernel → scalars of the function; buffers → base pointers

  mlir::Value scalar(mlir::Value value) { return scalars.lookup(value); }
  Pointer buffer(mlir::Value memref) {
    return {scalars.lookup(memref), mlir::cast<mlir::MemRefType>(memref.getType()).getElementType(), 0};
  }
  Tile tile(mlir::Value value) {
    if (auto known = inPlace_.find(value); known != inPlace_.end())
      return known->second;
    return placeOf(value);
  }
  /// From now on the tile lies there.
  void putInPlace(mlir::Value value, Tile tile) { inPlace_[value] = tile; }
  bool isInPlace(mlir::Value value) const { return inPlace_.contains(value); }
  /// The tile's place in scratch.
  Tile placeOf(mlir::Value value) {
    auto type = mlir::cast<mlir::RankedTensorType>(value.getType());
    return scratchTile(plan_.offset(value), type.getDimSize(0), type.getDimSize(1), type.getElementType());
  }
  Tile temporary(mlir::Operation *op, int64_t rows, int64_t cols, mlir::Type element) {
    return scratchTile(plan_.temporary(op), rows, cols, element);
  }
  Tile scratchTile(int64_t offset, int64_t rows, int64_t cols, mlir::Type element) {
    Pointer bytes = v.advance(Pointer{scratch_, v.builder().getI8Type(), 0}, offset);
    return {{bytes.base, element, 64}, rows, cols};
  }
  const ScratchPlan &plan() const { return plan_; }

  mlir::Value row(const Tile &tile, mlir::Value row) {
    return v.mul(row, tile.rowStride ? tile.rowStride : v.index(tile.cols));
  }

  /// Elements that fit the inner dimension in one vector: 1 for single elements.
  int64_t width(int64_t inner) { return inner == 1 ? 1 : v.lanes(); }

private:
  const ScratchPlan &plan_;
  mlir::Value scratch_;
  llvm::DenseMap<mlir::Value, Tile> inPlace_;
};

/// Emits the function of a kernel at the builder's place (an LLVM dialect function over scf, arith and LLVM ops).
mlir::LogicalResult lowerKernel(tile::KernelOp kernel, const ScratchPlan &plan, const CpuTarget &target,
                                mlir::OpBuilder &builder);

void lowerLoad(Lowering &low, tile::LoadOp op);
void lowerStore(Lowering &low, tile::StoreOp op);
/// Lets the op that makes the tile of this store write the buffer itself, or add to it, where the tile lies inside;
/// where it does not, the store moves what the op made in scratch.
void prepareStoreInPlace(Lowering &low, tile::StoreOp op);
void lowerScalarLoad(Lowering &low, mlir::Operation *memrefLoad);
void lowerGather(Lowering &low, tile::GatherOp op);
void lowerScatterAdd(Lowering &low, tile::ScatterAddOp op);
void lowerDot(Lowering &low, tile::DotOp op);
/// A product of two bf16 matrices on a target that multiplies pairs; `initial` is the scalar that the sums start from,
/// or null: they start from `acc`.
bool usesPairs(const CpuTarget &target, tile::DotOp dot);
void lowerDotOfPairs(Lowering &low, tile::DotOp op, Tile acc, mlir::Value initial);
mlir::LogicalResult lowerMap(Lowering &low, tile::MapOp op);
void lowerFill(Lowering &low, tile::FillOp op);
void lowerCast(Lowering &low, tile::CastOp op);
mlir::LogicalResult lowerReduce(Lowering &low, tile::ReduceOp op);

/// True if the dot that uses this fill starts from a constant in registers, so that the fill itself is not needed.
bool isFoldedIntoDot(tile::FillOp fill);

void copyTile(Lowering &low, Tile from, Tile to);
void transposeTile(Lowering &low, Tile from, Tile to);

/// A place `lo <= p < hi` of the inner or outer dimension that is inside the buffer.
struct Range {
  mlir::Value lo, hi; // index
  int64_t size;       // of the tile
};

/// The part of [0, size) whose coordinate `start + p * stride` lies in [begin, end) and that is below `limit`.
Range insideRange(VectorBuilder &v, int64_t size, mlir::Value start, int64_t stride, mlir::Value begin, mlir::Value end,
                  std::optional<int64_t> limit);

} // namespace oriel::codegen

#endif

// Turns one tile.kernel into one llvm.func whose body is what every thread of a block executes.
//
// Invariant: before and after each tile op all threads have passed a barrier, so a tile in shared memory is complete
// when it is read. Control flow is uniform: bounds and conditions come from the grid and from buffers, never from the
// thread.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_KERNELLOWERING_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_KERNELLOWERING_H

#include "compiler/codegen/nvidia/SharedMemory.h"
#include "compiler/codegen/nvidia/ThreadBuilder.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace oriel::codegen::nvidia {

class KernelLowering : ThreadBuilder {
public:
  /// Emits the function at the end of `into`; the external global `oriel_shared` must be there.
  KernelLowering(tile::KernelOp kernel, mlir::ModuleOp into);

  mlir::LogicalResult run();
  int64_t sharedBytes() const { return shared_.bytes(); }

private:
  /// Emits code for one element: its linear number and place in the tile, all i32.
  using PerElement = llvm::function_ref<void(Value linear, Value row, Value col)>;

  // Control and scalars (KernelLowering.cpp).
  mlir::LogicalResult lowerBlock(mlir::Block &block);
  mlir::LogicalResult lowerOp(mlir::Operation &op);
  mlir::LogicalResult lowerFor(mlir::scf::ForOp loop);
  mlir::LogicalResult lowerIf(mlir::scf::IfOp branch);
  mlir::LogicalResult lowerYield(mlir::ValueRange values, mlir::ValueRange targets);
  void copyTile(Value from, Value to);

  // Tile ops (TileOpLowering.cpp).
  void lowerLoad(tile::LoadOp op);
  void lowerStore(tile::StoreOp op);
  void lowerGather(tile::GatherOp op);
  void lowerScatterAdd(tile::ScatterAddOp op);
  void lowerFill(tile::FillOp op);
  void lowerMap(tile::MapOp op);
  void lowerReduce(tile::ReduceOp op);
  void lowerTranspose(tile::TransposeOp op);
  void lowerCast(tile::CastOp op);
  mlir::LogicalResult lowerDot(tile::DotOp op);

  // Tensor-core product (DotLowering.cpp).
  void lowerVectorDot(tile::DotOp op, int64_t depth);
  void emitDotTile(tile::DotOp op, Value rowBase, Value colBase);
  Value packBf16(Value first, Value second);
  llvm::SmallVector<Value> dotOperand(Value tile, bool isInnerFirst, Value outer, Value inner);

  // Small emitters.
  void forEachElement(mlir::RankedTensorType type, PerElement body);
  Value elementPointer(Value tile, Value linear);
  Value loadElement(Value tile, Value linear);
  Value loadBroadcast(Value tile, Value row, Value col);
  void storeElement(Value value, Value tile, Value linear);
  /// Pointer to a buffer's element and whether it may be touched, for tile.load and tile.store.
  std::pair<Value, Value> bufferElement(Value buffer, mlir::OperandRange indices, Value rowBegin, Value rowEnd,
                                        int64_t rowDim, int64_t colDim, std::optional<uint64_t> colLimit,
                                        int64_t colStride, Value row, Value col);

  SharedMemory shared_;
};

} // namespace oriel::codegen::nvidia

#endif

// Where each tile of a kernel lives in shared memory: offsets by liveness, in place where an operand dies.
#ifndef ORIEL_COMPILER_CODEGEN_NVIDIA_SHAREDMEMORY_H
#define ORIEL_COMPILER_CODEGEN_NVIDIA_SHAREDMEMORY_H

#include "dialects/tile/TileOps.h"
#include "llvm/ADT/DenseMap.h"

namespace oriel::codegen::nvidia {

/// Byte offsets of tile values. Values that share an offset are never alive together, or are one value updated in
/// place.
class SharedMemory {
public:
  /// Plans `kernel`. Every tile has its place when this returns; `bytes()` is the high-water mark.
  explicit SharedMemory(tile::KernelOp kernel);

  int64_t offsetOf(mlir::Value tile) const { return offsets_.lookup(tile); }
  int64_t bytes() const { return highWater_; }

private:
  struct Range {
    int64_t begin, end;
  };

  void planBlock(mlir::Block &block);
  void planLoop(mlir::Operation *op);
  void place(mlir::Value value);
  bool placeInPlace(mlir::Operation *op, mlir::Value result);
  void release(mlir::Value value);
  bool isCarried(mlir::Value value) const;
  bool diesAt(mlir::Value value, mlir::Operation *op) const;

  llvm::DenseMap<mlir::Value, int64_t> offsets_;
  llvm::DenseMap<mlir::Value, mlir::Value> owner_; // result updated in place → value whose range it took over
  llvm::SmallVector<Range> live_;                  // sorted by begin
  int64_t highWater_ = 0;
};

/// Bytes of a tile in shared memory, a multiple of 16.
int64_t tileBytes(mlir::Value tile);

} // namespace oriel::codegen::nvidia

#endif

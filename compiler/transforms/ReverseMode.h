// Reverse-mode differentiation of one block, through DifferentiableOpInterface. The pass in Differentiate.cpp decides
// what is differentiated and gives the seeds; this class only walks backwards and sums.
#ifndef ORIEL_COMPILER_TRANSFORMS_REVERSEMODE_H
#define ORIEL_COMPILER_TRANSFORMS_REVERSEMODE_H

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace oriel::transforms {

/// Usage: construct with the builder set before the block's terminator, seed() the results, run(), read gradientOf().
class ReverseMode {
public:
  /// Gradients are computed for `wanted` values and for what lies between them and the seeded values; nothing else.
  ReverseMode(mlir::OpBuilder &builder, mlir::Block &block, llvm::ArrayRef<mlir::Value> wanted);

  /// Adds a cotangent to a value. Does nothing if the value depends on no wanted one.
  void seed(mlir::Value value, mlir::Value cotangent);

  /// Emits the gradient ops of all ops that stood in the block at construction, last op first.
  mlir::LogicalResult run();

  /// The summed cotangent of `value`; zeros if nothing flowed into it.
  mlir::Value gradientOf(mlir::Value value);

private:
  void accumulate(mlir::Value value, mlir::Value cotangent, mlir::Location loc);
  mlir::LogicalResult differentiate(mlir::Operation *op);

  mlir::OpBuilder &builder_;
  llvm::SmallVector<mlir::Operation *> forward_;
  /// Values that depend on a wanted value: only they have gradients.
  llvm::DenseSet<mlir::Value> active_;
  llvm::DenseMap<mlir::Value, mlir::Value> cotangents_;
};

} // namespace oriel::transforms

#endif

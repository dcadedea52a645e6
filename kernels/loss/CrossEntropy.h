// Cross entropy on one block of logits, so that the logits of a block exist once and its gradient takes their place.
#ifndef ORIEL_KERNELS_LOSS_CROSSENTROPY_H
#define ORIEL_KERNELS_LOSS_CROSSENTROPY_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

/// With z = logits, or c·tanh(logits/c) for `softCap` c > 0: `losses[r] = logsumexp(z[r]) - z[r, targets[r]]`, 0 where
/// the target is negative. With `gradient`, logits are replaced by `loss_scale * (softmax(z) - onehot(target)) *
/// dz/dlogits` (0 where the target is negative).
///   with gradient      targets [rows] i32, loss_scale [1]            →  logits [rows, vocab] (in place), losses [rows]
///   without gradient   targets [rows] i32, logits [rows, vocab]      →  losses [rows]
/// The loss itself is not scaled.
struct CrossEntropySpec {
  int64_t rows = 0;
  int64_t vocab = 0;
  double softCap = 0.0;
  bool gradient = true;
};
std::string symbol(const CrossEntropySpec &spec);
tile::KernelOp buildCrossEntropy(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                 const CrossEntropySpec &spec);

/// Sum of all losses in one fixed order, in double, rounded once.
///   losses [rows]  →  loss [1]
struct SumLossesSpec {
  int64_t rows = 0;
};
std::string symbol(const SumLossesSpec &spec);
tile::KernelOp buildSumLosses(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                              const SumLossesSpec &spec);

} // namespace oriel::kernels

#endif

// Optimizer kernels on a contiguous range of the flat parameter space. `elements` is a multiple of 4096; one decay flag
// per 256 elements. The order of every sum depends on places in the flat space only, not on ranks or threads.
#ifndef ORIEL_KERNELS_OPTIM_OPTIM_H
#define ORIEL_KERNELS_OPTIM_OPTIM_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

struct FlatSpec {
  int64_t elements = 0;
};

/// Places in the `hyper` buffer.
enum HyperIndex {
  HyperLearningRate = 0,
  HyperBeta1,
  HyperBeta2,
  HyperEps,
  HyperWeightDecay,
  HyperMaxGradNorm,     // <= 0: no clipping
  HyperBiasCorrection1, // 1 - beta1^step
  HyperBiasCorrection2, // 1 - beta2^step
  HyperCount
};

/// AdamW with decoupled decay (Loshchilov & Hutter, arXiv 1711.05101) after clipping by the global norm:
///   g = grads · min(1, max_norm / (grad_norm + 1e-6));  m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²
///   p = p·(1 - lr·weight_decay·decay) - lr · (m/bc1) / (sqrt(v/bc2) + eps)
///   grads [n], grad_norm [1], hyper [8], decay [n/256]  →  params [n], m [n], v [n]  (all in place)
std::string adamWSymbol(const FlatSpec &spec);
tile::KernelOp buildAdamW(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

/// Sum of squares of each block of 4096 elements.
///   grads [n]  →  block_sums [n/4096]
std::string sumSquaresSymbol(const FlatSpec &spec);
tile::KernelOp buildSumSquares(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

/// `grad_norm = sqrt(block_sums[0] + block_sums[1] + …)`, added in this order in double. `elements` counts the whole
/// flat space, so there are elements/4096 sums.
///   block_sums [n/4096]  →  grad_norm [1]
std::string totalNormSymbol(const FlatSpec &spec);
tile::KernelOp buildTotalNorm(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

/// `a += b`.
///   b [n]  →  a [n] (in place)
std::string accumulateSymbol(const FlatSpec &spec);
tile::KernelOp buildAccumulate(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

} // namespace oriel::kernels

#endif

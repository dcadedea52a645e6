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
/// Where grad_norm is infinite or NaN, p, m and v keep their bits.
///   grads [n], grad_norm [1], hyper [8], decay [n/256]  →  params [n], m [n], v [n]  (all in place)
std::string adamWSymbol(const FlatSpec &spec);
tile::KernelOp buildAdamW(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

/// Sum of squares of each block of 4096 elements.
///   grads [n]  →  block_sums [n/4096]
std::string sumSquaresSymbol(const FlatSpec &spec);
tile::KernelOp buildSumSquares(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

/// The flat space of n elements, of whose block sums each rank has a part: `ranks` equal shares of each bucket. Buckets
/// are `bucketElements` long, but for the first, which is what is left.
struct NormSpec {
  int64_t elements = 0;
  int64_t ranks = 1;
  int64_t bucketElements = 0; // with one rank, of no meaning
};

/// `grad_norm = sqrt(s0 + s1 + …)` over the blocks in flat order, in double, however many ranks and buckets there are.
/// block_sums holds those of rank 0, then those of rank 1, …; of one rank, share by share in the order of the buckets.
///   block_sums [n/4096]  →  grad_norm [1]
std::string totalNormSymbol(const NormSpec &spec);
tile::KernelOp buildTotalNorm(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const NormSpec &spec);

/// `a += b`.
///   b [n]  →  a [n] (in place)
std::string accumulateSymbol(const FlatSpec &spec);
tile::KernelOp buildAccumulate(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const FlatSpec &spec);

} // namespace oriel::kernels

#endif

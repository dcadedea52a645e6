// Root-mean-square norm of the last dimension, forward and backward.
//
//   y = x · r ∘ w,  r = 1/sqrt(mean_d(x²) + eps),  w = weight or 1 + weight          (Zhang & Sennrich, arXiv
//   1910.07467) g = w ∘ dy,  dx = r·g - x·r³·mean_d(g∘x),  dweight = sum over vectors of dy ∘ x·r
// r is computed again in the backward pass: it costs one read of x, which the backward reads anyway.
#ifndef ORIEL_KERNELS_NORM_RMSNORM_H
#define ORIEL_KERNELS_NORM_RMSNORM_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

/// One norm per vector of `width` elements. weight [width]: groups = 1, rows = all vectors. weight [N,D] on x
/// [B,T,N,D]: groups = N, rows = B·T.
///   forward    x, [residual,] weight [groups, width]     →  [sum,] y
///   backward   x, weight, dy [, residual]                →  dx, dweight_partials [parts, groups, width] [, y]
/// where the others are [rows, groups, width] and parts = partialCount(rows) of kernels/elementwise;
/// buildSumPartials{parts, groups*width} makes dweight. sum, y and dx may replace any input of their size.
struct RmsNormSpec {
  int64_t rows = 0;
  int64_t groups = 1;
  int64_t width = 0;
  double eps = 1e-6;
  bool plusOne = false;
  bool residual = false; // forward: the norm of sum = x + residual; backward: residual is added to dx
  bool remake = false;   // backward: gives y too
  TileTarget tiles = TileTarget::Cpu;
};
std::string symbol(const RmsNormSpec &spec, bool backward);
tile::KernelOp buildRmsNorm(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RmsNormSpec &spec);
tile::KernelOp buildRmsNormGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                const RmsNormSpec &spec);

} // namespace oriel::kernels

#endif

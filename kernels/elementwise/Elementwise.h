// Elementwise kernels and sums over rows. Sizes are static; every kernel works on flat or [rows, columns] views.
#ifndef ORIEL_KERNELS_ELEMENTWISE_ELEMENTWISE_H
#define ORIEL_KERNELS_ELEMENTWISE_ELEMENTWISE_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

/// `y = x_0 + x_1 + …`, added from left to right. y may replace any x.
///   x_0 … x_{operands-1} [elements]  →  y [elements]
struct AddSpec {
  int64_t elements = 0;
  int64_t operands = 2;
};
std::string symbol(const AddSpec &spec);
tile::KernelOp buildAdd(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const AddSpec &spec);

/// `y = x`: an f32 value rounded to the storage type.
///   x [elements] f32  →  y [elements]
struct RoundSpec {
  int64_t elements = 0;
};
std::string symbol(const RoundSpec &spec);
tile::KernelOp buildRound(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RoundSpec &spec);

/// `y[r,d] = x[r,d] * scale[d]` and its gradient.
///   forward    x [rows, width], scale [width]                     →  y [rows, width]
///   backward   x [rows, width], scale [width], dy [rows, width]   →  dx [rows, width], dscale_partials [parts, width]
/// with parts = partialCount(spec.rows); buildSumPartials makes dscale from the partials.
struct ScaleChannelsSpec {
  int64_t rows = 0;
  int64_t width = 0;
};
std::string symbol(const ScaleChannelsSpec &spec, bool backward);
tile::KernelOp buildScaleChannels(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                  const ScaleChannelsSpec &spec);
tile::KernelOp buildScaleChannelsGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                      const ScaleChannelsSpec &spec);

/// First step of `y[d] = sum_r x[r,d]` (bias gradients): every block of rows leaves one partial sum.
///   x [rows, width]  →  partials [parts, width]      parts = partialCount(rows)
struct SumRowsSpec {
  int64_t rows = 0;
  int64_t width = 0;
};
std::string symbol(const SumRowsSpec &spec);
tile::KernelOp buildSumRows(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const SumRowsSpec &spec);

/// Second step: `y[d] = partials[0,d] + partials[1,d] + …`, sixteen at a time, in an order that depends on `parts`
/// only.
///   partials [parts, width]  →  y [width]
struct SumPartialsSpec {
  int64_t parts = 0;
  int64_t width = 0;
};
std::string symbol(const SumPartialsSpec &spec);
tile::KernelOp buildSumPartials(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                const SumPartialsSpec &spec);

/// Number of partial sums that a reduction over `rows` rows leaves: one per 64 rows, at most 256: cells for many
/// cores. Depends on nothing else.
int64_t partialCount(int64_t rows);
/// Rows behind one partial sum, a multiple of 64, so that row tiles of 16, 32 or 64 end where it ends: partial p sums
/// rows [p*n, (p+1)*n) with n = partialRows(rows).
int64_t partialRows(int64_t rows);

/// `y = cap * tanh(x / cap)`, in place.
///   →  x [elements] (in place)
struct SoftCapSpec {
  int64_t elements = 0;
  double cap = 0.0;
};
std::string symbol(const SoftCapSpec &spec);
tile::KernelOp buildSoftCap(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const SoftCapSpec &spec);

} // namespace oriel::kernels

#endif

// How the schedule tiles the kernels that an op becomes on a GPU: attribute tape.tiles of the op, by kernel,
//
//   tape.tiles = {attn_dq = array<i64: 64, 128, 8, 2>, attn_fwd = …}     rows, columns, warps, stages; 0: the kernel's own
//
// Rows and columns are those of a block of scores (queries, keys) of attention; residual linear attention has columns of
// values, but for rla_dq and rla_dkdv, which take all.
#ifndef ORIEL_COMPILER_CONVERSION_LMTOTAPE_KERNELTILING_H
#define ORIEL_COMPILER_CONVERSION_LMTOTAPE_KERNELTILING_H

#include "compiler/conversion/lmToTape/TapeBuilder.h"
#include "dialects/tile/BlockShape.h"
#include "kernels/attention/Attention.h"
#include "kernels/rattention/Rla.h"

namespace oriel::conversion {

class KernelTiling {
public:
  /// `kernel` is "attn_fwd", "attn_dq", "attn_dkdv", "rla_fwd", "rla_states", "rla_bwd", "rla_cotangents", "rla_dq" or
  /// "rla_dkdv".
  KernelTiling(mlir::Operation *op, llvm::StringRef kernel);

  /// The spec with the tiles that were decided.
  kernels::AttentionSpec of(kernels::AttentionSpec spec) const;
  kernels::RlaSpec of(kernels::RlaSpec spec) const;

  /// TapeBuilder::call with a kernel of the decided block shape, which its symbol tells too.
  llvm::SmallVector<mlir::Value>
  call(TapeBuilder &tape, std::string symbol,
       llvm::function_ref<tile::KernelOp(mlir::OpBuilder &, mlir::Location, llvm::StringRef)> build,
       mlir::TypeRange results, mlir::ValueRange inputs) const;

private:
  int64_t rows_ = 0, columns_ = 0;
  tile::BlockShape block_;
};

} // namespace oriel::conversion

#endif

// Table look-up, its gradient, and the choice of one position per row for generation.
#ifndef ORIEL_KERNELS_EMBED_EMBED_H
#define ORIEL_KERNELS_EMBED_EMBED_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

/// `y[r,:] = scale * table[tokens[r],:]`; rows = B·T. A token outside the table reads as zeros.
///   forward    table [vocab, width], tokens [rows] i32      →  y [rows, width]
///   backward   dy [rows, width], tokens [rows] i32          →  dtable [vocab, width]
/// The gradient adds rows in the order r = 0, 1, …, whatever the number of threads. It starts from zeros, or with
/// `accumulate` from what dtable holds (in place): the second use of a tied table.
struct EmbedSpec {
  int64_t rows = 0;
  int64_t vocab = 0;
  int64_t width = 0;
  double scale = 1.0;
  bool accumulate = false;
};
std::string symbol(const EmbedSpec &spec, bool backward);
tile::KernelOp buildEmbed(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const EmbedSpec &spec);
tile::KernelOp buildEmbedGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const EmbedSpec &spec);

/// `y[b,:] = x[b, position[b], :]`.
///   x [batch, tokens, width], position [batch] i32  →  y [batch, width]
struct SelectPositionSpec {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t width = 0;
};
std::string symbol(const SelectPositionSpec &spec);
tile::KernelOp buildSelectPosition(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                   const SelectPositionSpec &spec);

} // namespace oriel::kernels

#endif

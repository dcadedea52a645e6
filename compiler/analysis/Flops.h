// Model FLOPs: the accounting of MFU.
#ifndef ORIEL_COMPILER_ANALYSIS_FLOPS_H
#define ORIEL_COMPILER_ANALYSIS_FLOPS_H

#include "mlir/IR/Operation.h"

namespace oriel::analysis {

/// FLOPs of one forward run of a primitive lm op. A multiply-add counts 2; causal and windowed pairs are counted
/// exactly; residual linear attention in its least, recurrent form (state update per KV head, read per query head,
/// tokens beyond the window); look-ups, norms and elementwise ops are free.
double forwardFlops(mlir::Operation *op);

/// Pairs (t, i) with max(0, t - window) <= i <= t < tokens; window -1: no limit.
double visiblePairs(int64_t tokens, int64_t window);

/// Forward and backward FLOPs per token of a function with `batch * tokens` tokens: 3 x forward, no recompute.
double trainingFlopsPerToken(mlir::Operation *function, int64_t batch, int64_t tokens);

} // namespace oriel::analysis

#endif

// Rotary positions (Su et al., arXiv 2104.09864): pair j of the first `rotary` channels turns by p·theta^(-2j/rotary).
#ifndef ORIEL_KERNELS_ROPE_ROPE_H
#define ORIEL_KERNELS_ROPE_ROPE_H

#include "kernels/common/KernelSpec.h"
#include <vector>

namespace oriel::kernels {

/// Pairs are (j, j + rotary/2), or (2j, 2j+1) when `interleaved`; channels from `rotary` on pass through. The position
/// of token t is t, or t - doc_start[t] with `documents`. `inverse` turns the other way (the gradient).
///   x [B,T,N,D], cos [T, rotary/2], sin [T, rotary/2] [, doc_start [B,T] i32]  →  y [B,T,N,D]
/// y may be the same buffer as x.
struct RopeSpec {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t headDim = 0;
  int64_t rotary = 0;
  bool interleaved = false;
  bool documents = false;
  bool inverse = false;
};
std::string symbol(const RopeSpec &spec);
tile::KernelOp buildRope(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RopeSpec &spec);

/// The constant inputs, computed in double and rounded once: `tokens * rotary/2` values each, row major.
struct RopeTables {
  std::vector<float> cos, sin;
};
RopeTables ropeTables(int64_t tokens, int64_t rotary, double theta);

} // namespace oriel::kernels

#endif

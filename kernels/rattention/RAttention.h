// One layer's RAttention in one kernel (arXiv 2506.15545): window attention, residual linear attention, and the sum of
// their per-head norms.
//
//   swa = attention over the window, on rotated q, k        rla = residual linear attention, on q, k as they come
//   y = swa / rms(swa) ∘ swa_scale + rla / rms(rla) ∘ rla_scale                  per head; rms(x)² = mean(x²) + eps
// Against four kernels (attention, residual linear attention, two norms, add) this leaves out three writes and five
// reads of [B,T,N,E]; swa and rla are written for the gradient. See README.md.
#ifndef ORIEL_KERNELS_RATTENTION_RATTENTION_H
#define ORIEL_KERNELS_RATTENTION_RATTENTION_H

#include "kernels/attention/Attention.h"
#include "kernels/rattention/Rla.h"

namespace oriel::kernels {

/// Both parts have the same sizes and the same window >= 0; `linear.chunk` is a multiple of `window.queryTile`.
/// `linear.documents` implies `window.documents`; `linear` has no lengths, no final state and whole value columns.
struct RAttentionSpec {
  AttentionSpec window;
  RlaSpec linear;
  double eps = 0;
};
/// The spec with the attention tiles that suit its chunk.
RAttentionSpec withDefaultTiles(RAttentionSpec spec, TileTarget target = TileTarget::Cpu);

std::string symbol(const RAttentionSpec &spec);

///   rotated q [B,T,N,D], rotated k [B,T,KV,D], q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E], swa_scale [N,E], rla_scale
///   [N,E]
///     [, h0 (initialState)] [, doc_start [B,T] i32 (documents)] [, states [B,KV,savedStates,2D,E] (twoPass)]
///   →  y [B,T,N,E], swa [B,T,N,E], lse [B,N,T], rla [B,T,N,E] [, states (saveEvery > 0, not twoPass)]
tile::KernelOp buildRAttention(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                               const RAttentionSpec &spec);

/// The gradient of the sum of the two norms, and for gradients of attention that start from it delta[b,n,t] = sum_e
/// dswa·swa, of dswa as it is stored.
struct HeadNormsSpec {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t valueDim = 0;
  double eps = 0;
  bool delta = true;

  int64_t partials() const;
};
std::string symbol(const HeadNormsSpec &spec);

///   swa [B,T,N,E], rla [B,T,N,E], swa_scale [N,E], rla_scale [N,E], dy [B,T,N,E]
///   →  dswa [B,T,N,E], drla [B,T,N,E], partial sums of dswa_scale and drla_scale [partials,N,E] [, delta [B,N,T]]
tile::KernelOp buildHeadNormsGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                  const HeadNormsSpec &spec);

} // namespace oriel::kernels

#endif

// Softmax attention in blocks (FlashAttention, Dao et al., arXiv 2205.14135 and 2307.08691), full or over a sliding
// window.
//
//   s[t,i] = scale·q[t]·k[i], soft-capped by c·tanh(s/c);  o[t] = sum_i softmax_i(s) v[i]
//   token t sees max(doc_start[t], t - window) <= i <= t; window -1: no limit on the left
// Nothing of size T×T exists: blocks outside the visible band are left out by the bounds of the loops. Every output
// place is written by exactly one cell, so there are no atomics and no dependence on threads.
#ifndef ORIEL_KERNELS_ATTENTION_ATTENTION_H
#define ORIEL_KERNELS_ATTENTION_ATTENTION_H

#include "kernels/common/KernelSpec.h"

namespace oriel::kernels {

/// Query head n uses key/value head n / (heads / kvHeads). Tiles are multiples of 16.
struct AttentionSpec {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;  // D
  int64_t valueDim = 0; // E
  int64_t window = -1;
  double scale = 1.0;
  double softCap = 0.0;
  bool documents = false; // takes doc_start [B,T] i32
  int64_t queryTile = 64;
  int64_t keyTile = 64;
  /// Cells that run together read through one cache, a GPU's, which a head's keys and values may overflow: walks are ordered
  /// so that each finds there what others have just read (README.md). Another order of sums.
  bool sharedCache = false;
  /// In dkdv, queries and their cotangents wait in registers and take turns in one place of a block's shared memory,
  /// which leaves room for more keys.
  bool takesTurns = false;
};
/// The spec with the tiles that were fastest on CPUs (tests/bench/kernels), never longer than the row: small where much
/// of a large tile would lie outside the window, large where keys or sums come from far caches.
/// On GPUs: what one block holds.
AttentionSpec withDefaultTiles(AttentionSpec spec, TileTarget target = TileTarget::Cpu);
/// The same for the kernels of the gradient: grad and dq, and dkdv.
AttentionSpec withGradientTiles(AttentionSpec spec, TileTarget target = TileTarget::Cpu);
AttentionSpec withKeyGradientTiles(AttentionSpec spec, TileTarget target = TileTarget::Cpu);

/// And for row_grad: all keys that a block of queries sees are one tile.
AttentionSpec withRowTiles(AttentionSpec spec);

/// `stage` is "fwd", "delta", "dq", "dkdv", "grad" or "row_grad".
std::string symbol(const AttentionSpec &spec, llvm::StringRef stage);

///   q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E] [, doc_start [B,T]]  →  o [B,T,N,E], lse [B,N,T]
tile::KernelOp buildAttention(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                              const AttentionSpec &spec);

/// The gradient is row_grad alone, or two or three kernels: delta first, then either grad, or dq and dkdv. row_grad and
/// grad make the scores once (5 products per block instead of 7), but their cells are only the key/value heads of each
/// row: see `hasManyGroups`.
/// `delta[b,n,t] = sum_e do·o`:
///   o [B,T,N,E], do [B,T,N,E]  →  delta [B,N,T]
tile::KernelOp buildAttentionDelta(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                   const AttentionSpec &spec);
/// `exact_delta[b,n,t] = sum_i p·dp` is the same number from the f32 p and dp that ds is made of, not from stored
/// outputs: with it rows of ds sum to zero as closely as f32 has it.
///   q, k, v, do [B,T,N,E], lse [B,N,T], delta [B,N,T] [, doc_start [B,T]]  →  dq [B,T,N,D], exact_delta [B,N,T]
tile::KernelOp buildAttentionDq(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                const AttentionSpec &spec);
/// dk and dv are summed over the query heads of a group. `delta` is dq's exact_delta.
///   q, k, v, do [B,T,N,E], lse [B,N,T], delta [B,N,T] [, doc_start [B,T]]  →  dk [B,T,KV,D], dv [B,T,KV,E]
tile::KernelOp buildAttentionDkDv(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                  const AttentionSpec &spec);

///   q, k, v, do [B,T,N,E], lse [B,N,T], delta [B,N,T] [, doc_start [B,T]]  →  dq [B,T,N,D], dk [B,T,KV,D], dv
///   [B,T,KV,E]
tile::KernelOp buildAttentionGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                  const AttentionSpec &spec);
/// What grad computes, without delta, which comes from whole rows of p and dp, for windows that see few keys. 5 products per
/// block, too, and the same cells. dk and dv are sums in place.
///   q, k, v, do [B,T,N,E], lse [B,N,T] [, doc_start [B,T]]  →  dq [B,T,N,D], dk [B,T,KV,D], dv [B,T,KV,E]
tile::KernelOp buildAttentionRowGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                     const AttentionSpec &spec);
/// Whether p and dp of a block of queries and all keys that it sees fit the second cache of a core.
inline bool seesFewKeys(const AttentionSpec &spec) { return spec.window >= 0 && spec.window <= 1024; }

/// Whether the groups of all rows alone keep `cores` busy: the 5 products of grad, whose cells are the groups, take no
/// longer than the 7 of dq and dkdv, which have cells for everyone.
inline bool hasManyGroups(const AttentionSpec &spec, int64_t cores) {
  int64_t groups = spec.batch * spec.kvHeads, rounds = ceilDiv(groups, cores);
  return 5 * rounds * cores <= 7 * groups;
}

} // namespace oriel::kernels

#endif

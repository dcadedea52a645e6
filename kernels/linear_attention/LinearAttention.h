// Causal linear attention in chunks, without a feature map:
//
//   S_t = h0 + sum over i <= t of k[i]ᵀ v[i]           o[t] = scale · q[t] S_t
//   normalize: z_t = z0 + sum over i <= t of k[i]      o[t] = scale · q[t] S_t / (scale · q[t]·z_t + 1e-10)
// A document begins with an empty state; the one that begins with the row, with h0 and z0. Layout BTHD; one state per
// key/value head. See README.md.
#ifndef ORIEL_KERNELS_LINEAR_ATTENTION_LINEARATTENTION_H
#define ORIEL_KERNELS_LINEAR_ATTENTION_LINEARATTENTION_H

#include "kernels/common/ChunkSchedule.h"

namespace oriel::kernels {

struct LinearAttentionSpec : ChunkSchedule {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;  // D, at most 256
  int64_t valueDim = 0; // E, at most 255
  double scale = 1;
  bool normalize = false;
  bool initialState = false; // takes h0 and, with normalize, z0
  bool documents = false;    // takes doc_start [B,T] i32
  bool finalState = false;   // forward: writes S_T and z_T; backward: takes their cotangents

  int64_t group() const { return heads / kvHeads; }
  /// Columns of a state: the values and, with normalize, the sum of keys.
  int64_t stateColumns() const { return valueDim + (normalize ? 1 : 0); }
};
/// The stage ("fwd" or "bwd"), the sizes and the schedule in one name.
std::string symbol(const LinearAttentionSpec &spec, llvm::StringRef stage);

///   q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E]
///     [, h0 [B,KV,D,E] [, z0 [B,KV,D] (normalize)] (initialState)] [, doc_start [B,T] i32 (documents)]
///   →  o [B,T,N,E] [, states [B,KV,savedStates,D,stateColumns] (saveEvery > 0)]
///     [, final_state [B,KV,D,E] [, final_sum [B,KV,D] (normalize)] (finalState)]
tile::KernelOp buildLinearAttention(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                    const LinearAttentionSpec &spec);

///   q, k, v, do [B,T,N,E] [, h0 [, z0]] [, doc_start] [, states (saveEvery > 0)] [, dfinal_state [, dfinal_sum]]
///   →  dq [B,T,N,D], dk [B,T,KV,D], dv [B,T,KV,E] [, dh0 [B,KV,D,E] [, dz0 [B,KV,D]]],
///      workspace [B,KV,segmentChunks,D,stateColumns] (contents meaningless afterwards)
tile::KernelOp buildLinearAttentionGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                        const LinearAttentionSpec &spec);

} // namespace oriel::kernels

#endif

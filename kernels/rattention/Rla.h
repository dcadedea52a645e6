// Residual linear attention (arXiv 2506.15545) in chunks: linear attention over every token before the window.
//
//   o[t] = phi(q[t]) · (h0 + sum of phi(k[i])ᵀ v[i] over doc_start[t] <= i <= t - window - 1)
//   phi(x) = [softmax(x), softmax(-x)] or [relu(x), relu(-x)];  no rotation, no 1/sqrt(D), no denominator
// Layout BTHD. One state per key/value head; the initial state h0 of each query head is added when it is read. See
// README.md.
#ifndef ORIEL_KERNELS_RATTENTION_RLA_H
#define ORIEL_KERNELS_RATTENTION_RLA_H

#include "kernels/common/ChunkSchedule.h"

namespace oriel::kernels {

enum class FeatureMap { Softmax, Relu };

/// Which initial state the kernel takes.
enum class InitialState {
  None,
  PerHead,     // h0 [N,2D,E]
  PerBatchHead // h0 [B,N,2D,E]
};

/// The first group is what is computed, the second the schedule.
struct RlaSpec {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;  // D, at most 256
  int64_t valueDim = 0; // E, at most 256
  int64_t window = -1;
  FeatureMap featureMap = FeatureMap::Softmax;
  InitialState initialState = InitialState::None;
  bool documents = false;  // takes doc_start [B,T] i32
  bool lengths = false;    // takes lengths [B] i32; forward only
  bool finalState = false; // forward: writes final_state [B,N,2D,E]; backward: takes its cotangent

  int64_t chunk = 64, saveEvery = 0; // see ChunkSchedule.h

  /// Every segment of saveEvery chunks is a cell of its own, so that few heads and rows keep many cores busy. The
  /// states before the segments come from buildRlaStates (the states inside a segment are made twice), their cotangents
  /// from buildRlaCotangents. Needs saveEvery > 0.
  bool twoPass = false;

  /// Value columns that are worked on at a time (a multiple of 16), for targets whose scratch does not hold a whole
  /// state; 0: all. Forward: the cells of a head share its E columns. Backward: a cell walks the row once per block of
  /// columns and adds up dq and dk, which are f32 then.
  int64_t valueBlock = 0;

  int64_t group() const { return heads / kvHeads; }
  int64_t cellColumns() const { return valueBlock ? std::min(valueBlock, valueDim) : valueDim; }
  /// Those of a cell of the first of two passes: the products of different columns have only phi in common.
  int64_t passColumns() const { return std::min<int64_t>(valueBlock ? valueBlock : 64, tileSize(valueDim)); }
  ChunkSchedule schedule() const { return {tokens, chunk, saveEvery}; }
  int64_t chunks() const { return schedule().chunks(); }
  int64_t savedStates() const { return schedule().savedStates(); }
  int64_t segmentChunks() const { return schedule().segmentChunks(); }
  int64_t segmentTokens() const { return schedule().segmentTokens(); }
  int64_t segments() const { return schedule().segments(); }
  /// States that the workspace of the backward holds for one key/value head of one row.
  int64_t workspaceStates() const {
    return twoPass && segmentChunks() > 1 ? segments() * segmentChunks() : segmentChunks();
  }
};
/// The spec with the columns, and at most the chunk, that suit the target.
RlaSpec withDefaultTiles(RlaSpec spec, TileTarget target);
/// The stage ("fwd", "states", "bwd", "dq", "dkdv" or "cotangents"), the sizes and the schedule in one name.
std::string symbol(const RlaSpec &spec, llvm::StringRef stage);

///   q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E]
///     [, h0 (initialState)] [, doc_start [B,T] i32 (documents)] [, lengths [B] i32 (lengths)] [, states (twoPass)]
///   →  o [B,T,N,E] [, states [B,KV,savedStates,2D,E] (saveEvery > 0, not twoPass)]
///     [, final_state [B,N,2D,E] (finalState)]
/// With `lengths`, keys at i > lengths[b] - window - 2 are left out.
tile::KernelOp buildRla(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RlaSpec &spec);

/// The first of two passes: the states alone.
///   k [B,T,KV,D], v [B,T,KV,E] [, doc_start [B,T] i32 (documents)] [, lengths [B] i32 (lengths)]
///   →  states [B,KV,savedStates,2D,E]
tile::KernelOp buildRlaStates(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RlaSpec &spec);

///   q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E], do [B,T,N,E]
///     [, h0 (initialState)] [, doc_start [B,T] i32 (documents)] [, states [B,KV,savedStates,2D,E] (saveEvery > 0)]
///     [, dstates [B,KV,savedStates,2D,E] (twoPass)] [, dfinal_state [B,N,2D,E] (finalState, not twoPass)]
///   →  dq [B,T,N,D], dk [B,T,KV,D], dv [B,T,KV,E] [, dh0_batch [B,N,2D,E] (initialState, not twoPass)],
///      workspace [B,KV,workspaceStates,2D,E] (contents meaningless afterwards)
/// dk and dv are summed over the query heads of a group. With InitialState::PerHead the caller sums dh0_batch over B
/// with buildSumPartials{parts = B, width = N·2D·E}.
tile::KernelOp buildRlaGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RlaSpec &spec);

/// The gradients where every chunk has its state and the cotangent of the next (twoPass, saveEvery = 1), in two kernels
/// whose cells are chunks. They work on all columns at once, whatever valueBlock says.
///   dq    q, k, v, do [, h0 (initialState)] [, doc_start (documents)], states   →  dq [B,T,N,D]
///   dkdv  q, k, v, do [, doc_start (documents)], dstates                        →  dk [B,T,KV,D], dv [B,T,KV,E]
tile::KernelOp buildRlaDq(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RlaSpec &spec);
tile::KernelOp buildRlaDkDv(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RlaSpec &spec);
/// Whether these two take the place of buildRlaGrad: on a GPU, where a thread's registers then hold longer chunks, if
/// shared memory holds whole states.
bool runsSideBySide(const RlaSpec &spec, TileTarget target);

/// The first of two passes of the backward: the cotangents of the states after each segment.
///   q [B,T,N,D], do [B,T,N,E] [, doc_start [B,T] i32 (documents)] [, dfinal_state [B,N,2D,E] (finalState)]
///   →  dstates [B,KV,savedStates,2D,E] [, dh0_batch [B,N,2D,E] (initialState)]
tile::KernelOp buildRlaCotangents(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol, const RlaSpec &spec);

/// `h0[n] = sum_j phi(k_tokens[n,j])ᵀ v_tokens[n,j]`.
///   forward    k_tokens [N,J,D], v_tokens [N,J,E]                          →  h0 [N,2D,E]
///   backward   k_tokens [N,J,D], v_tokens [N,J,E], dh0 [N,2D,E]            →  dk_tokens [N,J,D], dv_tokens [N,J,E]
struct LearnedStateSpec {
  int64_t heads = 0;
  int64_t learnedTokens = 0; // J
  int64_t headDim = 0;
  int64_t valueDim = 0;
  FeatureMap featureMap = FeatureMap::Softmax;
};
std::string symbol(const LearnedStateSpec &spec, bool backward);
tile::KernelOp buildLearnedState(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                 const LearnedStateSpec &spec);
tile::KernelOp buildLearnedStateGrad(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef symbol,
                                     const LearnedStateSpec &spec);

} // namespace oriel::kernels

#endif

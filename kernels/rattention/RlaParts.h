// The parts of chunked residual linear attention, each emitted for one chunk, from which the forward, the backward and
// fused kernels are put together.
//
// Chunk c0 pairs the queries t in [c0, c0+C) with the shifted keys i in [c0-s, c0-s+C), s = window+1, so row r of the
// queries sees column j of the keys iff j <= r, whatever the window. What documents add is in ChunkMasks.h; the carried
// state ends where the chunk's keys begin, at c0-s.
// Keys i >= T-s reach no query. Keys outside [0, T-s) read as zeros, so their values add nothing and need no mask.
#ifndef ORIEL_KERNELS_RATTENTION_RLAPARTS_H
#define ORIEL_KERNELS_RATTENTION_RLAPARTS_H

#include "kernels/common/ChunkMasks.h"
#include "kernels/common/Signature.h"
#include "kernels/rattention/FeatureMap.h"

namespace oriel::kernels {

/// Where the optional buffers of a kernel are.
struct RlaBuffers {
  unsigned q, k, v;
  std::optional<unsigned> initialState, docStart, lengths;
};

/// What all heads of a group share for one chunk.
struct RlaChunk {
  Scalar first;        // c0
  Scalar firstKey;     // c0 - s
  Halves phiK;         // [C, D]
  Halves phiKT;        // [D, C]
  mlir::Value v;       // [C, E]
  mlir::Value vUpdate; // v where the update mask holds, 0 elsewhere
  ChunkMasks masks;
};

class RlaParts {
public:
  /// The cell works on value columns [firstColumn, firstColumn + cellColumns).
  RlaParts(TileBuilder &b, const RlaSpec &spec, const RlaBuffers &buffers, Scalar batch, Scalar kvHead,
           Scalar firstColumn)
      : b_(b), spec_(spec), buffers_(buffers), batch_(batch), kvHead_(kvHead), firstColumn_(firstColumn) {}

  int64_t dim() const { return tileSize(spec_.headDim); }
  int64_t valueDim() const { return tileSize(spec_.cellColumns()); }
  int64_t shift() const { return spec_.window + 1; }

  /// Rows of queries (dimension 1 of [B,T,N,·]) and of the shifted keys, which end at T-s.
  Place queryRows(const RlaChunk &chunk, Scalar head) { return Place{{batch_, chunk.first, head, b_.index(0)}, 1, 3}; }
  /// The same rows of a buffer of values: this cell's columns of [B,T,N,E].
  Place outputRows(const RlaChunk &chunk, Scalar head) {
    return Place{{batch_, chunk.first, head, firstColumn_}, 1, 3};
  }
  Place keyRows(Scalar firstKey);
  /// Keys from T-s on reach no query: writes their gradients, zeros, to dk [B,T,KV,D] and dv [B,T,KV,E].
  void zeroUnusedKeys(mlir::Value dk, mlir::Value dv);

  /// The chunk's place and masks, without keys and values.
  RlaChunk queriesFrom(Scalar first) { return {first, first - shift(), {}, {}, {}, {}, loadMasks(first)}; }
  /// Loads keys and values of a chunk and maps the keys. `transposed` also fills phiKT.
  RlaChunk loadChunk(Scalar first, bool transposed);
  Halves loadPhiQ(const RlaChunk &chunk, Scalar head);

  /// The chunk's outputs of one head: ((phi(q)·phi(k)ᵀ)∘pairs)·v + carry∘(phi(q)·S) + phi(q)·h0.
  mlir::Value output(const RlaChunk &chunk, const Halves &state, Scalar head);
  /// The state after the chunk.
  Halves updateState(const Halves &state, const RlaChunk &chunk);

  Halves zeroState();
  /// A state inside a buffer of shape [leading..., 2D, E].
  Halves loadState(mlir::Value buffer, llvm::ArrayRef<Scalar> leading);
  void storeState(const Halves &state, mlir::Value buffer, llvm::ArrayRef<Scalar> leading);
  void accumulateState(const Halves &state, mlir::Value buffer, llvm::ArrayRef<Scalar> leading);
  /// h0 of a query head; only with an initial state.
  Halves loadInitialState(Scalar head);
  bool hasInitialState() const { return buffers_.initialState.has_value(); }

  /// The state that the last token of the row sees: 0 where its document has no key in it.
  Halves finalState(const Halves &state);
  /// The cotangent of the state after the last chunk: zero, or the sum of `dfinalState` [B,N,2D,E] over the group. Also
  /// starts `dinitialState` [B,N,2D,E], since the final state contains h0.
  Halves startCotangent(std::optional<unsigned> dfinalState, std::optional<unsigned> dinitialState);

private:
  Place statePlace(llvm::ArrayRef<Scalar> leading, bool minus);
  ChunkMasks loadMasks(Scalar first);
  Scalar loadDocStart(Scalar token) { return b_.loadScalar(b_.buffer(*buffers_.docStart), {batch_, token}); }

  TileBuilder &b_;
  const RlaSpec &spec_;
  const RlaBuffers &buffers_;
  Scalar batch_, kvHead_, firstColumn_;
};

/// Declares the initial state, where the spec has one.
void addInitialState(Signature &signature, const RlaSpec &spec, RlaBuffers &buffers);

/// acc + a±·b±, and acc + a±·b±ᵀ, both halves summed.
inline mlir::Value dotHalves(TileBuilder &b, const Halves &x, const Halves &y, mlir::Value acc) {
  return b.dot(x.minus, y.minus, b.dot(x.plus, y.plus, acc));
}

} // namespace oriel::kernels

#endif

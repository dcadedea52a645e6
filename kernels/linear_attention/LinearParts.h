// The parts of chunked linear attention, each emitted for one chunk of one key/value head of one row, from which the
// forward and the backward are put together.
//
// The normaliser is not a case of its own: with a column of ones behind the values, the same products give the sum of
// keys as the state's last column and the normaliser as the output's. A state here is [D, stateColumns].
#ifndef ORIEL_KERNELS_LINEAR_ATTENTION_LINEARPARTS_H
#define ORIEL_KERNELS_LINEAR_ATTENTION_LINEARPARTS_H

#include "kernels/common/ChunkMasks.h"
#include "kernels/common/Signature.h"
#include "kernels/linear_attention/LinearAttention.h"

namespace oriel::kernels {

/// A state in memory as people know it: [B,KV,D,E] and, with normalize, the sum of keys [B,KV,D].
struct StateBuffers {
  unsigned state = 0, sum = 0;
};

/// Where the buffers that both halves read are.
struct LinearBuffers {
  unsigned q, k, v;
  std::optional<StateBuffers> initial;
  std::optional<unsigned> docStart;
};
/// Declares q, k, v, the cotangent of the result where `dout` is not null, the initial state and doc_start.
LinearBuffers addLinearInputs(Signature &signature, const LinearAttentionSpec &spec, std::optional<unsigned> *dout);
/// Declares one state.
StateBuffers addState(Signature &signature, const LinearAttentionSpec &spec, bool isOutput);

/// What the heads of a group share for one chunk.
struct LinearChunk {
  Scalar first;
  mlir::Value k;       // [C, D]
  mlir::Value kT;      // [D, C]
  mlir::Value v;       // [C, stateColumns]
  mlir::Value vUpdate; // v where the update mask holds, 0 elsewhere
  ChunkMasks masks;
};

class LinearParts {
public:
  LinearParts(TileBuilder &b, const LinearAttentionSpec &spec, const LinearBuffers &buffers, Scalar batch,
              Scalar kvHead)
      : b_(b), spec_(spec), buffers_(buffers), batch_(batch), kvHead_(kvHead) {}

  int64_t dim() const { return tileSize(spec_.headDim); }
  int64_t columns() const { return tileSize(spec_.stateColumns()); }

  /// Rows of a chunk in [B,T,heads,·].
  Place rows(Scalar first, Scalar head) { return Place{{batch_, first, head, b_.index(0)}, 1, 3}; }
  LinearChunk loadChunk(Scalar first);
  /// scale · q of one head, [C, D].
  mlir::Value loadQ(const LinearChunk &chunk, Scalar head);

  /// (q·kᵀ)∘pairs, [C, C].
  mlir::Value scores(const LinearChunk &chunk, mlir::Value q);
  /// scores·v + carry∘(q·S), [C, stateColumns]: before the normaliser divides.
  mlir::Value sums(const LinearChunk &chunk, mlir::Value state, mlir::Value q, mlir::Value scores);
  /// The values over the normaliser; `sums` itself without normalize.
  mlir::Value normalised(mlir::Value sums);
  /// The cotangent of `sums` from that of the output.
  mlir::Value normalisedGrad(mlir::Value sums, mlir::Value dout);
  /// keep·S + kᵀ·(update∘v)
  mlir::Value updateState(mlir::Value state, const LinearChunk &chunk);

  mlir::Value zeroState() { return b_.zeros(dim(), columns()); }
  /// The state before the first chunk.
  mlir::Value initialState() { return buffers_.initial ? load(*buffers_.initial) : zeroState(); }
  mlir::Value load(const StateBuffers &from);
  void store(mlir::Value state, const StateBuffers &to);
  /// State `number` of a buffer [B,KV,count,D,stateColumns].
  mlir::Value loadSaved(unsigned buffer, Scalar number) {
    return b_.load(b_.buffer(buffer), savedPlace(number), dim(), columns());
  }
  void storeSaved(mlir::Value state, unsigned buffer, Scalar number) {
    b_.store(state, b_.buffer(buffer), savedPlace(number));
  }

private:
  ChunkMasks loadMasks(Scalar first);
  Place statePlace() { return Place{{batch_, kvHead_, b_.index(0), b_.index(0)}, 2, 3}; }
  Place sumPlace() { return Place{{batch_, kvHead_, b_.index(0)}, 2, -1}; }
  Place savedPlace(Scalar number) { return Place{{batch_, kvHead_, number, b_.index(0), b_.index(0)}, 3, 4}; }
  /// The column behind the values, [R, 1].
  mlir::Value lastColumn(mlir::Value tile);
  /// `tile` with `column`, [R, 1], behind the values.
  mlir::Value withLastColumn(mlir::Value tile, mlir::Value column);

  TileBuilder &b_;
  const LinearAttentionSpec &spec_;
  const LinearBuffers &buffers_;
  Scalar batch_, kvHead_;
};

} // namespace oriel::kernels

#endif

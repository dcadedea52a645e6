// What the attention kernels share: which blocks of keys and queries meet, which pairs inside a block are visible, and
// the places of blocks in the buffers. Internal to kernels/attention and to kernels that fuse attention with other
// work.
#ifndef ORIEL_KERNELS_ATTENTION_ATTENTIONBLOCKS_H
#define ORIEL_KERNELS_ATTENTION_ATTENTIONBLOCKS_H

#include "kernels/attention/Attention.h"
#include "kernels/common/TileBuilder.h"

namespace oriel::kernels {

/// A masked score is less than the running maximum's start, so that a row that has seen nothing yet gets weight
/// exp(-1e30) = 0.
inline constexpr double maskedScore = -2e30;
inline constexpr double maximumStart = -1e30;

/// A rectangle of the score matrix. Scores are [queries, keys], or [keys, queries] when `transposed`.
struct ScoreBlock {
  Scalar firstQuery;
  Scalar firstKey;
  mlir::Value docStart; // i32: one per query, [Q,1], or [1,Q] when transposed; null without documents
  bool transposed = false;
};

class AttentionBlocks {
public:
  AttentionBlocks(TileBuilder &b, const AttentionSpec &spec, std::optional<unsigned> docStart)
      : b_(b), spec_(spec), docStart_(docStart) {}

  /// Keys that queries [first, first + queryTile) may see: [begin, end).
  std::pair<Scalar, Scalar> visibleKeys(Scalar batch, Scalar firstQuery);
  /// Queries that may see keys [first, first + keyTile): [begin, end).
  std::pair<Scalar, Scalar> visibleQueries(Scalar batch, Scalar firstKey);

  /// Turns products of scaled queries and keys into scores: soft cap, then `maskedScore` where a pair is not visible.
  mlir::Value scores(mlir::Value products, const ScoreBlock &block);

  /// doc_start of a block of queries, as ScoreBlock wants it.
  mlir::Value loadDocStart(Scalar batch, Scalar firstQuery, bool transposed);

  /// A block of heads' rows: dimension 1 of [B,T,heads,width].
  static Place rows(Scalar batch, Scalar token, Scalar head, Scalar zero) {
    return Place{{batch, token, head, zero}, 1, 3};
  }
  /// One value per query of [B,N,T]: [Q,1], or [1,Q] when transposed.
  static Place perQuery(Scalar batch, Scalar head, Scalar token, bool transposed) {
    return transposed ? Place{{batch, head, token}, -1, 2} : Place{{batch, head, token}, 2, -1};
  }
  mlir::Value loadScaledQueries(mlir::Value q, const Place &place);

private:
  TileBuilder &b_;
  const AttentionSpec &spec_;
  std::optional<unsigned> docStart_;
};

/// Buffers of the gradient kernels.
struct AttentionGradBuffers {
  unsigned q, k, v, dout, lse, delta;
  std::optional<unsigned> docStart;
};

} // namespace oriel::kernels

#endif

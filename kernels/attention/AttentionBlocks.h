// What the attention kernels share: which blocks of keys and queries meet, which pairs inside a block are visible, and
// the places of blocks in the buffers. Internal to kernels/attention and to kernels that fuse attention with other
// work.
#ifndef ORIEL_KERNELS_ATTENTION_ATTENTIONBLOCKS_H
#define ORIEL_KERNELS_ATTENTION_ATTENTIONBLOCKS_H

#include "kernels/attention/Attention.h"
#include "kernels/common/Signature.h"
#include "kernels/common/TileBuilder.h"

#include <cmath>
#include <functional>

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
  Scalar lastDocument;  // doc_start of the last query, i32 (documents)
  bool transposed = false;
};

/// Buffers that the forward walk reads.
struct AttentionInputs {
  unsigned q, k, v;
};

/// Softmax attention of one block of queries of one head: values [Q,E] and lse [Q,1].
struct AttendedBlock {
  mlir::Value o, lse;
};

class AttentionBlocks {
public:
  AttentionBlocks(TileBuilder &b, const AttentionSpec &spec, std::optional<unsigned> docStart, Scalar batch)
      : b_(b), spec_(spec), docStart_(docStart), batch_(batch) {}

  /// Keys that queries [first, first + queryTile) may see: [begin, end).
  std::pair<Scalar, Scalar> visibleKeys(Scalar firstQuery);
  /// Queries that may see keys [first, first + keyTile): [begin, end).
  std::pair<Scalar, Scalar> visibleQueries(Scalar firstKey);

  /// Turns products of scaled queries and keys into scores: soft cap, then `maskedScore` where a pair is not visible.
  /// `rescaled` gives each its last factor.
  mlir::Value scores(mlir::Value products, const ScoreBlock &block);

  /// The two steps of `scores`, for those who mask as they exponentiate: products with the soft cap, and
  /// exp(scores - lse), 0 where a pair is not visible. `lse` has one value per query.
  mlir::Value capped(mlir::Value products);
  mlir::Value weights(mlir::Value scores, mlir::Value lse, const ScoreBlock &block);
  /// Of the soft cap c·tanh(x/c), from its value. A masked score is huge; its slope stays finite.
  Scalar slope(Scalar score) const {
    Scalar t = max(score * (1.0 / spec_.softCap), -1.0);
    return 1.0 - t * t;
  }

  /// The first query of cell `x` of a grid of blocks of queries.
  Scalar firstQueryOf(Scalar x);
  /// The first key of the block that the walk of `head` over `keys` has at step `at`, which is the first key of a block, too.
  std::function<Scalar(Scalar at)> keyOrder(Scalar head, std::pair<Scalar, Scalar> keys);

  /// A block whose keys are still to be chosen.
  ScoreBlock queryBlock(Scalar firstQuery, bool transposed);

  /// The walk of one head's queries over their visible `keys`. `block` is transposed.
  AttendedBlock attend(const AttentionInputs &inputs, Scalar head, Scalar kvHead, ScoreBlock block,
                       std::pair<Scalar, Scalar> keys);

  /// A block of heads' rows: dimension 1 of [B,T,heads,width].
  Place rows(Scalar token, Scalar head) { return Place{{batch_, token, head, b_.index(0)}, 1, 3}; }
  /// One value per query of [B,N,T]: [Q,1], or [1,Q] when transposed.
  Place perQuery(Scalar head, Scalar token, bool transposed) {
    return transposed ? Place{{batch_, head, token}, -1, 2} : Place{{batch_, head, token}, 2, -1};
  }
  /// One operand of the products, times the power of two in the scale: exact whatever the operands' type.
  mlir::Value scaled(mlir::Value tile) {
    return b_.map({tile}, [&](Scalar x) { return x * powerInScale(); });
  }

  /// A score of `scores` times what is left of the scale, between 0.7 and 1.5; for the body of a map that needs the
  /// score itself, so that it costs no walk of its own.
  Scalar rescaled(Scalar score) const {
    return spec_.softCap > 0 || restOfScale() == 1 ? score : score * restOfScale();
  }

private:
  double powerInScale() const {
    return spec_.scale == 0 ? 0 : std::copysign(std::exp2(std::round(std::log2(std::abs(spec_.scale)))), spec_.scale);
  }
  double restOfScale() const { return spec_.scale == 0 ? 1 : spec_.scale / powerInScale(); }
  Scalar hasHiddenPairs(const ScoreBlock &block);
  mlir::Value mapVisible(TileBuilder::Values inputs, const ScoreBlock &block,
                         llvm::function_ref<Scalar(llvm::ArrayRef<Scalar> in, Scalar isVisible)> body);

  TileBuilder &b_;
  const AttentionSpec &spec_;
  std::optional<unsigned> docStart_;
  Scalar batch_;
};

/// Buffers of the gradient kernels.
struct AttentionGradBuffers {
  unsigned q, k, v, dout, lse;
  std::optional<unsigned> delta, docStart;
};
AttentionGradBuffers addGradInputs(Signature &signature, const AttentionSpec &spec, bool hasDelta);

} // namespace oriel::kernels

#endif

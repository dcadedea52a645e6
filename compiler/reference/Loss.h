// Cross-entropy fused with the unembedding, and the logits of one position, in fp64.
#ifndef ORIEL_COMPILER_REFERENCE_LOSS_H
#define ORIEL_COMPILER_REFERENCE_LOSS_H

#include "compiler/reference/Tensor.h"

namespace oriel::reference {

/// x [B,T,M], weight [V,M], targets [B,T] (negative: not counted) → [1], in nats, summed.
Tensor crossEntropy(const Tensor &x, const Tensor &weight, const Tensor &targets, double softCap);

struct CrossEntropyGrads {
  Tensor loss, dx, dweight;
};
CrossEntropyGrads crossEntropyGrad(const Tensor &x, const Tensor &weight, const Tensor &targets, double dloss,
                                   double softCap);

/// x [B,T,M], weight [V,M], position [B] → [B,V].
Tensor logits(const Tensor &x, const Tensor &weight, const Tensor &position, double softCap);

} // namespace oriel::reference

#endif

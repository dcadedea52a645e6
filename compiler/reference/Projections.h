// Embedding, projections and elementwise sums in fp64, as the descriptions in dialects/lm/LmOps.td state them.
#ifndef ORIEL_COMPILER_REFERENCE_PROJECTIONS_H
#define ORIEL_COMPILER_REFERENCE_PROJECTIONS_H

#include "compiler/reference/Tensor.h"

namespace oriel::reference {

/// table [V,M], tokens [B,T] → [B,T,M]. A token outside 0 … V-1 gives a row of NaN.
Tensor embed(const Tensor &table, const Tensor &tokens, double scale);
Tensor embedGrad(const Tensor &dy, const Tensor &tokens, double scale, int64_t vocab);

/// x [...,I], weight [O,I], bias [O] or null → [...,O].
Tensor linear(const Tensor &x, const Tensor &weight, const Tensor *bias);

/// Product of a and b seen as matrices, transposed on request; the result is given `shape`.
Tensor matmul(const Tensor &a, const Tensor &b, bool transposeA, bool transposeB, const std::vector<int64_t> &shape);

Tensor add(const Tensor &a, const Tensor &b);

/// x [...,O] → [O].
Tensor sumRows(const Tensor &x);

/// x [...,D], scale [D].
Tensor scaleChannels(const Tensor &x, const Tensor &scale);
struct ScaleChannelsGrads {
  Tensor dx, dscale;
};
ScaleChannelsGrads scaleChannelsGrad(const Tensor &x, const Tensor &scale, const Tensor &dy);

} // namespace oriel::reference

#endif

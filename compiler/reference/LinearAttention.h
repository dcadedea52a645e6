// Linear attention without a feature map in fp64 as a sum over every visible pair (no chunks, no carried state):
// `lm.linear_attention` and its gradient.
#ifndef ORIEL_COMPILER_REFERENCE_LINEARATTENTION_H
#define ORIEL_COMPILER_REFERENCE_LINEARATTENTION_H

#include "compiler/reference/Tensor.h"

namespace oriel::reference {

struct LinearAttentionSpec {
  double scale = 1;
  bool normalize = false;
};

struct LinearAttentionInputs {
  const Tensor &q, &k, &v;              // [B,T,N,D], [B,T,KV,D], [B,T,KV,E]
  const Tensor *initialState = nullptr; // [B,KV,D,E]
  const Tensor *initialSum = nullptr;   // [B,KV,D]; with normalize and initialState
  const Tensor *docStart = nullptr;     // [B,T]
};

struct LinearAttentionOutputs {
  Tensor result, finalState, finalSum; // [B,T,N,E], [B,KV,D,E], [B,KV,D]
};
LinearAttentionOutputs linearAttention(const LinearAttentionInputs &in, const LinearAttentionSpec &spec);

struct LinearAttentionGrads {
  Tensor dq, dk, dv, dinitialState, dinitialSum; // the last two are empty without an initial state
};
/// `dfinalState` and `dfinalSum` may be null (zero).
LinearAttentionGrads linearAttentionGrad(const LinearAttentionInputs &in, const Tensor &dresult,
                                         const Tensor *dfinalState, const Tensor *dfinalSum,
                                         const LinearAttentionSpec &spec);

} // namespace oriel::reference

#endif

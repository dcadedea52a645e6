// Softmax attention in fp64 with explicit scores of every pair: `lm.attention` and its gradient.
#ifndef ORIEL_COMPILER_REFERENCE_ATTENTION_H
#define ORIEL_COMPILER_REFERENCE_ATTENTION_H

#include "compiler/reference/Tensor.h"

namespace oriel::reference {

struct AttentionSpec {
  int64_t window = -1; // tokens to the left that are seen besides the token itself; -1: all
  double scale = 1;
  double softCap = 0; // 0: none
};

struct AttentionOutputs {
  Tensor result, lse; // [B,T,N,E], [B,N,T]
};

/// q [B,T,N,D], k [B,T,KV,D], v [B,T,KV,E], docStart [B,T] or null.
AttentionOutputs attention(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor *docStart,
                           const AttentionSpec &spec);

struct MixerGrads {
  Tensor dq, dk, dv; // dk, dv summed over the query heads of a group
};

/// Computes the probabilities again: a wrong `lse` handed to a kernel cannot hide here.
MixerGrads attentionGrad(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &dresult,
                         const Tensor *docStart, const AttentionSpec &spec);

} // namespace oriel::reference

#endif

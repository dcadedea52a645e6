// Residual linear attention in fp64 as a sum over every visible pair (no chunks, no carried state, so nothing is shared
// with the kernels' form): `lm.residual_linear_attention`, `lm.learned_state` and their gradients.
#ifndef ORIEL_COMPILER_REFERENCE_RESIDUALLINEARATTENTION_H
#define ORIEL_COMPILER_REFERENCE_RESIDUALLINEARATTENTION_H

#include "compiler/reference/Tensor.h"

namespace oriel::reference {

enum class FeatureMap { Softmax, Relu };

struct ResidualLinearAttentionSpec {
  int64_t window = 0; // token t sees keys i <= t - window - 1
  FeatureMap featureMap = FeatureMap::Softmax;
};

struct ResidualLinearAttentionInputs {
  const Tensor &q, &k, &v;              // [B,T,N,D], [B,T,KV,D], [B,T,KV,E]
  const Tensor *initialState = nullptr; // [N,2D,E] or [B,N,2D,E]
  const Tensor *docStart = nullptr;     // [B,T]
  const Tensor *lengths = nullptr;      // [B]; not in gradients
};

struct ResidualLinearAttentionOutputs {
  Tensor result, finalState; // [B,T,N,E], [B,N,2D,E]
};
ResidualLinearAttentionOutputs residualLinearAttention(const ResidualLinearAttentionInputs &in,
                                                       const ResidualLinearAttentionSpec &spec);

struct ResidualLinearAttentionGrads {
  Tensor dq, dk, dv, dinitialState; // dinitialState is empty without an initial state
};
/// `dfinalState` may be null (zero).
ResidualLinearAttentionGrads residualLinearAttentionGrad(const ResidualLinearAttentionInputs &in, const Tensor &dresult,
                                                         const Tensor *dfinalState,
                                                         const ResidualLinearAttentionSpec &spec);

/// kTokens [N,J,D], vTokens [N,J,E] → [N,2D,E].
Tensor learnedState(const Tensor &kTokens, const Tensor &vTokens, FeatureMap featureMap);
struct LearnedStateGrads {
  Tensor dkTokens, dvTokens;
};
LearnedStateGrads learnedStateGrad(const Tensor &kTokens, const Tensor &vTokens, const Tensor &dstate,
                                   FeatureMap featureMap);

/// phi of every vector of the last dimension: [...,D] → [...,2D]. And the pull-back of a cotangent of phi(x).
Tensor features(const Tensor &x, FeatureMap featureMap);
Tensor featuresGrad(const Tensor &x, const Tensor &dphi, FeatureMap featureMap);

} // namespace oriel::reference

#endif

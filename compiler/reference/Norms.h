// Norms, rotary positions and gates in fp64, as the descriptions in dialects/lm/LmOps.td state them.
#ifndef ORIEL_COMPILER_REFERENCE_NORMS_H
#define ORIEL_COMPILER_REFERENCE_NORMS_H

#include "compiler/reference/Tensor.h"

namespace oriel::reference {

/// x [...,D] with weight [D], or x [...,N,D] with weight [N,D].
Tensor rmsNorm(const Tensor &x, const Tensor &weight, double eps, bool plusOne);
struct RmsNormGrads {
  Tensor dx, dweight;
};
RmsNormGrads rmsNormGrad(const Tensor &x, const Tensor &weight, const Tensor &dy, double eps, bool plusOne);

struct RopeSpec {
  double theta = 0;
  bool interleaved = false; // pairs (2j, 2j+1) instead of (j, j + rotaryDim/2)
  int64_t rotaryDim = 0;
  bool inverse = false;
};
/// x [B,T,N,D], docStart [B,T] or null.
Tensor rope(const Tensor &x, const Tensor *docStart, const RopeSpec &spec);

enum class Activation { Silu, Gelu };
Tensor gatedActivation(const Tensor &gate, const Tensor &up, Activation activation);
struct GatedActivationGrads {
  Tensor dgate, dup;
};
GatedActivationGrads gatedActivationGrad(const Tensor &gate, const Tensor &up, const Tensor &dy, Activation activation);

} // namespace oriel::reference

#endif

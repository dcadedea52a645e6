// Where window attention and residual linear attention of one layer can become one op: the pattern and its rewriting.
#ifndef ORIEL_COMPILER_TRANSFORMS_MIXERFUSION_H
#define ORIEL_COMPILER_TRANSFORMS_MIXERFUSION_H

#include "dialects/lm/LmOps.h"
#include <optional>

namespace oriel::transforms {

/// sum = rms_norm(window) + rms_norm(linear), both parts over the same values and the same window, as lm.rattention
/// decomposes; nothing else but gradients uses what is in between.
struct MixerFusion {
  lm::AttentionOp window;
  lm::ResidualLinearAttentionOp linear;
  lm::RmsNormOp windowNorm, linearNorm;
  lm::AddOp sum;
};

/// The pattern around `linear`, or nothing where it does not hold.
std::optional<MixerFusion> findFusion(lm::ResidualLinearAttentionOp linear);

/// Replaces the five ops by lm.fused_rattention with the attributes tape.* of `linear`, and the gradients of the two
/// norms, where they exist, by lm.head_norms_grad.
void fuse(const MixerFusion &fusion);

} // namespace oriel::transforms

#endif

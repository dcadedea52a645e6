// Where in a differentiated function a schedule can decide something, and how a decision is applied.
#ifndef ORIEL_COMPILER_TRANSFORMS_STEPSITES_H
#define ORIEL_COMPILER_TRANSFORMS_STEPSITES_H

#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <string>

namespace oriel::transforms {

/// A recurrent mixer: its forward op and its gradient op (null in a function without gradients).
struct MixerSite {
  std::string path; // layer path + op name, unique in the function
  mlir::Operation *forward = nullptr, *gradient = nullptr;
};

/// A cheap op (rms_norm, rope, gated_activation) whose result is used on both sides of the step.
struct ValueSite {
  std::string path;
  mlir::Operation *op = nullptr;
};

struct StepSites {
  std::vector<MixerSite> mixers;
  std::vector<ValueSite> values;
  mlir::Operation *firstBackward = nullptr; // the first gradient op; null when there is none
};

StepSites findStepSites(mlir::func::FuncOp function);

/// How a mixer runs.
struct MixerChoice {
  int64_t chunk = 0, saveEvery = 0;
  bool fused = false; // with the window attention of its layer
};
/// Attaches tape.site, tape.chunk, tape.save_every (if > 0) and tape.fused to both halves of the mixer.
void markMixer(const MixerSite &site, const MixerChoice &choice);

/// Clones the op before its first use at or behind `firstBackward`; the backward uses read the clone.
void recomputeInBackward(const ValueSite &site, mlir::Operation *firstBackward);

} // namespace oriel::transforms

#endif

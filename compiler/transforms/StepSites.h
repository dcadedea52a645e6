// Where in a differentiated function a schedule can decide something, and how a decision is applied.
#ifndef ORIEL_COMPILER_TRANSFORMS_STEPSITES_H
#define ORIEL_COMPILER_TRANSFORMS_STEPSITES_H

#include "compiler/schedule/Problem.h"
#include "dialects/lm/LmOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <string>
#include <vector>

namespace oriel::transforms {

/// An op of the forward half whose results may be kept for the backward or made again there: every lm op in front of
/// the first gradient op, except views (lm.reshape).
struct OpSite {
  std::string path; // layer path + op name (of a projection its weight's name too), unique in the function
  mlir::Operation *op = nullptr;
};

/// A recurrent mixer: its forward op and its gradient op (null in a function without gradients).
struct MixerSite {
  std::string path; // layer path + op name, unique in the function
  mlir::Operation *forward = nullptr, *gradient = nullptr;
};

struct StepSites {
  std::vector<OpSite> ops; // in order
  std::vector<MixerSite> mixers;
  mlir::Operation *firstBackward = nullptr; // the first gradient op; null when there is none
};

StepSites findStepSites(mlir::func::FuncOp function);

/// The ops of the forward half, which is all of a function without gradients: those of StepSites::ops.
std::vector<OpSite> forwardOpsOf(mlir::func::FuncOp function);

/// The gradient op of an op in its function; null when there is none.
mlir::Operation *gradientOf(mlir::Operation *forward);

/// The op behind a value of the function, seen through views; null for an argument.
mlir::Operation *sourceOf(mlir::Value value);

/// Attaches tape.site, tape.chunk, tape.save_every and tape.key_tile (if > 0), tape.two_pass and tape.fused to both
/// halves of the mixer.
void markMixer(const MixerSite &site, const schedule::MixerWay &way);

/// Runs the ops again of which `runsAgain` is true: last first, each is cloned in front of the first op of the backward
/// that reads one of its results, and the backward reads the clone. A clone is an op of the backward, so that what it
/// reads can in turn be made again. The gradient of a mixer reads the states of the run that comes last before it.
void runAgainInBackward(const StepSites &sites, llvm::function_ref<bool(mlir::Operation *)> runsAgain);

} // namespace oriel::transforms

#endif

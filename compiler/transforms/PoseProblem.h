// From a differentiated function to its schedule problem (compiler/schedule): a trial lowering gives the steps, their
// cost and the life of every piece of memory; here they are told as ops, mixers and blocks.
#ifndef ORIEL_COMPILER_TRANSFORMS_POSEPROBLEM_H
#define ORIEL_COMPILER_TRANSFORMS_POSEPROBLEM_H

#include "compiler/transforms/MixerCandidates.h"

namespace oriel::transforms {

/// What a person decided, by path.
struct GivenDecision {
  std::optional<schedule::MixerWay> mixer;
  schedule::Given action = schedule::Given::Nothing;
};
using GivenDecisions = llvm::function_ref<GivenDecision(llvm::StringRef path)>;

/// The problem of `function`, whose ops are `sites.ops` and whose mixers are `sites.mixers`, in that order. The memory
/// of the other programs of the module is one more step at the end. No budget is set. `probe` may be null; of attention,
/// `tilings` has decided.
mlir::FailureOr<schedule::Problem> poseProblem(mlir::func::FuncOp function, const StepSites &sites,
                                               const TrialLowering &lowering, schedule::CostModel &model,
                                               KernelTilings &tilings, KernelProbe *probe, GivenDecisions given);

} // namespace oriel::transforms

#endif

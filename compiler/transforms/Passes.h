// Declares and registers the passes of Passes.td: createDecomposePass(), createDifferentiatePass() …
#ifndef ORIEL_COMPILER_TRANSFORMS_PASSES_H
#define ORIEL_COMPILER_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace oriel::transforms {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/transforms/Passes.h.inc"

class KernelProbe;

/// oriel-schedule-states with somebody to ask what kernels take of a GPU; null: nobody. The probe outlives the pass.
std::unique_ptr<mlir::Pass> createScheduleStatesPass(const ScheduleStatesPassOptions &options, KernelProbe *probe);

/// The memory-budget of oriel-schedule-states that asks for as few bytes as possible.
inline constexpr int64_t leastMemoryBudget = -1, autoMemoryBudget = -2;

} // namespace oriel::transforms

#endif

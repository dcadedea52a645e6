// Placed tape ops ⇒ steps of an entry point.
#ifndef ORIEL_COMPILER_CONVERSION_TAPETOPLAN_BUILDSTEPS_H
#define ORIEL_COMPILER_CONVERSION_TAPETOPLAN_BUILDSTEPS_H

#include "compiler/conversion/tapeToPlan/BuildPlan.h"
#include "compiler/conversion/tapeToPlan/PlanBuffers.h"

namespace oriel::conversion {

/// Appends the steps of `program` to `entry`; views, slices, concats and constants are no steps.
mlir::LogicalResult buildSteps(tape::ProgramOp program, const PlanBuffers &buffers, const PlanOptions &options,
                               plan::EntryPoint &entry);

} // namespace oriel::conversion

#endif

// Solvers of the state-save problem: free functions with a stated objective. Each returns a verified schedule or
// nothing.
#ifndef ORIEL_COMPILER_SCHEDULE_SOLVERS_H
#define ORIEL_COMPILER_SCHEDULE_SOLVERS_H

#include "compiler/schedule/Problem.h"

#include <optional>

namespace oriel::schedule {

/// Objective of the problem, exactly, by trying everything: the judge of the others. Exponential.
std::optional<Schedule> solveExhaustive(const Problem &problem);

/// Starts at the fastest choices and, while the budget is exceeded, takes the change that costs the least time per byte
/// freed. Nothing is promised about optimality; nothing returned means that no change was left.
std::optional<Schedule> solveGreedy(const Problem &problem);

} // namespace oriel::schedule

#endif

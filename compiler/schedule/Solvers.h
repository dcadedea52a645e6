// Solvers of the schedule problem: free functions with a stated objective and failure. Each returns a verified
// schedule, or nothing when the problem is malformed (Problem::check) or it finds no schedule within the budget.
#ifndef ORIEL_COMPILER_SCHEDULE_SOLVERS_H
#define ORIEL_COMPILER_SCHEDULE_SOLVERS_H

#include "compiler/schedule/Problem.h"

#include <optional>

namespace oriel::schedule {

/// Objective of the problem, exactly, by trying everything: the judge of the others. Exponential.
std::optional<Schedule> solveExhaustive(const Problem &problem);

/// Starts at the fastest choices and, while the budget is exceeded, takes the change that costs the least time per
/// byte-step of excess removed. Nothing is promised about optimality; nothing returned means that no change was left.
std::optional<Schedule> solveGreedy(const Problem &problem);

/// While a single change makes `schedule`, which fits, faster and still fit, takes the one that gains the most time per
/// byte-step that it adds. Never slower than what it is given.
Schedule improve(const Problem &problem, Schedule schedule);

/// A schedule of little memory whose time is at most `share` above the fastest's: changes single decisions of the
/// fastest schedule, the cheapest per byte of peak first, while the time lasts. `problem` is well formed and its budget
/// is not looked at.
Schedule solveNearFastest(const Problem &problem, double share);

struct ExactOptions {
  /// The time of the answer is at most this much above the least, as a share of the time that decisions can change; 0:
  /// the least. A small gap keeps the number of partial schedules small in large models.
  double relativeGap = 0;
  /// Partial schedules kept per op, evenly spread from the fastest to the smallest. With a number that is reached
  /// the answer is still legal, and no longer promised to be the least. 0: no limit.
  size_t beam = 0;
};

/// Objective of the problem by dynamic programming over the ops, last to first (see Exact.cpp). Nothing returned
/// with beam = 0 means that no schedule fits.
std::optional<Schedule> solveExact(const Problem &problem, const ExactOptions &options = {});

/// The schedule of the least peak that any budget allows, and among those the one of the least time.
std::optional<Schedule> solveLeastMemory(const Problem &problem, const ExactOptions &options = {});

} // namespace oriel::schedule

#endif

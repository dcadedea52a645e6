// From the problem's memory to the plan's. The timeline of a problem is a close model of what the packing of the arena
// will need: gaps between pieces come on top, sums in place go off. A budget is about the plan; so the solver is asked
// again with a corrected budget until what it answers, packed, fits and leaves little unused.
#ifndef ORIEL_COMPILER_SCHEDULE_FITBUDGET_H
#define ORIEL_COMPILER_SCHEDULE_FITBUDGET_H

#include "compiler/schedule/Problem.h"

#include <functional>
#include <optional>

namespace oriel::schedule {

/// Bytes that the plan of a schedule takes; nothing when it cannot be made, which ends the search.
using PlannedBytes = std::function<std::optional<int64_t>(const Schedule &)>;

struct Fit {
  Schedule schedule;
  int64_t plannedBytes = 0;
};

/// The schedule of least predicted time whose plan fits the problem's budget; without a budget the fastest, unplanned.
/// Nothing when none was found: `leastBytes` is then what the plan of the smallest schedule takes.
std::optional<Fit> fitBudget(const Problem &problem, const PlannedBytes &planned, int64_t &leastBytes);

/// The schedule whose plan is the smallest that was found.
std::optional<Fit> fitLeastMemory(const Problem &problem, const PlannedBytes &planned);

} // namespace oriel::schedule

#endif

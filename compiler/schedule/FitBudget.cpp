#include "compiler/schedule/FitBudget.h"
#include "compiler/schedule/Solvers.h"

#include <algorithm>

namespace oriel::schedule {
namespace {

/// Models of many layers: partial schedules that differ by less than a ten-thousandth of the time are one.
constexpr ExactOptions inLargeModels{1e-3, 300};
constexpr int trials = 8;
constexpr double closeEnough = 0.005; // unused share of the budget
constexpr double shrink = 0.98;

} // namespace

std::optional<Fit> fitLeastMemory(const Problem &problem, const PlannedBytes &planned) {
  Problem bounded = problem;
  std::optional<Schedule> schedule = solveLeastMemory(problem, inLargeModels);
  std::optional<Fit> best;
  while (schedule) {
    std::optional<int64_t> bytes = planned(*schedule);
    if (!bytes)
      return std::nullopt;
    if (best && *bytes >= best->plannedBytes)
      break;
    best = Fit{*schedule, *bytes};
    // With many layers the solver keeps some partial schedules only; a tighter budget makes it keep smaller ones.
    bounded.budgetBytes = static_cast<int64_t>(shrink * static_cast<double>(predict(problem, *schedule).peakBytes));
    if (bounded.budgetBytes <= 0)
      break;
    schedule = solveExact(bounded, inLargeModels);
  }
  return best;
}

std::optional<Fit> fitBudget(const Problem &problem, const PlannedBytes &planned, int64_t &leastBytes) {
  leastBytes = 0;
  Schedule fastest = fastestSchedule(problem);
  if (problem.budgetBytes == 0)
    return Fit{fastest, 0};
  std::optional<int64_t> bytes = planned(fastest);
  if (!bytes || *bytes <= problem.budgetBytes)
    return bytes ? std::optional<Fit>({fastest, *bytes}) : std::nullopt;

  Problem bounded = problem; // with the model's budget, which moves between `fits` and `exceeds`
  int64_t fits = 0, exceeds = INT64_MAX;
  std::optional<Fit> best;
  for (int trial = 0; trial < trials; ++trial) {
    std::optional<Schedule> schedule = solveExact(bounded, inLargeModels);
    if (!schedule)
      break;
    schedule = improve(bounded, *schedule); // where the beam lost the best ones
    if (bytes = planned(*schedule); !bytes)
      return std::nullopt;
    int64_t unused = problem.budgetBytes - *bytes;
    (unused >= 0 ? fits : exceeds) = bounded.budgetBytes;
    if (unused >= 0 && (!best || predict(problem, *schedule).seconds < predict(problem, best->schedule).seconds))
      best = Fit{*schedule, *bytes};
    if (unused >= 0 && static_cast<double>(unused) < closeEnough * static_cast<double>(problem.budgetBytes))
      break;
    // A plan that exceeds by little must not be tried again with a budget that differs by less than its pieces.
    int64_t margin = static_cast<int64_t>(closeEnough / 2 * static_cast<double>(problem.budgetBytes));
    int64_t next = bounded.budgetBytes + (unused < 0 ? std::min(unused, -margin) : unused);
    if (next <= fits || next >= exceeds)
      next = fits + (exceeds - fits) / 2;
    if (next <= 0 || next == bounded.budgetBytes)
      break;
    bounded.budgetBytes = next;
  }
  if (best)
    return best;
  std::optional<Fit> least = fitLeastMemory(problem, planned);
  if (least && least->plannedBytes <= problem.budgetBytes)
    return least;
  leastBytes = least ? least->plannedBytes : 0;
  return std::nullopt;
}

} // namespace oriel::schedule
